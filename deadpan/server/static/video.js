// A video: read by the server, then watched with its faces marked, the curves under it and a table to save.

import { askLines } from "./api.js";
import { Scrub, occurring, picture } from "./curves.js";
import { frames, make, save } from "./face.js";
import { Marks } from "./marks.js";
import { People } from "./people.js";
import { COLOURS, DISTANCE, Track } from "./track.js";
import { clock } from "./times.js";

const ENDINGS = /\.(mp4|m4v|mov|webm|mkv|avi|mpe?g|m?ts|m2ts|vob|wmv|flv|3gp|ogv)$/i;
let count = 0;

export const isVideo = (file) => file.type.startsWith("video/") || ENDINGS.test(file.name);

// Shows a section at once and fills it as the server reads the video; rejects if it cannot be read.
export async function readVideo(file, model, say, place) {
  const viewer = new Viewer(file, model, say);
  place.prepend(viewer.element);
  viewer.heading.focus({ preventScroll: true });
  viewer.heading.scrollIntoView({ block: "start" });
  try {
    await viewer.read();
  } catch (error) {
    if (!viewer.track) viewer.remove();
    throw error;
  }
}

const button = (textContent, act, more = {}) => {
  const made = make("button", { type: "button", textContent, ...more });
  made.addEventListener("click", act);
  return made;
};

class Viewer {
  constructor(file, model, say) {
    Object.assign(this, { file, model, say, track: null, time: 0, events: [], excluded: [] });
    this.heading = make("h2", { id: `video-${++count}`, tabIndex: -1, textContent: file.name });
    this.about = make("p", { className: "label" });
    this.video = make("video", { src: URL.createObjectURL(file), playsInline: true, preload: "auto", ariaLabel: `${file.name}, with the faces marked` });
    this.boxes = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    this.boxes.setAttribute("aria-hidden", "true");
    this.tags = make("div", { ariaHidden: "true" });
    this.stage = make("div", { className: "photograph" }, this.video, this.boxes, this.tags);
    this.note = make("p", { className: "label" });
    this.bar = make("progress", { max: 1, ariaLabel: `Reading ${file.name}` });
    this.barText = make("span", { className: "label" });
    this.stop = button("Stop", () => this.reading?.abort());
    this.progress = make("p", { className: "actions" }, this.bar, this.barText, this.stop);
    this.controls = make("p", { className: "actions" });
    [this.middle, this.side] = [make("div", { className: "middle" }), make("div", { className: "side" })];
    this.result = make("div", { hidden: true });
    this.element = make("section", { ariaLabel: file.name }, this.heading, this.about,
      make("div", { className: "watch" }, make("figure", {}, this.stage, this.note, this.controls), this.middle, this.side), this.progress, this.result, this.settings());
    this.video.addEventListener("error", () => {
      this.stage.hidden = true;
      this.note.textContent = "This browser cannot play videos of this kind; the curves show what deadpan read.";
    });
    this.video.addEventListener("click", () => this.toggle());
    for (const kind of ["timeupdate", "seeking", "seeked"]) this.video.addEventListener(kind, () => this.show(this.video.currentTime));
    for (const kind of ["play", "pause", "ended"]) this.video.addEventListener(kind, () => this.played());
  }

  // How the video is read: by default fewer frames than are in the file, so that the answer is there sooner.
  settings() {
    const option = (value, textContent) => make("option", { value, textContent });
    this.fps = make("select", {}, option("5", "5 a second"), option("10", "10 a second"), option("25", "25 a second"), option("", "all of them"));
    this.fps.value = "10";
    this.rest = make("select", {}, option("auto", "estimated for each person"), option("range", "everyone is at rest in"), option("none", "not compared"));
    this.range = make("input", { value: "0:00-0:10", size: 12, hidden: true, ariaLabel: "Range in which everyone is at rest" });
    this.rest.addEventListener("change", () => { this.range.hidden = this.rest.value !== "range"; });
    this.again = button("Read again", () => this.read().catch((error) => this.say(`${this.file.name}: ${error.message}`, true)));
    return make("details", { className: "tools" }, make("summary", { textContent: "How the video is read" }),
      make("p", { className: "actions" }, make("label", {}, "Frames", this.fps), make("label", {}, "Face at rest", this.rest), this.range, this.again),
      make("p", { className: "label", textContent: "Ten frames a second are read sooner than all of them. The curves are smoothed over 0.1 seconds, so that more frames hardly change them. deadpan predict --fps 10 writes the same table." }));
  }

  get playable() {
    return !this.stage.hidden && this.video.readyState > 0;
  }

  async read() {
    this.reading?.abort();
    const mine = this.reading = new AbortController();
    const rest = this.rest.value === "range" ? this.range.value.trim() : this.rest.value;
    const query = new URLSearchParams({ model: this.model.name, rest });
    if (this.fps.value) query.set("fps", this.fps.value);
    const form = new FormData();
    form.append("file", this.file);
    let track = null;
    this.progress.hidden = false;
    this.bar.removeAttribute("value");
    this.barText.textContent = "";
    this.say(`Reading ${this.file.name} …`);
    try {
      for await (const { start, progress, row, end } of askLines(`/v1/video?${query}`, form, mine.signal)) {
        if (start) track = new Track(start);
        if (progress) this.reached(progress, track.start.seconds);
        if (row) track.add(row);
        if (end) track.end = end;
      }
      if (!track?.end) throw new Error("the answer of the server ended too early");
    } catch (error) {
      if (!mine.signal.aborted) throw error;
      if (this.reading === mine) this.say(`Reading ${this.file.name} was stopped.`);
      return;
    } finally {
      if (this.reading === mine) this.progress.hidden = true;
    }
    this.build(track);
  }

