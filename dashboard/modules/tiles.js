// The numbers of the window, and the newest value above them.

import { serverNow } from "./api.js";
import { ago, count, NONE, number, rate, steady } from "./format.js";
import { SHOWABLE } from "./percentiles.js";

const WRITERS = { count, rate, min: number, mean: steady, max: number, p50: number, p90: number, p99: number, stddev: steady, sum: number };
const MEASURED = new Set(["min", "max", ...SHOWABLE]);

export class Tiles {
  #newest = null;
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

  /** Nothing known yet. */
  clear() {
    for (const cell of Object.values(this.cells)) write(cell, NONE, "");
    this.#newest = null;
    this.#places = 0;
    this.#tellNewest();
  }

  /** Which of the percentiles have a tile. */
  choose(names) {
    for (const name of SHOWABLE) this.cells[name].parentElement.hidden = !names.includes(name);
    this.root.classList.toggle("many", names.length > 0);
  }

  /** `places`: the decimals that the values of this view are written with. */
  show(statistics, places) {
    this.#places = places;
    for (const [name, cell] of Object.entries(this.cells)) {
      // An empty window has a sum of 0.0, which says nothing.
      const value = statistics.count || name === "count" || name === "rate" ? statistics[name] : null;
      write(cell, WRITERS[name](value, MEASURED.has(name) ? this.#places : undefined), value);
    }
  }

  /** `event`: {timestamp, value} or null. An older event than the one shown changes nothing. */
  newest(event, places) {
    this.#places = places;
    const time = event && Date.parse(event.timestamp) / 1000;
    if (!event || (this.#newest && time < this.#newest.time)) return;
    this.#newest = { time, value: event.value };
    this.#tellNewest();
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
