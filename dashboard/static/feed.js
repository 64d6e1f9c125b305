// What the chart draws: the events of one series, or the course of the statistics of all of them.

import { getJson, Problem, url } from "./api.js";
import { FETCHED, Points } from "./points.js";
import { Stream } from "./stream.js";

const POLL_EVERY = 1000;
const LONGEST_COURSE = 7200;
const GAP = 5; // seconds without an answer that the chart shows as a gap

const seconds = (timestamp) => Date.parse(timestamp) / 1000;

/** Follows the events of one series: fetched on each (re)connection, streamed in between. */
export class EventFeed {
  points = new Points();
  #abort = new AbortController();
  #stream = null;
  #timer = null;
  #position = 0;
  #early = null; // events streamed while the fetch is under way

  /** `changed()` after each change; `latest({timestamp, value})` for each event as it arrives. */
  constructor(series, { changed, latest }) {
    this.path = `series/${encodeURIComponent(series)}`;
    this.changed = changed;
    this.latest = latest;
    this.#stream = new Stream(url(`${this.path}/stream`), {
      opened: () => this.#catchUp(),
      message: (message) => message.event === "event" && this.#take(message),
      closed: ({ error }) => error instanceof Problem && this.#fetch(), // it answers, only not with a stream
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
    this.points.add(seconds(event.timestamp), event.value);
    this.latest(event);
    this.changed();
  }

  async #catchUp() {
    this.#early = [];
    await this.#fetch();
    const early = this.#early;
    this.#early = null;
    early.forEach((message) => this.#take(message));
  }

  async #fetch() {
    const { signal } = this.#abort;
    try {
      const { body, position } = await getJson(`${this.path}/events`, { limit: FETCHED }, signal);
      if (position < this.#position) this.points.clear(); // another log: what is held is not in it
      this.#position = position;
      const { events } = body;
      this.points.replaceTail(events.map((event) => seconds(event.timestamp)), events.map((event) => event.value));
    } catch (error) {
      if (signal.aborted) return;
      // A series nobody has written to is unknown: nothing to draw. Other trouble shows in the connection state.
      if (error instanceof Problem && error.status === 404) this.points.clear();
    }
    this.changed();
  }

  async #poll() {
    await this.#fetch();
    if (!this.#abort.signal.aborted) this.#timer = setTimeout(() => this.#poll(), POLL_EVERY);
  }
}

/** The statistics of all series over time, as far as this page has watched. */
export class Course {
  times = [];
  columns = { last: [], mean: [], min: [], max: [] };

  add(answer) {
    if (answer.at - this.times.at(-1) > GAP) this.#push(answer.at - GAP, {});
    this.#push(answer.at, { ...answer, last: answer.last?.value });
  }

  #push(time, answer) {
    this.times.push(time);
    for (const [name, column] of Object.entries(this.columns)) column.push(answer[name] ?? null);
    if (this.times.length <= LONGEST_COURSE) return;
    this.times.shift();
    Object.values(this.columns).forEach((column) => column.shift());
  }
}
