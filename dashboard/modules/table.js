// The statistics of what is shown as a table, exact, to be copied.

import { getJson, passes, pauseAfter } from "./api.js";
import { bindCopy } from "./share.js";

const EVERY = 2000; // milliseconds
const PERCENTILES = ["p1", "p5", "p25", "p50", "p75", "p90", "p95", "p99", "p99.9"];
const INCLUDED = ["sum", "variance", "stddev", "first", "last", ...PERCENTILES];

export class Table {
  #abort = null;
  #timer = null;
  #rows = [];

  /** `refused(problem)` where there is nothing to show. */
  constructor(root, refused) {
    this.body = root.querySelector("tbody");
    this.link = root.querySelector("a");
    this.refused = refused;
    bindCopy(root.querySelector("button"), () => this.#rows.map((row) => row.join("\t")).join("\n"));
  }

  /** Follows what this asks for: {path, query, show}. */
  follow({ path, query, show }) {
    this.stop();
    this.#abort = new AbortController();
    const include = [...new Set([...INCLUDED, ...show])].join(",");
    const question = { ...query, include };
    this.#run(path.replace("*", "statistics"), question, this.#abort.signal);
  }

  stop() {
    this.#abort?.abort();
    clearTimeout(this.#timer);
  }

  async #run(path, question, signal) {
    let pause = EVERY;
    try {
      this.#show((await getJson(path, question, signal)).body);
      this.link.href = `${path}${path.includes("?") ? "&" : "?"}${new URLSearchParams(question)}`.replaceAll("%2C", ",");
    } catch (error) {
      if (signal.aborted) return;
      if (!passes(error)) return this.refused(error);
      pause = pauseAfter(error, EVERY);
    }
    this.#timer = setTimeout(() => this.#run(path, question, signal), pause);
  }

  #show(found) {
    this.#rows = Object.entries(found).flatMap(([name, value]) => cells(name, value));
    const rows = this.#rows.map((row) => {
      const line = document.createElement("tr");
      const [name, value] = [document.createElement("th"), document.createElement("td")];
      name.scope = "row";
      [name.textContent, value.textContent] = row;
      line.append(name, value);
      return line;
    });
    if (!getSelection().containsNode(this.body, true) || getSelection().isCollapsed) this.body.replaceChildren(...rows);
  }
}

/** An event takes two lines. */
function cells(name, value) {
  if (value === null || typeof value !== "object") return [[name, value === null ? "" : String(value)]];
  return [[name, String(value.value)], [`${name} at`, value.timestamp]];
}
