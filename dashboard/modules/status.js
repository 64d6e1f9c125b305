// The connection, in a word, and since when there has been no answer.

import { write } from "./elements.js";
import { second } from "./format.js";

const WORDS = {
  connecting: "Connecting",
  live: "Live",
  polling: "Live, polling",
  reconnecting: "Offline",
  stale: "Stale",
  refused: "Refused",
};
const CUT_OFF = new Set(["reconnecting", "stale"]);
const OUTDATED_AFTER = 1500; // milliseconds; a connection that comes back at once is no trouble
const TITLES = {
  reconnecting: "The server cannot be reached; the page keeps trying.",
  stale: "The connection is open but nothing has arrived for a while.",
};

export class Status {
  #since = null; // by the page's clock: when the last answer came, while what is shown is outdated

  /** `silence()`: milliseconds since the last answer, null before the first. `outdated(since, seconds)` once a second
      while what is shown is not live any more, and with null when it is again. */
  constructor(element, { silence, outdated }) {
    this.element = element;
    this.word = element.querySelector("[data-part=word]");
    this.more = element.querySelector("[data-part=more]");
    this.silence = silence;
    this.outdated = outdated;
    setInterval(() => this.#look(), 250);
  }

  /** `detail`: {retryAt} while reconnecting, {reason} for polling. */
  show(state, detail = {}) {
    this.state = state;
    this.detail = detail;
    this.#look();
  }

  /** Says whether the chart stands still. */
  pause(isPaused) {
    this.isPaused = isPaused;
    this.#look();
  }

  #look() {
    const { state, detail, element } = this;
    if (!state) return;
    const seconds = Math.round((this.silence() ?? 0) / 1000);
    const isPaused = this.isPaused && !CUT_OFF.has(state) && state !== "refused";
    element.dataset.state = state;
    element.toggleAttribute("data-paused", isPaused);
    element.title = TITLES[state] ?? (detail.reason ? `Asking once a second. ${detail.reason}` : "");
    write(this.word, isPaused ? "Paused" : WORDS[state]);
    write(this.more, this.#more(seconds));
    this.#tellOutdated(seconds);
  }

  #more(seconds) {
    if (!CUT_OFF.has(this.state)) return "";
    if (this.silence() !== null) return ` for ${seconds} s`;
    const { retryAt } = this.detail;
    return retryAt ? `, next try in ${Math.max(0, Math.ceil((retryAt - performance.now()) / 1000))} s` : "";
  }

  #tellOutdated(seconds) {
    const isOutdated = CUT_OFF.has(this.state) && this.silence() > OUTDATED_AFTER;
    if (!isOutdated && this.#since === null) return;
    this.#since = isOutdated ? (this.#since ?? second(Date.now() - this.silence())) : null;
    this.outdated(this.#since, seconds);
  }
}
