// The series in the order of a statistic over the window, as the service ranks them.

import { getJson } from "./api.js";
import { Repeated } from "./repeated.js";
import { query } from "./windows.js";

const MOST = 1000;
const PLAIN = new Set(["count", "min", "max", "mean"]); // which every answer has

export class Ranking {
  /** By name, the first in the order first: the value of the statistic, null where there is no event. */
  values = new Map();
  #question = new Repeated();

  /** `changed()` after each reading, `period()` in seconds between two. */
  constructor({ changed, period }) {
    this.changed = changed;
    this.period = period;
  }

  /** Follows this order (such as `-p99`) over this window from now on. */
  follow(sort, window) {
    this.values = new Map();
    this.#question.start((signal) => this.#read(sort, window, signal), () => this.period() * 1000);
  }

  stop() {
    this.#question.stop();
  }

  async #read(sort, window, signal) {
    const name = sort.replace("-", "");
    const include = PLAIN.has(name) ? null : name;
    const { body } = await getJson("series", { ...query(window), sort, include, limit: MOST }, signal);
    this.values = new Map(body.series.map(({ series, statistics }) => [series, statistics[name]]));
    this.changed();
  }
}
