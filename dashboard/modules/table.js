// The statistics of what is shown as a table, exact, to be copied.

import { getJson } from "./api.js";
import { make } from "./elements.js";
import { Repeated } from "./repeated.js";
import { bindCopy } from "./share.js";

const EVERY = 2000; // milliseconds
const PERCENTILES = ["p1", "p5", "p25", "p50", "p75", "p90", "p95", "p99", "p99.9"];
const INCLUDED = ["sum", "variance", "stddev", "first", "last", ...PERCENTILES];

export class Table {
  #question = new Repeated();
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
    const include = [...new Set([...INCLUDED, ...show])].join(",");
    const read = (signal) => this.#read(path.replace("*", "statistics"), { ...query, include }, signal);
    this.#question.start(read, () => EVERY, this.refused);
  }

  stop() {
    this.#question.stop();
  }

  async #read(path, query, signal) {
    this.#show((await getJson(path, query, signal)).body);
    this.link.href = `${path}${path.includes("?") ? "&" : "?"}${new URLSearchParams(query)}`.replaceAll("%2C", ",");
  }

  #show(found) {
    this.#rows = Object.entries(found).flatMap(([name, value]) => cells(name, value));
    const rows = this.#rows.map((row) => {
      const line = document.createElement("tr");
      line.append(make("th", row[0]), make("td", row[1]));
      line.firstChild.scope = "row";
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
