// The numbers of the window, and the newest value above them.

import { serverNow } from "./api.js";
import { ago, count, NONE, number, places, rate, steady } from "./format.js";
import { SHOWABLE } from "./percentiles.js";

const WRITERS = { count, rate, min: number, mean: steady, max: number, p50: number, p90: number, p99: number, stddev: steady, sum: number };
const REMEMBERED = 300; // values; so many that decimals do not come and go
const MEASURED = new Set(["min", "max", ...SHOWABLE]);

export class Tiles {
  #newest = null;
  #seen = []; // values of this view that its decimals are chosen by
  #places = 0;
  #frame = null;

  constructor(root, { value, age }) {
    this.cells = Object.fromEntries(
      Object.keys(WRITERS).map((name) => [name, root.querySelector(`[data-tile=${name}]`)]),
    );
    this.root = root;
    this.value = value;
    this.age = age;
    setInterval(() => this.#tellAge(), 1000);
  }

  /** Nothing known yet. `mixed`: the values will be of many series, so their decimals have nothing in common. */
  clear(mixed) {
    for (const cell of Object.values(this.cells)) write(cell, NONE, "");
    this.#newest = null;
    this.#seen = [];
    this.#places = 0;
    this.mixed = mixed;
    this.#tellNewest();
  }

  /** Which of the percentiles have a tile. */
  choose(names) {
    for (const name of SHOWABLE) this.cells[name].parentElement.hidden = !names.includes(name);
    this.root.classList.toggle("many", names.length > 0);
  }

  show(statistics) {
    const { min, max, last } = statistics;
    this.#learn([min, max, last?.value]);
    for (const [name, cell] of Object.entries(this.cells)) {
      // An empty window has a sum of 0.0, which says nothing.
      const value = statistics.count || name === "count" || name === "rate" ? statistics[name] : null;
      write(cell, WRITERS[name](value, MEASURED.has(name) ? this.#places : undefined), value);
    }
  }

  /** `event`: {timestamp, value} or null. An older event than the one shown changes nothing. */
  newest(event) {
    const time = event && Date.parse(event.timestamp) / 1000;
    if (!event || (this.#newest && time < this.#newest.time)) return;
    this.#newest = { time, value: event.value };
    this.#tellNewest();
  }

  #learn(values) {
    if (this.mixed) return;
    this.#seen = [...values, ...this.#seen].slice(0, REMEMBERED);
    this.#places = places(this.#seen);
  }

  /** Once a frame at most: a busy series has thousands of events a second. */
  #tellNewest() {
    this.#frame ??= requestAnimationFrame(() => {
      this.#frame = null;
      const value = this.#newest?.value;
      write(this.value, number(value, this.#places), value ?? "");
      this.#tellAge();
    });
  }

  #tellAge() {
    const text = this.#newest ? ago(serverNow() - this.#newest.time) : "";
    if (this.age.textContent !== text) this.age.textContent = text;
  }
}

function write(cell, text, exact) {
  if (cell.textContent === text) return;
  cell.textContent = text;
  cell.title = exact ?? "";
}
