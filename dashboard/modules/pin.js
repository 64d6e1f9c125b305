// The event that the keyboard's readout stands on: it stays on it while the chart moves along.

import { firstAfter, firstFrom } from "./points.js";

export class Pin {
  #time = null;
  #nth = 0; // among events of the same time

  set(times, index) {
    this.#time = times[index];
    this.#nth = index - firstFrom(times, times[index]);
  }

  clear() {
    this.#time = null;
  }

  /** Where the event is among these times; null when there is none. */
  index(times) {
    if (this.#time === null) return null;
    const index = Math.min(firstFrom(times, this.#time) + this.#nth, firstAfter(times, this.#time) - 1);
    return times[index] === this.#time ? index : null;
  }
}
