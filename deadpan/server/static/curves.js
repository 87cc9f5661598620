// The bar under a video: one curve for each person, events, what is excluded, and a cursor to move by mouse or keyboard.

import { make } from "./face.js";
import { COLOURS, DISTANCE } from "./track.js";
import { clock } from "./times.js";

const MOST_PEOPLE = 12;
const STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600];
const [TOP, BOTTOM, GAP] = [20, 20, 6];
const FONT = "12px system-ui, sans-serif";

// The people with the most rows, in the order of their numbers.
export function inPlot(track) {
  const longest = [...track.people].sort((a, b) => b[1].length - a[1].length).slice(0, MOST_PEOPLE);
  return longest.sort((a, b) => a[0] - b[0]);
}

const laneHeight = (count) => (count <= 3 ? 72 : 48);

export function heightOf(track) {
  const count = Math.max(1, inPlot(track).length);
  return TOP + BOTTOM + count * (laneHeight(count) + GAP);
}

export function coloursOfPage() {
  const style = getComputedStyle(document.documentElement);
  const [paper, ink, faint, rule] = ["--paper", "--ink", "--faint", "--rule"].map((name) => style.getPropertyValue(name).trim());
  return { paper, ink, faint, rule };
}

export const ON_PAPER = { paper: "#fff", ink: "#1c2026", faint: "#5a6270", rule: "#d8dce3" };

export function drawCurves(pen, track, width, what, colours) {
  const people = inPlot(track);
  const height = heightOf(track);
  const scale = (time) => (width * time) / track.duration;
  pen.fillStyle = colours.paper;
  pen.fillRect(0, 0, width, height);
  pen.font = FONT;
  drawAxis(pen, track, width, height, scale, colours);
  const lane = laneHeight(people.length || 1);
  people.forEach(([face, rows], index) => {
    const top = TOP + index * (lane + GAP);
    drawLane(pen, track, { face, rows, top, lane, width, what, scale, colours });
  });
  for (const event of track.events) {
    const index = people.findIndex(([face]) => face === event.participant);
    const [top, bottom] = index < 0 ? [TOP, height - BOTTOM] : [TOP + index * (lane + GAP), TOP + index * (lane + GAP) + lane];
    pen.fillStyle = colours.ink;
    pen.globalAlpha = 0.12;
    pen.fillRect(scale(event.from), top, Math.max(1, scale(event.to - event.from)), bottom - top);
    pen.globalAlpha = 1;
    pen.fillRect(scale(event.from), index < 0 ? 2 : top, 1, bottom - (index < 0 ? 2 : top));
    write(pen, event.name, Math.max(0, Math.min(scale(event.from) + 4, width - 60)), index < 0 ? 13 : bottom - 5, colours, width);
  }
  for (const { from, to } of track.excluded) hatch(pen, scale(from), TOP, scale(to) - scale(from), height - TOP - BOTTOM, colours);
  if (track.readUntil < track.duration - 2 * track.step) {
    hatch(pen, scale(track.readUntil), TOP, width - scale(track.readUntil), height - TOP - BOTTOM, colours);
    write(pen, "not read", scale(track.readUntil) + 4, TOP + 14, colours, width);
  }
}

function drawAxis(pen, track, width, height, scale, colours) {
  const step = STEPS.find((each) => scale(each) >= 70) ?? 7200;
  pen.fillStyle = colours.faint;
  pen.textAlign = "center";
  for (let index = 1; index * step < track.duration; index++) {
    const x = scale(index * step);
    if (x < 20 || x > width - 20) continue;
    pen.fillRect(x, height - BOTTOM, 1, 4);
    pen.fillText(clock(index * step, step < 1 ? 1 : 0), x, height - 3);
  }
  pen.textAlign = "left";
}

function drawLane(pen, track, { face, rows, top, lane, width, what, scale, colours }) {
  const base = top + lane;
  const y = (value) => base - value * (lane - 2);
  const points = thinned(rows.filter((row) => row[what] !== null), what, scale);
  const reach = Math.max(1, 5 * track.step);
  points.forEach((row, index) => {
    const next = points[index + 1];
    const joined = next && next.time_s - row.time_s <= reach;
    const [x0, x1] = [scale(row.time_s), joined ? scale(next.time_s) : Math.max(scale(row.time_s) + 1, scale(row.time_s + track.step))];
    pen.fillStyle = COLOURS[what === DISTANCE ? track.shown(row) : what] ?? "#888";
    pen.beginPath();
    pen.moveTo(x0, base);
    pen.lineTo(x0, y(row[what]));
    pen.lineTo(x1 + 1, y(joined ? next[what] : row[what]));
    pen.lineTo(x1 + 1, base);
    pen.fill();
    pen.strokeStyle = colours.ink;
    pen.beginPath();
    pen.moveTo(x0, y(row[what]));
    pen.lineTo(x1, y(joined ? next[what] : row[what]));
    pen.stroke();
  });
  pen.fillStyle = colours.rule;
  pen.fillRect(0, base, width, 1);
  const unknown = points.length ? "" : ": the face at rest is unknown";
  write(pen, track.nameOf(face) + unknown, 4, top + 13, colours, width);
}

// The highest point of each pixel, so that a long video is drawn as fast as a short one.
function thinned(rows, what, scale) {
  const points = [];
  for (const row of rows) {
    const last = points.at(-1);
    if (!last || Math.floor(scale(row.time_s)) !== Math.floor(scale(last.time_s))) points.push(row);
    else if (row[what] > last[what]) points[points.length - 1] = row;
  }
  return points;
}

