// What was read from a video, row by row as `deadpan predict` writes it, and what was said about its people and times.

export const COLOURS = { neutral: "#b8bec9", anger: "#d1495b", contempt: "#8d5a97", disgust: "#5b8c5a", fear: "#3d5a80", happiness: "#f2a541", sadness: "#5fa8d3", surprise: "#e07a5f" };
export const DISTANCE = "distance_from_rest";
const APART = 0.2;  // a face nearer to rest shows no expression, as in the plot of `deadpan predict`

export class Track {
  constructor(start) {
    this.start = start;
    this.end = null;
    this.rows = [];
    this.frames = [];
    this.names = new Map();
    this.merged = new Map();
    this.events = [];
    this.excluded = [];
    [this.cached, this.usualStep] = [null, null];
  }

  add(row) {
    const last = this.frames.at(-1);
    if (last?.number === row.frame) last.rows.push(row);
    else this.frames.push({ number: row.frame, time: row.time_s, rows: [row] });
    this.rows.push(row);
    [this.cached, this.usualStep] = [null, null];
  }

  // The usual time between two frames, in seconds.
  get step() {
    if (this.usualStep === null) {
      const steps = this.frames.slice(1).map((frame, index) => frame.time - this.frames[index].time).sort((a, b) => a - b);
      this.usualStep = steps[steps.length >> 1] ?? 1;
    }
    return this.usualStep;
  }

  // In seconds: what the header says, or what was read where frames come later.
  get duration() {
    return this.start.seconds > (this.frames.at(-1)?.time ?? 0) ? this.start.seconds : Math.max(this.readUntil, 0.1);
  }

  get readUntil() {
    return this.frames.length ? this.frames.at(-1).time + this.step : 0;
  }

  person(face) {
    return this.merged.has(face) ? this.person(this.merged.get(face)) : face;
  }

  // The rows of each person, by number.
  get people() {
    if (!this.cached) {
      this.cached = new Map();
      const numbers = [...new Set(this.rows.map(({ face }) => face))].filter((face) => face !== null);
      for (const face of numbers.map((each) => this.person(each)).sort((a, b) => a - b)) this.cached.set(face, []);
      for (const row of this.rows) if (row.face !== null) this.cached.get(this.person(row.face)).push(row);
    }
    return this.cached;
  }

  nameOf(face) {
    return this.names.get(face) || `face ${face}`;
  }

  // Makes two people one; says what is against it, if anything is.
  merge(face, into) {
    const together = this.frames.filter(({ rows }) => [face, into].every((one) => rows.some((row) => this.person(row.face) === one))).length;
    if (together) return `${this.nameOf(face)} and ${this.nameOf(into)} are both in sight in ${together} ${together === 1 ? "frame" : "frames"}, so they are two people.`;
    this.merged.set(face, into);
    for (const event of this.events) if (event.participant === face) event.participant = into;
    this.cached = null;
    return "";
  }

  separate(face) {
    for (const [one, into] of [...this.merged]) if (this.person(into) === face) this.merged.delete(one);
    this.cached = null;
  }

  isMerged(face) {
    return [...this.merged.values()].some((into) => this.person(into) === face);
  }

  isExcluded(time) {
    return this.excluded.some(({ from, to }) => time >= from && time < to);
  }

  // The number of the last frame at or before this time, -1 before the first one.
  indexAt(time) {
    let [low, high] = [0, this.frames.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.frames[middle].time <= time + 1e-3) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  // The rows with a face at this time; none where nothing was read.
  facesAt(time) {
    const frame = this.frames[this.indexAt(time)];
    if (!frame || time - frame.time > Math.max(3 * this.step, 0.2)) return [];
    return frame.rows.filter(({ face }) => face !== null);
  }

  // What the face shows, by the rule of the plot of `deadpan predict`.
  shown(row) {
    if (row[DISTANCE] === null) return row.expression;
    if (row[DISTANCE] < APART) return "neutral";
    return this.start.expressions.filter((name) => name !== "neutral").reduce((best, name) => (row[name] > row[best] ? name : best));
  }

  // For each person that an event concerns: the mean and the maximum of the distance from rest.
  summary({ from, to, participant }) {
    const found = [];
    for (const [face, rows] of this.people) {
      if (participant !== null && participant !== face) continue;
      const values = rows.filter(({ time_s: time }) => time >= from && time < to && !this.isExcluded(time)).map((row) => row[DISTANCE]).filter((value) => value !== null);
      if (values.length) found.push({ face, mean: values.reduce((sum, value) => sum + value) / values.length, maximum: values.reduce((a, b) => Math.max(a, b)) });
    }
    return found;
  }

  // The table that `deadpan predict` writes, without what is excluded; with a column of names if there are any.
  csv() {
    const columns = Object.keys(this.rows[0] ?? {});
    const named = [...this.people.keys()].some((face) => this.names.get(face));
    const rows = this.rows.filter(({ time_s: time }) => !this.isExcluded(time)).map((row) => {
      const face = row.face === null ? null : this.person(row.face);
      const cells = columns.map((column) => (column === "face" ? face : row[column]));
      return named ? [...cells, this.names.get(face)] : cells;
    });
    return table([named ? [...columns, "name"] : columns, ...rows]);
  }
}

export function table(rows) {
  const cell = (value) => (/[",\r\n]/.test(value ?? "") ? `"${value.replaceAll('"', '""')}"` : value ?? "");
  return rows.map((row) => `${row.map(cell).join(",")}\n`).join("");
}
