// Further lines in the chart: other series, or the same one earlier, as the means of the same steps.

import { getJson, passes, secondsOf, serverNow } from "./api.js";
import { pathOf } from "./patterns.js";
import { Repeated } from "./repeated.js";
import { wholeSteps } from "./steps.js";
import { earliest } from "./stretch.js";

const EVERY = 2000; // milliseconds
const SOON = 200; // milliseconds until the chart may have steps
/** The most series in one chart. */
export const MOST_SERIES = 8;

const key = (seconds) => Math.round(seconds * 1000);

export class Overlays {
  /** {name, series, shift in seconds, number, means}; by the start of a step, in milliseconds. */
  lines = [];
  #question = new Repeated();

  /** `changed()` after each reading. */
  constructor(changed) {
    this.changed = changed;
  }

  /** Follows these lines, [{name, series, match, shift}]; `drawn()` says what the chart has: {min, max, step}, null for now. */
  follow(lines, drawn, retention) {
    this.stop();
    const same = (a, b) => a.series === b.series && a.match === b.match && a.shift === b.shift;
    const known = (line) => this.lines.find((other) => same(line, other));
    this.lines = lines.map((line, number) => ({ ...line, number, means: known(line)?.means ?? new Map() }));
    if (lines.length) this.#question.start((signal) => this.#readAll(drawn(), retention ?? Infinity, signal), () => EVERY);
  }

  stop() {
    this.#question.stop();
  }

  /** The mean of a line in the step that begins then; null where it has none. */
  static mean(line, start) {
    return line.means.get(key(start)) ?? null;
  }

  async #readAll(stretch, retention, signal) {
    if (!stretch) return SOON;
    await Promise.all(this.lines.map((line) => this.#read(line, stretch, retention, signal)));
    this.changed();
  }

  async #read(line, { min, max, step }, retention, signal) {
    const path = pathOf("history", line);
    const now = serverNow();
    const range = { min: min - line.shift, max: max - line.shift };
    const { window, at } = wholeSteps(range, step, now - retention + step, now);
    const end = Math.min(secondsOf(at), now);
    if (range.max <= earliest(retention)) return line.means.clear();
    const begin = Math.max(secondsOf(at) - window, earliest(retention));
    const question = { at: new Date(end * 1000).toISOString(), window: Math.max(0.001, end - begin).toFixed(3), step };
    try {
      const { points } = (await getJson(path, question, signal)).body;
      line.means = new Map(points.map(({ start, mean }) => [Date.parse(start) + key(line.shift), mean]));
    } catch (error) {
      if (passes(error) || signal.aborted) throw error;
      line.means.clear(); // it reaches behind the retention, or may not be seen
    }
  }
}
