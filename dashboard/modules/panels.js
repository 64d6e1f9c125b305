// What is shown of the numbers: the chart, a histogram of the values, one over time, or a table.

import { Heatmap } from "./heatmap.js";
import { Histogram } from "./histogram.js";
import { Table } from "./table.js";

export const KINDS = ["chart", "histogram", "heatmap", "table"];

export class Panels {
  /** `on`: choose(kind) by a person, refused(problem), spoken(text). */
  constructor(root, on) {
    this.root = root;
    this.inputs = [...root.querySelectorAll("[name=kind]")];
    this.parts = Object.fromEntries(KINDS.map((kind) => [kind, root.querySelector(`[data-kind=${kind}]`)]));
    this.histogram = new Histogram(this.parts.histogram, on);
    this.heatmap = new Heatmap(this.parts.heatmap, on);
    this.table = new Table(this.parts.table, on.refused);
    for (const input of this.inputs) input.addEventListener("change", () => on.choose(input.value));
  }

  /** Shows this kind, of what `question` asks for: {path, query, show, name, retention}; `ends()` knows {min, max} of it and
      `shown()` the stretch of time, or null. */
  follow(kind, question, ends, shown) {
    for (const [name, part] of Object.entries(this.parts)) part.hidden = name !== kind;
    for (const input of this.inputs) input.checked = input.value === kind;
    this.root.dataset.shown = kind;
    this.stop();
    if (kind === "histogram") this.histogram.follow(question, ends);
    if (kind === "heatmap") this.heatmap.follow(question, ends, shown);
    if (kind === "table") this.table.follow(question);
  }

  stop() {
    this.histogram.stop();
    this.heatmap.stop();
    this.table.stop();
  }
}
