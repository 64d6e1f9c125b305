// A question that is asked again and again.

import { passes, pauseAfter } from "./api.js";

export class Repeated {
  #abort = null;
  #timer = null;

  /** Calls `ask(signal)` now, and `every()` milliseconds after it has ended, or as many as it returns; after a failure
      later where the service says so. `refused(problem)` ends it, where the same would be refused again; without it
      that is asked again too. */
  start(ask, every, refused = null) {
    this.stop();
    this.#abort = new AbortController();
    this.#run({ ask, every, refused }, this.#abort.signal);
  }

  stop() {
    this.#abort?.abort();
    clearTimeout(this.#timer);
  }

  async #run(question, signal) {
    const { ask, every, refused } = question;
    let pause;
    try {
      pause = (await ask(signal)) ?? every();
    } catch (error) {
      if (signal.aborted) return;
      if (refused && !passes(error)) return refused(error);
      pause = pauseAfter(error, every());
    }
    if (!signal.aborted) this.#timer = setTimeout(() => this.#run(question, signal), pause);
  }
}
