// What is shown of one face: its probabilities, the way from the expression to rest, and what the model saw.

export function make(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key in element) element[key] = value;
    else element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

export function save(content, name) {
  const link = make("a", { href: URL.createObjectURL(content), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

export const percent = (value) => `${(100 * value).toFixed(value > 0 && value < 0.0995 ? 1 : 0)} %`;

// A table with a bar for each expression; `change` marks where each was at rest.
export class Bars {
  constructor(expressions, caption) {
    this.rows = new Map();
    const body = make("tbody");
    for (const name of expressions) {
      const share = make("i", { className: "share" });
      const value = make("td", { className: "value" });
      const change = make("td", { className: "change", hidden: true });
      const row = make("tr", {}, make("th", { scope: "row", textContent: name }), make("td", {}, share), value, change);
      this.rows.set(name, { row, share, value, change });
      body.append(row);
    }
    this.caption = make("caption", { textContent: caption });
    this.element = make("table", {}, this.caption, body);
  }

  show(face) {
    for (const [name, { row, share, value, change }] of this.rows) {
      const now = face.probabilities[name];
      row.classList.toggle("first", name === face.expression);
      value.textContent = percent(now);
      share.style.setProperty("--v", `${100 * now}%`);
      change.hidden = !face.change;
      share.classList.toggle("rested", Boolean(face.change));
      if (face.change) {
        const moved = Math.round(100 * face.change[name]);
        change.textContent = moved ? `${moved > 0 ? "+" : "−"}${Math.abs(moved)}` : "±0";
        share.style.setProperty("--r", `${100 * (now - face.change[name])}%`);
      }
    }
  }
}

// The face, its neutral, and between them a picture that goes from one to the other with the slider or the pointer.
export class Way {
  constructor(names, note) {
    this.pictures = [];
    this.from = make("img", { alt: names[0] });
    this.to = make("img", { alt: names[1] });
    this.canvas = make("canvas", { role: "img" });
    this.slider = make("input", { type: "range", min: 0, max: 100, value: 0, step: 1 });
    this.names = names;
    this.fromName = make("figcaption", { textContent: names[0] });
    this.toName = make("figcaption", { textContent: names[1] });
    const label = make("label", {}, "From the expression to rest", this.slider);
    this.element = make("div", { className: "way" },
      make("figure", {}, this.from, this.fromName),
      make("figure", { className: "between" }, this.canvas, label),
      make("figure", {}, this.to, this.toName));
    if (note) this.element.append(make("p", { className: "label", textContent: note }));
    this.slider.addEventListener("input", () => this.draw());
    const follow = (event) => {
      const { left, width } = this.canvas.getBoundingClientRect();
      this.slider.value = Math.round(100 * Math.min(1, Math.max(0, (event.clientX - left) / width)));
      this.draw();
    };
    this.canvas.addEventListener("pointermove", follow);
    this.canvas.addEventListener("pointerdown", follow);
    this.draw();
  }

  // `sources` are data URIs, from the expression to rest.
  async show(sources) {
    const pictures = sources.map((src) => make("img", { src }));
    await Promise.all(pictures.map((each) => each.decode()));
    this.pictures = pictures;
    this.from.src = sources[0];
    this.to.src = sources.at(-1);
    this.draw();
  }

  draw() {
    const share = this.slider.value / 100;
    this.slider.setAttribute("aria-valuetext", `${this.slider.value} % at rest`);
    this.canvas.setAttribute("aria-label", `The face at ${this.slider.value} % of the way to rest`);
    if (!this.pictures.length) return;
    const { naturalWidth: width, naturalHeight: height } = this.pictures[0];
    if (this.canvas.width !== width || this.canvas.height !== height) Object.assign(this.canvas, { width, height });
    const place = share * (this.pictures.length - 1);
    const before = Math.min(Math.floor(place), this.pictures.length - 2);
    const pen = this.canvas.getContext("2d");
    pen.globalAlpha = 1;
    pen.drawImage(this.pictures[before], 0, 0, width, height);
    pen.globalAlpha = place - before;
    pen.drawImage(this.pictures[before + 1], 0, 0, width, height);
  }
}

// What the model saw and made.
export function tiles(pictures, neutral = "its generated neutral face") {
  const list = make("ul", { className: "tiles" });
  for (const [source, name] of [[pictures.face, "what the model saw"], [pictures.neutral, neutral], [pictures.residue, "residue: what separates the two"]]) {
    if (source) list.append(make("li", {}, make("img", { src: source, alt: name }), name));
  }
  return list;
}

const MARKS = { small: "it is small", blurred: "it is blurred", turned: "it is turned away", covered: "it is covered", unclear: "its parts are not found" };

export function caution(face) {
  return face.marks.length ? `Do not trust this answer: ${face.marks.map((mark) => MARKS[mark] ?? mark).join(", ")}.` : "";
}

// Frames around the faces of a picture of this size; numbers would be mirrored with a webcam.
export function frames(svg, width, height, faces) {
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.replaceChildren(...faces.flatMap(({ box: [left, top, right, bottom] }) => [0, 1].map(() => {
    const rect = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    for (const [key, value] of Object.entries({ x: left, y: top, width: right - left, height: bottom - top })) rect.setAttribute(key, value);
    return rect;
  })));
}