  reached({ time_s: time, frames: read }, seconds) {
    if (seconds) this.bar.value = Math.min(1, time / seconds);
    this.barText.textContent = `${clock(time, 0)}${seconds ? ` of ${clock(seconds, 0)}` : ""}, ${read} frames`;
  }

  build(track) {
    if (this.track) Object.assign(track, { events: this.track.events, excluded: this.track.excluded });
    this.track = track;
    const save_ = (content, ending) => save(content, `${this.file.name.replace(/\.[^.]*$/, "") || "video"}.${ending}`);
    const changed = () => this.refresh();
    const { say } = this;
    this.scrub = new Scrub(track, { seek: (time) => this.seek(time), toggle: () => this.toggle(), describe: (time) => this.describe(time) });
    this.people = new People(track, { changed: () => { this.marks.build(); changed(); }, say });
    this.marks = new Marks(track, { changed, say, seek: (time) => this.seek(time), time: () => this.time, save: save_ });
    this.play = button("Play", () => this.toggle());
    this.clock = make("span", { className: "clock" });
    const curve = make("select", {}, make("option", { value: DISTANCE, textContent: "distance from rest" }), ...track.start.expressions.map((name) => make("option", { value: name, textContent: name })));
    curve.addEventListener("change", () => {
      this.scrub.what = curve.value;
      this.refresh();
    });
    this.legend = make("ul", { className: "legend" });
    this.controls.replaceChildren(this.play, this.clock, make("label", {}, "Curves", curve));
    this.middle.replaceChildren(this.scrub.element, this.legend);
    this.result.replaceChildren(
      make("p", { className: "actions" },
        button("Save the table", () => save_(new Blob([track.csv()], { type: "text/csv" }), "csv")),
        button("Save the plot", async () => save_(await picture(track, this.scrub.what, this.file.name), "png"))),
      this.marks.element);
    this.side.replaceChildren(this.people.element);
    this.result.hidden = false;
    this.about.textContent = this.summary();
    this.about.classList.toggle("bad", Boolean(track.end.stopped));
    this.say(`${this.file.name}: ${this.summary()}`);
    this.refresh();
  }

  summary() {
    const { people, end, start } = this.track;
    const found = people.size === 1 ? "one person" : people.size ? `${people.size} people` : "no face found";
    const why = end.stopped?.includes("this server") ? "Reading" : "The file is damaged or cut short; reading";
    const stopped = end.stopped ? ` ${why} ${end.stopped}.` : "";
    return `${found} in ${end.frames} frames, read with ${start.model}.${stopped}`;
  }

  refresh() {
    const { what } = this.scrub;
    this.legend.replaceChildren(...occurring(this.track, what).map((name) => {
      const swatch = make("i", {});
      swatch.style.background = COLOURS[name] ?? "#888";
      return make("li", {}, swatch, name);
    }), make("li", { textContent: "Each curve is 0 at its line and 1 at the top." }));
    this.scrub.draw();
    this.show(this.time);
  }

  seek(time) {
    if (this.playable) this.video.currentTime = Math.min(time, this.video.duration || time);
    this.show(time);
  }

  toggle() {
    if (!this.playable) this.say("This browser cannot play this video; the cursor can still be moved.", true);
    else if (this.video.paused) this.video.play();
    else this.video.pause();
  }

  // While the video plays, the boxes and the cursor follow it with every frame of the screen.
  played() {
    if (this.play) this.play.textContent = this.video.paused ? "Play" : "Pause";
    this.show(this.video.currentTime);
    if (!this.video.paused) requestAnimationFrame(() => this.played());
  }

  show(time) {
    this.time = time;
    if (!this.track) return;
    const rows = this.track.facesAt(time);
    const { width, height } = this.track.start;
    frames(this.boxes, width, height, rows.map((row) => ({ box: [row.x, row.y, row.x + row.width, row.y + row.height] })));
    this.tags.replaceChildren(...rows.map((row) => {
      const tag = make("span", { className: "number", textContent: this.track.nameOf(this.track.person(row.face)) });
      tag.style.left = `${(100 * row.x) / width}%`;
      tag.style.top = `max(1.2rem, ${(100 * row.y) / height}%)`;
      return tag;
    }));
    this.people.show(rows);
    this.clock.textContent = `${clock(time)} of ${clock(this.track.duration)}`;
    this.scrub.show(time, !this.video.paused);
  }

  describe(time) {
    const rows = this.track.facesAt(time);
    const said = rows.map((row) => `${this.track.nameOf(this.track.person(row.face))} ${this.people.describe(row)}`);
    return [clock(time), ...(said.length ? said : ["no face"]), ...(this.track.isExcluded(time) ? ["excluded"] : [])].join("; ");
  }

  remove() {
    URL.revokeObjectURL(this.video.src);
    this.element.remove();
  }
}
