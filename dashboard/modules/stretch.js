// The statistics of the stretch of time that the chart is zoomed to.

import { getJson, passes, serverNow } from "./api.js";
import { pathOf } from "./patterns.js";
import { Repeated } from "./repeated.js";

const SETTLED_AFTER = 250; // milliseconds for which a zoom stands still before it is asked about
const AGAIN_AFTER = 4000; // late events change what is past
const EDGE = 5; // seconds: the retention moves on while a question is on its way

export class Stretch {
  /** Null until they are there. */
  statistics = null;
  range = null;
  #question = new Repeated();
  #settling = null;

  /** `changed()` when there are other statistics. */
  constructor(changed) {
    this.changed = changed;
  }

  /** Follows this range ({min, max} in seconds) of a series, or of those that match; null: none. `retention` in seconds, if it is known. */
  look(range, { series, match, include, retention }) {
    this.stop();
    [this.range, this.statistics] = [range, null];
    if (!range) return;
    const path = pathOf("statistics", { series, match });
    const ask = (signal) => this.#read(path, include, retention ?? Infinity, signal);
    this.#settling = setTimeout(() => this.#question.start(ask, () => AGAIN_AFTER), SETTLED_AFTER);
  }

  stop() {
    this.#question.stop();
    clearTimeout(this.#settling);
  }

  async #read(path, include, retention, signal) {
    const { range } = this;
    try {
      const found = (await getJson(path, { ...questionOf(range, retention), include }, signal)).body;
      this.statistics = { ...found, rate: found.count / (range.max - range.min) };
    } catch (error) {
      if (signal.aborted || passes(error)) throw error;
      this.statistics = {}; // it reaches behind the retention: there is nothing to tell
    }
    this.changed();
  }
}

/** The first moment that may be asked for, where events are retained for so many seconds. */
export function earliest(retention) {
  return serverNow() - retention + EDGE;
}

/** What asks for the statistics of a range of times, as far as they are retained. */
export function questionOf({ min, max }, retention) {
  const end = Math.min(max, serverNow());
  const begin = Math.max(min, earliest(retention));
  return { at: new Date(end * 1000).toISOString(), window: Math.max(0.001, end - begin).toFixed(3) };
}
