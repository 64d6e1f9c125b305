// All series the service knows, kept fresh at a pace that suits their number.

import { getJson, pauseAfter } from "./api.js";

const PAGE = 1000;
const FASTEST = 0.7; // seconds between two readings of the whole list
const SLOWEST = 30;
const SERIES_A_SECOND = 500;

export class SeriesStore {
  /** By name: {series, count, last}; last is {timestamp, value} or null. */
  infos = new Map();
  loaded = false;
  #timer = null;
  #reading = null;

  /** `changed()` after each reading. */
  constructor(changed) {
    this.changed = changed;
  }

  get period() {
    return Math.min(SLOWEST, Math.max(FASTEST, this.infos.size / SERIES_A_SECOND));
  }

  /** Reads the list now, and again and again from then on. */
  start() {
    this.stop();
    this.#reading = new AbortController();
    this.#run(this.#reading.signal);
  }

  stop() {
    this.#reading?.abort();
    clearTimeout(this.#timer);
  }

  /** Takes an event that reached the page some other way; returns whether it is news. */
  touch(series, last) {
    const info = this.infos.get(series);
    if (!info || (info.last && Date.parse(last.timestamp) < Date.parse(info.last.timestamp))) return false;
    info.last = last;
    return true;
  }

  async #run(signal) {
    let fault = null;
    try {
      const infos = await readAll(signal);
      // A page asked for before an event came must not put the newer value back.
      for (const [name, info] of infos) if (isOlder(info, this.infos.get(name))) info.last = this.infos.get(name).last;
      this.infos = infos;
      this.loaded = true;
      this.changed();
    } catch (error) {
      if (signal.aborted) return; // else the connection state tells, and the next round tries again
      fault = error;
    }
    this.#timer = setTimeout(() => this.#run(signal), pauseAfter(fault, this.period * 1000));
  }
}

function isOlder(info, known) {
  return info.last && known?.last && info.count === known.count && Date.parse(info.last.timestamp) < Date.parse(known.last.timestamp);
}

async function readAll(signal) {
  const infos = new Map();
  let after = null;
  do {
    const { body } = await getJson("series", { limit: PAGE, after }, signal);
    for (const info of body.series) infos.set(info.series, info);
    after = body.next;
  } while (after !== null);
  return infos;
}