function write(pen, text, x, y, colours, width) {
  pen.lineWidth = 4;
  pen.lineJoin = "round";
  pen.strokeStyle = colours.paper;
  pen.strokeText(text, x, y, width - x);
  pen.lineWidth = 1;
  pen.fillStyle = colours.ink;
  pen.fillText(text, x, y, width - x);
}

function hatch(pen, left, top, width, height, colours) {
  pen.save();
  pen.beginPath();
  pen.rect(left, top, width, height);
  pen.clip();
  pen.fillStyle = colours.paper;
  pen.globalAlpha = 0.75;
  pen.fill();
  pen.globalAlpha = 1;
  pen.strokeStyle = colours.faint;
  for (let x = left - height; x < left + width; x += 8) {
    pen.beginPath();
    pen.moveTo(x, top + height);
    pen.lineTo(x + height, top);
    pen.stroke();
  }
  pen.restore();
}

// A slider in the form of the curves: `seek(time)` is called when it is moved, `toggle()` when Space is pressed.
export class Scrub {
  constructor(track, { seek, toggle, describe }) {
    Object.assign(this, { track, seek, toggle, describe });
    [this.time, this.told] = [0, 0];
    this.what = DISTANCE;
    this.still = document.createElement("canvas");
    this.element = make("canvas", { className: "scrub", tabIndex: 0, role: "slider", ariaLabel: "Time in the video", ariaValueMin: "0" });
    this.element.addEventListener("keydown", (event) => this.press(event));
    const follow = (event) => {
      const { left, width } = this.element.getBoundingClientRect();
      this.go(this.track.duration * ((event.clientX - left) / width));
    };
    this.element.addEventListener("pointerdown", (event) => {
      this.element.setPointerCapture(event.pointerId);
      follow(event);
    });
    this.element.addEventListener("pointermove", (event) => {
      if (event.buttons) follow(event);
    });
    new ResizeObserver(() => this.draw()).observe(this.element);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  press(event) {
    const { frames, duration } = this.track;
    const index = this.track.indexAt(this.time);
    const places = {
      ArrowRight: frames[Math.min(index + 1, frames.length - 1)]?.time, ArrowUp: frames[Math.min(index + 1, frames.length - 1)]?.time,
      ArrowLeft: frames[Math.max(index - 1, 0)]?.time, ArrowDown: frames[Math.max(index - 1, 0)]?.time,
      PageUp: this.time + duration / 10, PageDown: this.time - duration / 10, Home: 0, End: frames.at(-1)?.time,
    };
    if (event.key === " ") this.toggle();
    else if (places[event.key] !== undefined) this.go(places[event.key]);
    else return;
    event.preventDefault();
  }

  go(time) {
    this.seek(Math.min(Math.max(time, 0), this.track.duration));
  }

  // Moves the cursor; a screen reader is told at once, but only every two seconds while the video plays.
  show(time, plays) {
    this.time = time;
    this.drawCursor();
    const now = performance.now();
    if (plays && now - this.told < 2000) return;
    this.told = now;
    this.element.ariaValueMax = this.track.duration.toFixed(2);
    this.element.ariaValueNow = time.toFixed(2);
    this.element.ariaValueText = this.describe(time);
  }

  // Draws everything anew: after a change of the curves, their colours or the width.
  draw() {
    const width = this.element.clientWidth;
    if (!width) return;
    const height = heightOf(this.track);
    const ratio = devicePixelRatio || 1;
    this.element.style.height = `${height}px`;
    for (const canvas of [this.element, this.still]) Object.assign(canvas, { width: Math.round(width * ratio), height: Math.round(height * ratio) });
    const pen = this.still.getContext("2d");
    pen.scale(ratio, ratio);
    drawCurves(pen, this.track, width, this.what, coloursOfPage());
    this.drawCursor();
  }

  drawCursor() {
    const pen = this.element.getContext("2d");
    const { width, height } = this.element;
    if (!this.still.width || !width) return;
    pen.drawImage(this.still, 0, 0);
    const x = Math.min(width - 2, Math.max(1, (width * this.time) / this.track.duration));
    pen.fillStyle = coloursOfPage().ink;
    pen.fillRect(x - 1, 0, 2, height);
  }
}

// The curves as a PNG, on white, with a title and the colours that occur.
export function picture(track, what, title) {
  const [width, head] = [1400, 44];
  const canvas = make("canvas", { width: 2 * width, height: 2 * (heightOf(track) + head) });
  const pen = canvas.getContext("2d");
  pen.scale(2, 2);
  pen.fillStyle = ON_PAPER.paper;
  pen.fillRect(0, 0, width, heightOf(track) + head);
  pen.fillStyle = ON_PAPER.ink;
  pen.font = "600 14px system-ui, sans-serif";
  pen.fillText(`${title}: ${what === DISTANCE ? "distance from rest" : what}`, 4, 18);
  pen.font = FONT;
  let x = 4;
  for (const name of occurring(track, what)) {
    pen.fillStyle = COLOURS[name] ?? "#888";
    pen.fillRect(x, 27, 11, 11);
    pen.fillStyle = ON_PAPER.ink;
    pen.fillText(name, x + 16, 37);
    x += 32 + pen.measureText(name).width;
  }
  pen.translate(0, head);
  drawCurves(pen, track, width, what, ON_PAPER);
  return new Promise((done) => canvas.toBlob(done, "image/png"));
}

export function occurring(track, what) {
  if (what !== DISTANCE) return [what];
  const found = new Set(inPlot(track).flatMap(([, rows]) => rows.map((row) => track.shown(row))));
  return ["neutral", ...track.start.expressions.filter((name) => name !== "neutral")].filter((name) => found.has(name));
}
