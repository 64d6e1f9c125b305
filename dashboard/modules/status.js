// The connection, in a word: live, reconnecting, stale.

const WORDS = {
  connecting: "Connecting",
  live: "Live",
  polling: "Live, polling",
  reconnecting: "Reconnecting",
  stale: "Stale",
  refused: "Refused",
};

const STALE = "The connection is open but nothing has arrived for a while.";

export class Status {
  constructor(element) {
    this.element = element;
    this.word = element.querySelector("[data-part=word]");
    this.more = element.querySelector("[data-part=more]");
    setInterval(() => this.#count(), 250);
  }

  /** `detail`: {retryAt} while reconnecting, {seconds} of silence when stale, {reason} for polling. */
  show(state, detail = {}) {
    this.state = state;
    this.detail = detail;
    this.element.dataset.state = state;
    this.element.title = state === "stale" ? STALE : detail.reason ? `Asking once a second. ${detail.reason}` : "";
    if (this.word.textContent !== WORDS[state]) this.word.textContent = WORDS[state];
    this.#count();
  }

  #count() {
    const { retryAt, seconds } = this.detail ?? {};
    let text = "";
    if (retryAt) text = ` in ${Math.max(0, Math.ceil((retryAt - performance.now()) / 1000))} s`;
    else if (seconds) text = ` for ${Math.round(seconds)} s`;
    if (this.more.textContent !== text) this.more.textContent = text;
  }
}
