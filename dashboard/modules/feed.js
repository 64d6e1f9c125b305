// The events of one series, for the chart to draw one by one.

import { getJson, passes, pauseAfter, Problem, secondsOf, url } from "./api.js";
import { FETCHED, Points } from "./points.js";
import { Stream } from "./stream.js";

const POLL_EVERY = 1000;

/** Follows the events of one series: fetched on each (re)connection, streamed in between. */
export class EventFeed {
  points = new Points();
  #abort = new AbortController();
  #stream = null;
  #timer = null;
  #position = 0;
  #early = null; // events streamed while the fetch is under way

  /** `changed()` after each change; `fetched(values)` and `latest({timestamp, value})` for events as they arrive. */
  constructor(series, { changed, fetched, latest }) {
    this.path = `series/${encodeURIComponent(series)}`;
    this.changed = changed;
    this.fetched = fetched;
    this.latest = latest;
    this.#stream = new Stream(url(`${this.path}/stream`), {
      opened: () => this.#catchUp(),
      message: (message) => message.event === "event" && this.#take(message),
      closed: ({ error }) => error instanceof Problem && this.#catchUp(), // it answers, only not with a stream
      refused: () => this.#poll(),
    });
  }

  stop() {
    this.#abort.abort();
    this.#stream.close();
    clearTimeout(this.#timer);
  }

  retry() {
    this.#stream.retry();
  }

  #take(message) {
    if (this.#early) return this.#early.push(message);
    if (message.id && Number(message.id) <= this.#position) return; // the fetch had it already
    const event = JSON.parse(message.data);
    this.points.add(secondsOf(event.timestamp), event.value);
    this.latest(event);
    this.changed();
  }

  async #catchUp() {
    clearTimeout(this.#timer);
    this.#early = [];
    const fault = await this.#fetch();
    const early = this.#early ?? []; // none where another fetch has ended first
    this.#early = null;
    early.forEach((message) => this.#take(message));
    if (fault && !this.#abort.signal.aborted) this.#again(() => this.#catchUp(), fault);
  }

  #again(ask, fault) {
    this.#timer = setTimeout(ask, pauseAfter(fault, POLL_EVERY));
  }

  /** Takes the newest events as the server has them; returns what the server has answered instead, if that may pass. */
  async #fetch() {
    const { signal } = this.#abort;
    let fault = null;
    try {
      const { body, position } = await getJson(`${this.path}/events`, { limit: FETCHED }, signal);
      if (position < this.#position) this.points.clear(); // another log: what is held is not in it
      this.#position = position;
      const values = body.events.map((event) => event.value);
      this.points.replaceTail(body.events.map((event) => secondsOf(event.timestamp)), values);
      this.fetched(values);
    } catch (error) {
      if (signal.aborted) return null;
      // A series nobody has written to is unknown: nothing to draw. Other trouble shows in the connection state.
      if (error instanceof Problem && error.status === 404) this.points.clear();
      if (error instanceof Problem && passes(error)) fault = error;
    }
    this.changed();
    return fault;
  }

  async #poll() {
    const fault = await this.#fetch();
    if (!this.#abort.signal.aborted) this.#again(() => this.#poll(), fault);
  }
}
