// Times as people write them, and the CSV files of events that `deadpan predict --events` reads.

import { table } from "./track.js";

// 75.25 seconds are 1:15.25 with two digits.
export function clock(seconds, digits = 2) {
  const ticks = Math.round(seconds * 10 ** digits);
  const whole = Math.floor(ticks / 10 ** digits);
  const part = digits ? `.${String(ticks % 10 ** digits).padStart(digits, "0")}` : "";
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  const start = hours ? `${hours}:${String(minutes).padStart(2, "0")}` : `${minutes}`;
  return `${start}:${String(whole % 60).padStart(2, "0")}${part}`;
}

export function secondsOf(text) {
  if (!/^(\d+:){0,2}\d+(\.\d*)?$/.test(text.trim())) throw new Error(`expected a time in seconds (75.5) or in minutes and seconds (1:15.5), got “${text.trim()}”`);
  return text.trim().split(":").reduce((total, part) => 60 * total + Number(part), 0);
}

export function rangeOf(from, to) {
  const range = { from: secondsOf(from), to: secondsOf(to) };
  if (range.from >= range.to) throw new Error(`a range must end after it begins; got ${from.trim()} to ${to.trim()}`);
  return range;
}

// The rows of a CSV text; a quoted cell may hold commas, quotes and line breaks.
function cellsOf(text) {
  const rows = [[]];
  const cells = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|\r|$)/gy;
  for (let found; cells.lastIndex < text.length && (found = cells.exec(text));) {
    rows.at(-1).push(found[1] === undefined ? found[2].trim() : found[1].replaceAll('""', '"'));
    if (found[3] !== ",") rows.push([]);
  }
  return rows.filter((row) => row.some(Boolean));
}

export function eventsOf(text) {
  const [header = [], ...rows] = cellsOf(text.replace(/^\ufeff/, ""));
  const missing = ["name", "from", "to"].filter((name) => !header.includes(name));
  if (missing.length) throw new Error(`expected the columns name,from,to,participant; got ${header.join(",") || "nothing"}`);
  const cell = (row, name) => row[header.indexOf(name)] ?? "";
  return rows.map((row, index) => {
    try {
      const who = cell(row, "participant");
      if (!/^\d*$/.test(who)) throw new Error(`expected the number of a face as participant, or nothing for everyone; got “${who}”`);
      return { name: cell(row, "name"), ...rangeOf(cell(row, "from"), cell(row, "to")), participant: who ? Number(who) : null };
    } catch (error) {
      throw new Error(`event ${index + 1}: ${error.message}`);
    }
  });
}

export function csvOfEvents(events) {
  const round = (time) => Number(time.toFixed(3));
  return table([["name", "from", "to", "participant"], ...events.map(({ name, from, to, participant }) => [name, round(from), round(to), participant])]);
}
