// The series in the order of a statistic over the window, as the service ranks them.

import { getJson, pauseAfter } from "./api.js";
import { query } from "./windows.js";

const MOST = 1000;

export class Ranking {
  /** By name, the first in the order first: the value of the statistic, null where there is no event. */
  values = new Map();
  #abort = null;
  #timer = null;

  /** `changed()` after each reading, `period()` in seconds between two. */
  constructor({ changed, period }) {
    this.changed = changed;
    this.period = period;
  }

  /** Follows this order (such as `-p99`) over this window from now on. */
  follow(sort, window) {
    this.stop();
    this.values = new Map();
    this.#abort = new AbortController();
    this.#run(sort, window, this.#abort.signal);
  }

  stop() {
    this.#abort?.abort();
    clearTimeout(this.#timer);
  }

  async #run(sort, window, signal) {
    const name = sort.replace("-", "");
    const include = PLAIN.has(name) ? null : name;
    let fault = null;
    try {
      const { body } = await getJson("series", { ...query(window), sort, include, limit: MOST }, signal);
      this.values = new Map(body.series.map(({ series, statistics }) => [series, statistics[name]]));
      this.changed();
    } catch (error) {
      if (signal.aborted) return; // else the connection state tells, and the next round tries again
      fault = error;
    }
    this.#timer = setTimeout(() => this.#run(sort, window, signal), pauseAfter(fault, this.period() * 1000));
  }
}

const PLAIN = new Set(["count", "min", "max", "mean"]);
