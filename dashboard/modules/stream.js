// A Server-Sent Events connection that comes back by itself.
//
// Read with fetch, not EventSource: only so are the status of a refusal (501, 503) and the heartbeats visible.

import { open, pauseAfter, Problem } from "./api.js";

const SHORTEST_WAIT = 400;
const LONGEST_WAIT = 5000;
const SILENCE = 20_000; // the server says something every 15 s at the latest

/** Splits the text of a stream into messages; a lone comment is an empty message. */
class Parser {
  #rest = "";

  push(text) {
    const blocks = (this.#rest + text).replaceAll("\r\n", "\n").split("\n\n");
    this.#rest = blocks.pop();
    return blocks.map(parseBlock);
  }
}

function parseBlock(block) {
  const message = { event: "message", data: "", id: null };
  for (const line of block.split("\n")) {
    const [, field, value] = /^([^:]*)(?:: ?(.*))?$/s.exec(line);
    if (field === "data") message.data += (message.data && "\n") + (value ?? "");
    else if (field === "event" || field === "id") message[field] = value ?? "";
  }
  return message;
}

/** Asking again would get the same answer: the request is wrong, or this server cannot stream. */
function isFinal(error) {
  return error instanceof Problem && (error.status === 501 || (error.status < 500 && error.status !== 429));
}

export class Stream {
  #abort = new AbortController();
  #waiting = null;
  #mayHurry = true; // unless the server has said how long to wait
  #failures = 0;

  /** `on`: opened(), message({event, data, id}), closed({error, retryAt}), refused(problem). */
  constructor(address, on) {
    this.address = address;
    this.on = on;
    this.#run();
  }

  close() {
    this.#abort.abort();
    clearTimeout(this.#waiting);
  }

  /** Tries again at once instead of waiting out the pause, unless the server asked for it. */
  retry() {
    if (this.#waiting === null || !this.#mayHurry || this.#abort.signal.aborted) return;
    clearTimeout(this.#waiting);
    this.#run();
  }

  async #run() {
    this.#waiting = null;
    let error = null;
    try {
      await this.#read();
    } catch (fault) {
      error = fault;
    }
    if (this.#abort.signal.aborted) return;
    if (isFinal(error)) this.on.refused(error);
    else this.#wait(error);
  }

  #wait(error) {
    const usual = Math.min(LONGEST_WAIT, SHORTEST_WAIT * 2 ** this.#failures++) * (0.8 + 0.4 * Math.random());
    const pause = pauseAfter(error, usual);
    this.#mayHurry = !error?.retryAfter;
    this.#waiting = setTimeout(() => this.#run(), pause);
    this.on.closed({ error, retryAt: performance.now() + pause });
  }

  async #read() {
    const attempt = new AbortController();
    const stop = () => attempt.abort();
    this.#abort.signal.addEventListener("abort", stop);
    let silence = setTimeout(stop, SILENCE);
    try {
      const headers = { Accept: "text/event-stream" };
      const response = await open(this.address, { headers, signal: attempt.signal });
      this.on.opened();
      const parser = new Parser();
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        clearTimeout(silence);
        silence = setTimeout(stop, SILENCE);
        this.#failures = 0;
        for (const message of parser.push(part.value)) if (message.data) this.on.message(message);
      }
    } finally {
      clearTimeout(silence);
      this.#abort.signal.removeEventListener("abort", stop);
    }
  }
}
