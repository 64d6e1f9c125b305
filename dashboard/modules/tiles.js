// The numbers of the window, and the newest value above them.

import { secondsOf, serverNow } from "./api.js";
import { make, write } from "./elements.js";
import { ago, count, NONE, number, rate, steady } from "./format.js";
import { measured } from "./units.js";

const WRITERS = { count, rate, min: number, mean: steady, max: number, stddev: steady, sum: number };
const PLAIN = new Set(["count", "rate"]);
const COMPUTED = new Set(["count", "rate", "mean", "stddev", "sum"]);

export class Tiles {
  #newest = null;
  #places = 0;
  #frame = null;
  #since = null; // what is shown is of then, while there are no answers: {since, seconds}

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
    for (const cell of Object.values(this.cells)) fill(cell, NONE, "");
    this.#newest = null;
    this.#places = 0;
    this.#tellNewest();
  }

  /** Which of the percentiles have a tile. */
  choose(names) {
    for (const old of this.root.querySelectorAll("[data-added]")) old.remove();
    this.cells = Object.fromEntries(Object.keys(WRITERS).map((name) => [name, this.cells[name]]));
    for (const name of names) this.cells[name] = this.#add(name);
    this.root.classList.toggle("many", names.length > 0);
  }

  #add(name) {
    const tile = document.createElement("div");
    const cell = make("dd", NONE);
    [cell.dataset.tile, tile.dataset.added] = [name, ""];
    tile.append(make("dt", name), cell);
    this.root.append(tile);
    return cell;
  }

  /** `places`: the decimals that the values of this view are written with. */
  show(statistics, places) {
    this.#places = places;
    for (const [name, cell] of Object.entries(this.cells)) {
      // An empty window has a sum of 0.0, which says nothing.
      const value = statistics.count || name === "count" || name === "rate" ? statistics[name] : null;
      const plain = (x) => (WRITERS[name] ?? number)(x, COMPUTED.has(name) ? undefined : this.#places);
      fill(cell, PLAIN.has(name) ? plain(value) : measured(value, plain), value);
    }
  }

  /** `event`: {timestamp, value} or null. An older event than the one shown changes nothing. */
  newest(event, places) {
    this.#places = places;
    const time = event && secondsOf(event.timestamp);
    if (!event || (this.#newest && time < this.#newest.time)) return;
    this.#newest = { time, value: event.value };
    this.#tellNewest();
  }

  /** Once a frame at most: a busy series has thousands of events a second. */
  #tellNewest() {
    this.#frame ??= requestAnimationFrame(() => {
      this.#frame = null;
      const value = this.#newest?.value;
      fill(this.value, measured(value, (x) => number(x, this.#places)), value ?? "");
      this.#tellAge();
    });
  }

  /** Says that all of this is of an earlier moment, such as "14:03:21", so many seconds ago; null: of now. */
  outdated(since, seconds) {
    this.#since = since === null ? null : { since, seconds };
    this.#tellAge();
  }

  #tellAge() {
    const age = this.#newest ? ago(serverNow() - this.#newest.time) : "";
    write(this.age, this.#since ? `as of ${this.#since.since}, no data for ${this.#since.seconds} s` : age);
  }
}

/** Gives a cell this text, and the number as it is where the pointer rests on it. */
function fill(cell, text, exact) {
  write(cell, text);
  cell.title = exact ?? "";
}
