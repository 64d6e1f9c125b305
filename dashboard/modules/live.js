// The statistics of the view, twice a second over a stream, or by polling; and how well that goes.

import { getJson, pauseAfter, Problem, serverNow, url } from "./api.js";
import { itself, pathOf } from "./patterns.js";
import { Stream } from "./stream.js";
import { query } from "./windows.js";

const INTERVAL = "0.5s"; // so that an event is seen well within a second
const STALE_AFTER = 4000;
const POLL_EVERY = 1000;
const STREAM_AGAIN_AFTER = 30_000; // where the server does not say when
const INCLUDED = ["sum", "stddev", "last"];

/** States: connecting, live, polling, reconnecting, stale, refused. */
export class Live {
  #view = null;
  #abort = null;
  #stream = null;
  #timer = null;
  #heard = null;
  #pollUntil = 0; // when a stream is worth another try; polled until then
  #reason = null; // why it is polled: the server's own words

  /** `on`: answer(statistics), state(name, detail). */
  constructor(on) {
    this.on = on;
    setInterval(() => this.#lookForSilence(), 1000);
  }

  /** Follows this view and no other from now on. */
  watch(view) {
    this.stop();
    this.#view = view;
    this.#heard = null;
    this.#abort = new AbortController();
    this.#set("connecting");
    this.#follow();
  }

  stop() {
    this.#abort?.abort();
    this.#stream?.close();
    this.#stream = null;
    clearTimeout(this.#timer);
  }

  retry() {
    this.#stream?.retry();
  }

  #set(state, detail) {
    if (state === this.state && !detail) return;
    this.state = state;
    this.on.state(state, detail);
  }

  #follow() {
    if (performance.now() < this.#pollUntil) this.#poll();
    else this.#openStream();
  }

  #openStream() {
    this.#reason = null;
    const parameters = { series: this.#view.match ?? itself(this.#view.series), ...this.#question, interval: INTERVAL };
    this.#stream = new Stream(url("stream", parameters), {
      opened: () => {},
      message: ({ event, data, id }) => event === "statistics" && this.#take(JSON.parse(data), Number(id)),
      closed: ({ error, retryAt }) => {
        if (error instanceof Problem && error.status === 503) this.#pollInstead(error, pauseAfter(error, 0) || STREAM_AGAIN_AFTER);
        else this.#set("reconnecting", { retryAt });
      },
      refused: (problem) => {
        if (problem.status === 501) this.#pollInstead(problem, Infinity);
        else this.#set("refused", { problem });
      },
    });
  }

  get #question() {
    const { window, show } = this.#view;
    // A window of so many events begins with the first of them.
    const include = [...INCLUDED, ...(window.last ? ["first"] : []), ...show].join(",");
    return { ...query(window), include };
  }

  #take(statistics, position) {
    this.#heard = performance.now();
    if (this.#reason) this.#set("polling", { reason: this.#reason });
    else this.#set("live");
    this.on.answer({ ...statistics, position, at: serverNow() });
  }

  /** Milliseconds since it last had an answer of this view; null where there was none. */
  get silence() {
    return this.#heard === null ? null : performance.now() - this.#heard;
  }

  /** The server cannot stream (501), or has no place left (503): ask it instead. */
  #pollInstead(problem, time) {
    this.#stream.close();
    this.#reason = problem.message;
    this.#pollUntil = performance.now() + time;
    this.#poll();
  }

  async #poll() {
    const { signal } = this.#abort;
    const path = pathOf("statistics", this.#view);
    let pause = POLL_EVERY;
    try {
      const { body, position } = await getJson(path, this.#question, signal);
      this.#take(body, position);
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Problem && error.status < 500) return this.#set("refused", { problem: error });
      pause = pauseAfter(error, POLL_EVERY);
      this.#set("reconnecting", { retryAt: performance.now() + pause });
    }
    if (!signal.aborted) this.#timer = setTimeout(() => this.#follow(), pause);
  }

  #lookForSilence() {
    if (this.state === "live" && this.silence > STALE_AFTER) this.#set("stale");
  }
}
