// Photographs and videos: dropped, pasted or picked, each read by the server and shown with its faces.

import { ask, useToken } from "./api.js";
import { Bars, Way, caution, frames, make, percent, save, tiles } from "./face.js";
import { startLive, stopLive } from "./live.js";
import { isVideo, readVideo } from "./video.js";

const at = (id) => document.getElementById(id);
const LOCAL = ["localhost", "127.0.0.1", "[::1]"];
let models = [];
let limits = {};
let count = 0;
let starts = 0;

if (!LOCAL.includes(location.hostname)) {
  at("privacy").textContent = `Photographs and videos go to ${location.hostname} and nowhere else; it reads them in its memory and forgets them.`;
}

export function say(text, bad = false) {
  at("status").textContent = text;
  at("status").classList.toggle("bad", bad);
}

const chosen = () => models.find((each) => each.name === at("model").value);

// Asks for the models, which needs the token; an answer that a later start has overtaken is ignored.
async function start() {
  const mine = ++starts;
  let answer;
  try {
    answer = await (await ask("/v1/models")).json();
  } catch (error) {
    if (mine !== starts) return;
    at("token-form").hidden = error.status !== 401;
    if (error.status === 401) at("token").focus();
    else say(error.message, true);
    return;
  }
  if (mine !== starts) return;
  ({ models, ...limits } = answer);
  at("token-form").hidden = true;
  say("");
  at("model").replaceChildren(...models.map(({ name }) => make("option", { value: name, textContent: name })));
  describe();
  if (location.hash === "#live") webcam();
}

function describe() {
  const { expressions, generates, compares } = chosen();
  const ways = [generates && "generates a neutral face", compares && "compares with your own face at rest"].filter(Boolean);
  at("about-model").textContent = `Knows ${expressions.join(", ")}${ways.length ? `; ${ways.join(" and ")}` : ""}.`;
}

// One file after the other, so that the first answer is there soon.
async function read(files) {
  for (const file of files) {
    const [most, option] = isVideo(file) ? [limits.max_video_mb, "--max-video-mb"] : [limits.max_mb, "--max-mb"];
    if (file.size > 1e6 * most) {
      say(`${file.name} has ${Math.ceil(file.size / 1e6)} MB; this server takes at most ${most} (deadpan serve ${option}).`, true);
      continue;
    }
    try {
      if (isVideo(file)) await readVideo(file, chosen(), say, at("photographs"));
      else await readPhotograph(file);
    } catch (error) {
      say(error.status === 422 ? error.message : `${file.name}: ${error.message}`, true);
      at("token-form").hidden = error.status !== 401;
    }
  }
}

async function readPhotograph(file) {
  say(`Reading ${file.name} …`);
  const form = new FormData();
  form.append("files", file);
  const query = new URLSearchParams({ model: chosen().name, pictures: true });
  const [photograph] = (await (await ask(`/v1/predict?${query}`, form)).json()).photographs;
  show(file, photograph);
}

function show(file, photograph) {
  const number = ++count;
  const { faces, width, height } = photograph;
  const heading = make("h2", { id: `photograph-${number}`, tabIndex: -1, textContent: file.name });
  const picture = make("img", { src: URL.createObjectURL(file), alt: `${file.name}, ${faces.length} ${faces.length === 1 ? "face" : "faces"}` });
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("aria-hidden", "true");
  frames(svg, width, height, faces);
  const links = faces.map(({ box, expression }, index) => {
    const link = make("a", { className: "number", href: `#face-${number}-${index}`, textContent: index, ariaLabel: `Face ${index}, ${expression}` });
    link.style.left = `${(100 * box[0]) / width}%`;
    link.style.top = `max(1.2rem, ${(100 * box[1]) / height}%)`;
    return link;
  });
  const stage = make("div", { className: "photograph" }, picture, svg, ...links);
  const note = make("p", { className: "label" });
  picture.addEventListener("error", () => {
    stage.hidden = true;
    note.textContent = "This browser cannot show pictures of this kind; the faces are shown as deadpan read them.";
  });
  const section = make("section", { ariaLabel: file.name }, heading, make("figure", {}, stage, note));
  if (!faces.length) section.append(make("p", { textContent: "No face found." }));
  section.append(saving(file, photograph), ...faces.map((face, index) => describeFace(face, `face-${number}-${index}`, index)));
  at("photographs").prepend(section);
  heading.focus({ preventScroll: true });
  heading.scrollIntoView({ block: "start" });
  const read = faces.map((face, index) => `face ${index} ${face.expression} ${percent(face.probabilities[face.expression])}`);
  say(`${file.name}: ${read.join(", ") || "no face found"}.`);
}

function describeFace(face, id, index) {
  const { pictures } = face;
  const bars = new Bars(Object.keys(face.probabilities), `Probabilities by ${at("model").value}`);
  bars.show(face);
  const section = make("section", { id }, make("h3", { textContent: `Face ${index}: ${face.expression}, ${percent(face.probabilities[face.expression])}` }));
  if (face.marks.length) section.append(make("p", { className: "bad", textContent: caution(face) }));
  if (pictures.rest) {
    const still = pictures.rest.moved < 0.002;
    const note = still ? "deadpan takes this face to be at rest and leaves it as it is." : "The photograph's own pixels, moved to where they are when this person is at rest. Folds and raised cheeks stay.";
    const way = new Way(["as photographed", "at rest"], note);
    way.show(pictures.rest.steps);
    section.append(way.element);
  } else {
    section.append(make("p", { className: "label", textContent: "Only the eight largest faces of a photograph whose parts are found are shown at rest." }));
  }
  section.append(make("div", { className: "face" }, bars.element, tiles(pictures)));
  return section;
}

function saving(file, photograph) {
  const stem = file.name.replace(/\.[^.]*$/, "") || "photograph";
  const figures = make("button", { type: "button", textContent: "Save the figures" });
  figures.addEventListener("click", () => {
    const faces = photograph.faces.map(({ pictures, ...facts }) => facts);
    save(new Blob([`${JSON.stringify({ ...photograph, faces })}\n`], { type: "application/json" }), `${stem}.json`);
  });
  const relaxed = make("button", { type: "button", textContent: "Save the photograph at rest", hidden: !photograph.faces.length });
  relaxed.addEventListener("click", async () => {
    relaxed.disabled = true;
    const form = new FormData();
    form.append("file", file);
    try {
      save(await (await ask("/v1/neutral", form)).blob(), `${stem}.rest.png`);
    } catch (error) {
      say(`${file.name}: ${error.message}`, true);
    }
    relaxed.disabled = false;
  });
  return make("p", { className: "actions" }, figures, relaxed);
}

function webcam() {
  startLive(chosen(), say);
}

at("pick").addEventListener("click", () => at("files").click());
at("files").addEventListener("change", async () => {
  await read([...at("files").files]);
  at("files").value = "";
});
at("webcam").addEventListener("click", webcam);
at("model").addEventListener("change", () => {
  describe();
  stopLive();
});
at("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  useToken(at("token").value.trim());
  at("token").value = "";
  start();
});
document.addEventListener("paste", (event) => {
  const files = [...(event.clipboardData?.files ?? [])];
  if (files.length) read(files);
});
for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    at("drop").classList.toggle("over", kind === "dragenter" || kind === "dragover");
    if (kind === "drop") read([...event.dataTransfer.files]);
  });
}
start();
