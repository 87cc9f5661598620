// Events and excluded ranges of a video: loaded, added by hand at the cursor, listed, saved.

import { make } from "./face.js";
import { clock, csvOfEvents, eventsOf, rangeOf } from "./times.js";

export class Marks {
  constructor(track, { changed, say, seek, time, save }) {
    Object.assign(this, { track, changed, say, seek, time, save });
    this.list = make("ul", { className: "marks" });
    this.file = make("input", { type: "file", accept: ".csv,text/csv", hidden: true, ariaLabel: "Events" });
    this.file.addEventListener("change", () => this.load());
    this.element = make("details", { className: "tools" }, make("summary", { textContent: "Events and excluded ranges" }), this.form(), this.list, this.file);
    this.build();
  }

  form() {
    const button = (textContent, act) => {
      const made = make("button", { type: "button", textContent });
      made.addEventListener("click", act);
      return made;
    };
    const field = (label, size) => {
      const input = make("input", { size, ariaLabel: label });
      return [input, make("label", {}, label, input)];
    };
    const [name, nameLabel] = field("Name", 12);
    const [from, fromLabel] = field("From", 7);
    const [to, toLabel] = field("To", 7);
    this.who = make("select", {});
    const here = (input) => () => { input.value = clock(this.time()); };
    const add = (kind) => () => {
      try {
        const range = rangeOf(from.value, to.value);
        if (kind === "event") this.track.events.push({ name: name.value.trim() || "event", ...range, participant: this.who.value ? Number(this.who.value) : null });
        else this.track.excluded.push(range);
      } catch (error) {
        this.say(`This range cannot be used: ${error.message}.`, true);
        return;
      }
      this.finish(kind === "event" ? "The event is added." : "The range is excluded: its rows are not in the saved table.");
    };
    this.saveButton = button("Save the events", () => this.save(new Blob([csvOfEvents(this.track.events)], { type: "text/csv" }), "events.csv"));
    return make("div", {},
      make("p", { className: "actions" }, fromLabel, button("From the cursor", here(from)), toLabel, button("To the cursor", here(to))),
      make("p", { className: "actions" }, nameLabel, make("label", {}, "Who", this.who), button("Add an event", add("event")), button("Exclude this range", add("excluded"))),
      make("p", { className: "actions" }, button("Load events (CSV)", () => this.file.click()), this.saveButton));
  }

  async load() {
    const [file] = this.file.files;
    this.file.value = "";
    if (!file) return;
    try {
      const events = eventsOf(await file.text());
      if (!events.length) throw new Error("no event found below the header");
      for (const event of events) if (event.participant !== null) event.participant = this.track.person(event.participant);
      this.track.events.push(...events);
      this.finish(`${file.name}: ${events.length} ${events.length === 1 ? "event" : "events"}.`);
    } catch (error) {
      this.say(`${file.name}: ${error.message}`, true);
    }
  }

  finish(said) {
    this.build();
    this.changed();
    this.say(said);
  }

  build() {
    const { events, excluded, people } = this.track;
    const option = (value, textContent) => make("option", { value, textContent });
    const chosen = this.who.value;
    this.who.replaceChildren(option("", "everyone"), ...[...people.keys()].map((face) => option(face, this.track.nameOf(face))));
    this.who.value = [...this.who.options].some(({ value }) => value === chosen) ? chosen : "";
    this.saveButton.disabled = !events.length;
    this.list.replaceChildren(...events.map((event) => this.row(event, events)), ...excluded.map((range) => this.row(range, excluded)));
  }

  row(mark, all) {
    const name = all === this.track.excluded ? "excluded" : mark.name;
    const go = make("button", { type: "button", textContent: name, ariaLabel: `Go to ${name}, ${clock(mark.from)}` });
    go.addEventListener("click", () => this.seek(mark.from));
    const remove = make("button", { type: "button", textContent: "Remove", ariaLabel: `Remove ${name}, ${clock(mark.from)}` });
    remove.addEventListener("click", () => {
      all.splice(all.indexOf(mark), 1);
      this.finish(`${name} is removed.`);
    });
    const found = all === this.track.excluded ? [] : this.track.summary(mark);
    const means = found.map(({ face, mean, maximum }) => `${this.track.nameOf(face)}: mean ${mean.toFixed(2)}, maximum ${maximum.toFixed(2)} from rest`);
    const who = (mark.participant ?? null) === null || found.length ? "" : `, ${this.track.nameOf(mark.participant)}`;
    return make("li", {}, go, make("span", {}, [`${clock(mark.from)} to ${clock(mark.to)}${who}`, ...means].join("; ")), remove);
  }
}
