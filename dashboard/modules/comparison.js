// What the view is compared with in its chart: further series, and itself earlier.

import { Legend } from "./legend.js";
import { MOST_SERIES, Overlays } from "./overlays.js";
import { nameOf } from "./patterns.js";
import { brief, earlier, lengthOf, UNKNOWN_RETENTION, windowOf } from "./windows.js";

const NONE = "Compare\u2026";

export class Comparison {
  #view = null;

  /** `turn(change)` of the view, by a person; `changed()` when there is more to draw. */
  constructor({ select, legend }, { turn, changed }) {
    this.select = select;
    this.turn = turn;
    this.overlays = new Overlays(changed);
    this.legend = new Legend(legend, ({ series, shift }) => (shift ? turn({ ago: null }) : this.toggle(series)));
    select.addEventListener("change", () => turn({ ago: windowOf(select.value), kind: "chart" }));
  }

  /** The further lines: {name, series, shift, number}. */
  get lines() {
    return this.overlays.lines;
  }

  /** Follows what this view names; `drawn()` says what steps the chart shows, `retention` is a window, or null. */
  follow(view, drawn, retention) {
    this.#view = view;
    const { series, match, others, ago } = view;
    const lines = others.filter((other) => other !== series).map((other) => ({ name: other, series: other, shift: 0 }));
    if (ago) lines.push({ name: `${lengthOf(ago.seconds)} earlier`, series, match, shift: ago.seconds });
    this.overlays.follow(lines, drawn, retention?.seconds);
    this.legend.show(nameOf(view), this.lines);
    this.#offer(retention ?? UNKNOWN_RETENTION);
  }

  stop() {
    this.overlays.stop();
  }

  /** Adds the line of a series to the chart, or takes it out. */
  toggle(series) {
    const { others } = this.#view;
    if (others.includes(series)) this.turn({ others: others.filter((other) => other !== series) });
    else if (series !== this.#view.series && others.length < MOST_SERIES - 1) this.turn({ others: [...others, series], kind: "chart" });
  }

  /** The stretches that are as long ago as the retention allows. */
  #offer(retention) {
    const { window, ago } = this.#view;
    const fitting = window.seconds ? earlier(window.seconds, retention.seconds) : [];
    if (ago && !fitting.some(({ text }) => text === ago.text)) fitting.push(ago);
    const options = [new Option(NONE, ""), ...fitting.map((one) => new Option(`${brief(one)} earlier`, one.text))];
    this.select.replaceChildren(...options);
    this.select.value = ago?.text ?? "";
    this.select.disabled = options.length === 1;
  }
}
