// Small courses beside the series in sight: fetched few at a time, kept, drawn as SVG.

import { getJson, pauseAfter } from "./api.js";

const EVENTS = 60;
const FRESH = 4000; // milliseconds before a row in sight asks again
const AT_ONCE = 3;
const KEPT = 400;
const WIDTH = 72;
const HEIGHT = 20;

export class Sparklines {
  #known = new Map(); // name -> {path, at, timestamp}
  #busy = new Set();
  #rows = []; // in sight

  /** `learn(name, values)` and `ready(name)` when there is a new course to draw. */
  constructor({ learn, ready }) {
    this.learn = learn;
    this.ready = ready;
  }

  path(name) {
    return this.#known.get(name)?.path ?? "";
  }

  /** Fetches what is missing or old among the rows in sight, [{series, last}]: one after the other, what is missing
      first, then what was fetched longest ago. */
  want(rows) {
    this.#rows = rows;
    while (this.#busy.size < AT_ONCE) {
      const next = this.#due()[0];
      if (next === undefined) return;
      this.#fetch(next);
    }
  }

  #due() {
    const now = performance.now();
    const isDue = ({ series, last }) => {
      const known = this.#known.get(series);
      const isFresh = known && (known.timestamp === last?.timestamp || now - known.at < FRESH);
      return last && !isFresh && !this.#busy.has(series);
    };
    const at = (series) => this.#known.get(series)?.at ?? -Infinity;
    const names = this.#rows.filter(isDue).map(({ series }) => series);
    return names.sort((a, b) => (at(a) < at(b) ? -1 : at(a) > at(b) ? 1 : 0));
  }

  async #fetch(series) {
    this.#busy.add(series);
    let events = null;
    let pause = 0;
    try {
      events = (await getJson(`series/${encodeURIComponent(series)}/events`, { limit: EVENTS })).body.events;
    } catch (error) {
      pause = pauseAfter(error, 0); // the row keeps what it has; asked again when it is next in sight after that
    }
    this.#busy.delete(series);
    const values = events?.map((event) => event.value) ?? [];
    const drawn = events ? { path: draw(values), timestamp: events.at(-1)?.timestamp } : {};
    const before = this.#known.get(series);
    this.#known.delete(series); // to the end: the one asked for longest ago is forgotten first
    this.#known.set(series, { ...before, ...drawn, at: performance.now() + pause });
    if (this.#known.size > KEPT) this.#known.delete(this.#known.keys().next().value);
    this.learn(series, values);
    this.ready(series);
    if (!pause) this.want(this.#rows);
  }
}

/** An SVG path through the events, evenly spaced: what matters here is the shape. */
function draw(values) {
  const low = Math.min(...values);
  const range = Math.max(...values) - low || 1;
  const flat = values.every((value) => value === values[0]);
  const x = (i) => ((i / Math.max(1, values.length - 1)) * (WIDTH - 4) + 2).toFixed(1);
  const y = (value) => (flat ? HEIGHT / 2 : HEIGHT - 3 - ((value - low) / range) * (HEIGHT - 6)).toFixed(1);
  if (values.length === 1) return `M2 ${HEIGHT / 2}H${WIDTH - 2}`;
  return `M${values.map((value, i) => `${x(i)} ${y(value)}`).join("L")}`;
}
