// Events of one series in order of time, as two columns, ready for the chart.

const MOST = 60_000;
const KEPT = 50_000;
/** The most events one answer of the API holds. */
export const FETCHED = 1000;

export class Points {
  times = [];
  values = [];

  /** Puts one event in its place; a late one costs a search, a punctual one nothing. */
  add(time, value) {
    const { times, values } = this;
    if (times.length === 0 || time >= times[times.length - 1]) {
      times.push(time);
      values.push(value);
      if (times.length > MOST) this.#forget(times.length - KEPT);
    } else {
      const at = firstAfter(times, time);
      times.splice(at, 0, time);
      values.splice(at, 0, value);
    }
  }

  /** Takes the newest events as the server knows them in place of what is held for that stretch. */
  replaceTail(times, values) {
    const cut = times.length ? firstFrom(this.times, times[0]) : this.times.length;
    this.times = this.times.slice(0, cut).concat(times);
    this.values = this.values.slice(0, cut).concat(values);
  }

  /** Whether a window of `count` events holds more of them than are here. */
  isPartial(window, count, now) {
    const held = this.times.length - (window.last ? 0 : firstAfter(this.times, now - window.seconds));
    // Count and events arrive by different ways; a few events apart is not a part missing.
    return count > held * 1.02 && this.times.length >= FETCHED;
  }

  clear() {
    this.times = [];
    this.values = [];
  }

  #forget(n) {
    this.times = this.times.slice(n);
    this.values = this.values.slice(n);
  }
}

function search(times, isBefore) {
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (isBefore(times[middle])) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Index of the first time later than `time`. */
export function firstAfter(times, time) {
  return search(times, (other) => other <= time);
}

/** Index of the first time at or later than `time`. */
export function firstFrom(times, time) {
  return search(times, (other) => other < time);
}
