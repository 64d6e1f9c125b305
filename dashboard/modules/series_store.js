// All series the service knows, kept fresh at a pace that suits their number.

import { getJson, secondsOf } from "./api.js";
import { Repeated } from "./repeated.js";

const PAGE = 1000;
const FASTEST = 0.7; // seconds between two readings of the whole list
const SLOWEST = 30;
const SERIES_A_SECOND = 500;

export class SeriesStore {
  /** By name: {series, count, last}; last is {timestamp, value} or null. */
  infos = new Map();
  loaded = false;
  #question = new Repeated();

  /** `changed()` after each reading. */
  constructor(changed) {
    this.changed = changed;
  }

  get period() {
    return Math.min(SLOWEST, Math.max(FASTEST, this.infos.size / SERIES_A_SECOND));
  }

  /** Reads the list now, and again and again from then on. */
  start() {
    this.#question.start((signal) => this.#read(signal), () => this.period * 1000);
  }

  stop() {
    this.#question.stop();
  }

  /** Takes an event that reached the page some other way; returns whether it is news. */
  touch(series, last) {
    const info = this.infos.get(series);
    if (!info || (info.last && secondsOf(last.timestamp) < secondsOf(info.last.timestamp))) return false;
    info.last = last;
    return true;
  }

  /** The first time the page begins with what the first answer brings: all of them may take a while. */
  async #read(signal) {
    const infos = new Map();
    let after = null;
    do {
      const { body } = await getJson("series", { limit: PAGE, after }, signal);
      for (const info of body.series) infos.set(info.series, info);
      after = body.next;
      this.loaded ||= after === null;
      if (after === null || !this.loaded) this.#take(infos);
    } while (after !== null);
  }

  #take(infos) {
    // A page asked for before an event came must not put the newer value back.
    for (const [name, info] of infos) if (isOlder(info, this.infos.get(name))) info.last = this.infos.get(name).last;
    this.infos = infos;
    this.changed();
  }
}

function isOlder(info, known) {
  return info.last && known?.last && info.count === known.count && secondsOf(info.last.timestamp) < secondsOf(known.last.timestamp);
}
