// The window laid out in steps, as `GET /history` has it: fetched whole, then kept up where events come in.

import { getJson, passes, pauseAfter, secondsOf, serverNow } from "./api.js";
import { pathOf } from "./patterns.js";
import { stepFor, wholeSteps } from "./steps.js";

const EVERY = 1000; // milliseconds
const WHOLE_EVERY = 20_000; // late events, and series that end, change older steps too
const CLOCKS_APART = 3; // seconds by which the server's clock may be ahead of what is known of it
const COARSER = 1.01; // times; a window of a count grows while it is fetched
const SETTLED_AFTER = 250; // milliseconds for which a zoom stands still before it is looked at closer

const countOf = (points) => points.reduce((sum, { count }) => sum + count, 0);

/** The points of an answer, with times in seconds. */
function read({ points }) {
  return points.map((point) => ({ ...point, start: secondsOf(point.start), end: secondsOf(point.end) }));
}

export class History {
  /** By time: {start, end, count, min, max, mean, p99...}; start and end in seconds. */
  points = [];
  #range = null; // what the chart is zoomed to
  #closer = null; // {range, points}: finer steps of it
  #step = null;
  #first = null; // of a window of so many events: when it begins
  #abort = new AbortController();
  #looking = null;
  #timer = null;
  #settling = null;
  #wholeAt = -Infinity;
  #asOf = 0; // when what is known was asked for; some events may be dated ahead of that
  #isBeyond = false; // a window of so many events begins before the retention: draw the configured one

  /** `on`: changed() after each change, refused(problem), width() in pixels of what it is drawn on. */
  constructor({ series, match, window, show, step }, on) {
    this.path = pathOf("history", { series, match });
    this.window = window;
    this.include = show.join(",") || null;
    this.chosenStep = step;
    this.on = on;
    if (!window.last) this.#run();
  }

  stop() {
    this.#abort.abort();
    this.#looking?.abort();
    clearTimeout(this.#timer);
    clearTimeout(this.#settling);
  }

  /** How many events there are in all of its steps. */
  get count() {
    return countOf(this.points);
  }

  /** How long the steps of a range are, in seconds; null before they are there. */
  stepWithin(range) {
    const [first] = this.within(range);
    return first ? Math.round((first.end - first.start) * 1000) / 1000 : null;
  }

  /** The points to draw a stretch of time with, which is all of it unless there is a `range`. */
  within(range) {
    return range && covers(this.#closer?.range, range) ? this.#closer.points : this.points;
  }

  /** A window of so many events reaches back to the first of them. */
  begin(event) {
    if (!this.window.last || !event) return;
    const isFirst = this.#first === null;
    this.#first = secondsOf(event.timestamp);
    if (isFirst) this.#run();
  }

  /** Has finer steps fetched of a stretch of time, once it stands still; null: no longer. */
  look(range) {
    this.#range = range;
    clearTimeout(this.#settling);
    if (range) this.#settling = setTimeout(() => this.#look(), SETTLED_AFTER);
  }

  /** What asks `GET /history` for a range, or for the whole window, in steps of so many seconds. */
  query(range = null, step = this.#fitting(range)) {
    const span = this.#span;
    const { include } = this;
    if (range) return { ...wholeSteps(range, step, this.points[0]?.end ?? 0, serverNow()), step, include };
    if (this.#isBeyond) return { step, include };
    return { window: this.window.last ? span.toFixed(6) : this.window.text, step, include };
  }

  #fitting(range) {
    const span = range ? range.max - range.min : this.#span;
    return this.chosenStep ?? stepFor(span, this.on.width(), this.#countWithin(range));
  }

  /** As many events as the steps known tell; without any, as many as one could draw. */
  #countWithin(range) {
    if (!this.points.length) return Infinity;
    return countOf(range ? this.points.filter(({ start, end }) => end > range.min && start < range.max) : this.points);
  }

  get #span() {
    return this.window.seconds ?? Math.max(1, serverNow() - this.#first);
  }

  async #run() {
    const { signal } = this.#abort;
    let pause = EVERY;
    try {
      await this.#update(signal);
      this.on.changed();
      if (this.#range?.max > serverNow() - EVERY / 500) this.#look();
    } catch (error) {
      if (signal.aborted || this.#isFinal(error)) return;
      pause = pauseAfter(error, EVERY);
    }
    if (!signal.aborted) this.#timer = setTimeout(() => this.#run(), pause);
  }

  /** What is refused once would be refused again. */
  #isFinal(error) {
    if (passes(error)) return false;
    // The last events of a series are kept beyond the retention, further back than a history goes.
    if (error.status === 400 && this.window.last && !this.#isBeyond) return !(this.#isBeyond = true);
    this.on.refused(error);
    return true;
  }

  async #update(signal) {
    const from = this.points.findLast(({ end }) => end <= this.#asOf)?.start;
    const reach = serverNow() - from + this.#step + CLOCKS_APART;
    if (!(reach < this.#span) || performance.now() - this.#wholeAt > WHOLE_EVERY) return this.#fetchWhole(signal);
    const asOf = serverNow();
    const { body } = await getJson(this.path, { ...this.query(), step: this.#step, window: reach.toFixed(3) }, signal);
    this.#asOf = asOf;
    const begin = serverNow() - this.#span;
    const before = this.points.filter((point) => point.start < from && point.end > begin);
    // The first of the answer may be part of a step; those from `from` on are whole.
    this.points = before.concat(read(body).filter((point) => point.start >= from));
  }

  async #fetchWhole(signal) {
    this.#wholeAt = performance.now();
    const query = this.query();
    this.#asOf = serverNow();
    this.points = read((await getJson(this.path, query, signal)).body);
    this.#step = query.step;
    if (this.query().step > query.step * COARSER) await this.#fetchWhole(signal); // so few events
  }

  async #look() {
    const range = this.#range;
    if (this.#step === null) return this.look(range); // later: what is finer is not known before the whole is there
    const query = this.query(range);
    this.#looking?.abort();
    this.#looking = new AbortController();
    const { signal } = this.#looking;
    if (query.step >= this.#step) return;
    try {
      this.#closer = { range, points: read((await getJson(this.path, query, signal)).body) };
      this.on.changed();
    } catch (error) {
      // The coarser steps stay, for now if the server has too much to do.
      if (signal.aborted || range !== this.#range || !passes(error)) return;
      this.#settling = setTimeout(() => this.#look(), pauseAfter(error, EVERY));
    }
  }
}

const covers = (outer, inner) => outer != null && outer.min <= inner.min && outer.max >= inner.max;
