// The people of a video: renamed, made one where the same person was lost and found again, and what each shows now.

import { make, percent } from "./face.js";
import { DISTANCE } from "./track.js";

export class People {
  constructor(track, { changed, say }) {
    Object.assign(this, { track, changed, say });
    this.element = make("ul", { className: "people" });
    this.build();
  }

  build() {
    const faces = [...this.track.people.keys()];
    this.now = new Map();
    this.element.replaceChildren(...faces.map((face) => this.row(face, faces.filter((other) => other !== face))));
  }

  row(face, others) {
    const name = make("input", { value: this.track.names.get(face) ?? "", placeholder: `face ${face}`, ariaLabel: `Name of face ${face}`, maxLength: 40 });
    name.addEventListener("change", () => {
      this.track.names.set(face, name.value.trim());
      this.build();
      this.changed();
    });
    const now = make("span", { className: "now" });
    this.now.set(face, now);
    const item = make("li", {}, name, now);
    if (others.length) item.append(this.choice(face, others));
    if (this.track.isMerged(face)) {
      const apart = make("button", { type: "button", textContent: "Separate again", ariaLabel: `Separate ${this.track.nameOf(face)} again` });
      apart.addEventListener("click", () => this.finish(`${this.track.nameOf(face)} is separate again.`, () => this.track.separate(face)));
      item.append(apart);
    }
    return item;
  }

  choice(face, others) {
    const choice = make("select", { ariaLabel: `${this.track.nameOf(face)} is the same person as` }, make("option", { value: "", textContent: "same person as …" }));
    choice.append(...others.map((other) => make("option", { value: other, textContent: this.track.nameOf(other) })));
    choice.addEventListener("change", () => {
      const into = Number(choice.value);
      const against = this.track.merge(face, into);
      if (against) {
        this.say(against, true);
        choice.value = "";
      } else this.finish(`${this.track.nameOf(face)} and ${this.track.nameOf(into)} are one person now.`);
    });
    return choice;
  }

  finish(said, act = () => {}) {
    act();
    this.build();
    this.changed();
    this.say(said);
    this.element.querySelector("input")?.focus();
  }

  // What everyone shows in these rows.
  show(rows) {
    for (const [face, now] of this.now) {
      const row = rows.find((each) => this.track.person(each.face) === face);
      now.textContent = row ? this.describe(row) : "not in sight";
    }
  }

  describe(row) {
    const distance = row[DISTANCE] === null ? "" : `, ${row[DISTANCE].toFixed(2)} from rest`;
    return `${row.expression} ${percent(row.confidence)}${distance}`;
  }
}
