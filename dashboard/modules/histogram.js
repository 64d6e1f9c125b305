// How often which values came: the counts of `GET /histogram` as bars.

import { getJson } from "./api.js";
import { boundsOf, roundStep } from "./bins.js";
import { make } from "./elements.js";
import { count, number, tick } from "./format.js";
import { Repeated } from "./repeated.js";
import { measured } from "./units.js";

const EVERY = 2000; // milliseconds
const SOON = 200; // milliseconds until something may be known of the values
const MOST_BARS = 48;
const TICKS = 6;
const LABELLED = 80; // pixels for each label

const write = (x, step) => measured(x, (value) => tick(value, step));

export class Histogram {
  #question = new Repeated();
  #bars = []; // {from, to, count}; an end of null: there is none
  #step = 1;
  #active = null;
  #ends = () => null;

  /** `on`: refused(problem), spoken(text). */
  constructor(root, on) {
    this.root = root;
    this.on = on;
    this.plot = root.querySelector("[data-part=bars]");
    this.axis = root.querySelector("[data-part=axis]");
    this.told = root.querySelector("[data-part=told]");
    this.plot.addEventListener("keydown", (event) => this.#key(event));
    this.plot.addEventListener("pointermove", (event) => this.#point(event));
    this.plot.addEventListener("pointerleave", () => this.#choose(null));
    this.plot.addEventListener("blur", () => this.#choose(null));
  }

  /** Follows what this asks for: {path, query, name}; `ends()` knows {min, max, count} of it, or is null for now. */
  follow({ path, query, name }, ends) {
    this.#ends = ends;
    this.name = name;
    this.#bars = [];
    this.#active = null;
    this.#draw();
    this.#question.start((signal) => this.#read(path.replace("*", "histogram"), query, signal), () => EVERY, this.on.refused);
  }

  stop() {
    this.#question.stop();
  }

  async #read(path, query, signal) {
    const { min, max } = this.#ends() ?? {};
    if (min == null) return SOON;
    this.#step = roundStep((max - min) / MOST_BARS);
    const { bounds, counts } = (await getJson(path, { ...query, bounds: boundsOf(min, max, this.#step, MOST_BARS) }, signal)).body;
    this.#bars = counts.map((found, i) => ({ count: found, from: bounds[i - 1] ?? null, to: bounds[i] ?? null }));
    this.#draw();
  }

  #draw() {
    const most = Math.max(1, ...this.#bars.map((bar) => bar.count));
    const all = this.#bars.reduce((sum, bar) => sum + bar.count, 0);
    while (this.plot.children.length > this.#bars.length) this.plot.lastChild.remove();
    while (this.plot.children.length < this.#bars.length) this.plot.append(document.createElement("i"));
    this.#bars.forEach((bar, i) => {
      const element = this.plot.children[i];
      element.style.height = `${(100 * bar.count) / most}%`;
      element.classList.toggle("active", i === this.#active);
    });
    this.#drawAxis();
    const tallest = this.#bars.find((bar) => bar.count === most);
    const summary = tallest ? `${count(all)} events, most of them ${this.#range(tallest)}: ${count(most)}` : "no events";
    this.plot.setAttribute("aria-label", `Histogram of ${this.name}: ${summary}`);
    this.#tell();
  }

  #drawAxis() {
    const bounds = this.#bars.slice(1).map(({ from }) => from);
    const every = Math.ceil(bounds.length / Math.max(2, Math.min(TICKS * 2, Math.floor(this.plot.clientWidth / LABELLED))));
    const labels = bounds.map((at, i) => ({ at, i })).filter(({ i }) => i % every === 0);
    this.axis.replaceChildren(...labels.map(({ at, i }) => {
      const label = make("span", write(at, this.#step));
      label.style.left = `${(100 * (i + 1)) / this.#bars.length}%`;
      return label;
    }));
  }

  #range({ from, to }) {
    const [low, high] = [from, to].map((x) => (x === null ? null : write(x, this.#step)));
    if (low === null && high === null) return measured(this.#ends()?.min, number);
    return low === null ? `below ${high}` : high === null ? `from ${low}` : `from ${low} up to ${high}`;
  }

  #tell() {
    const bar = this.#bars[this.#active];
    const all = this.#bars.reduce((sum, { count }) => sum + count, 0);
    const text = bar ? `${count(bar.count)} events ${this.#range(bar)}, ${((100 * bar.count) / (all || 1)).toFixed(1)} %` : "";
    this.told.textContent = text || `${count(all)} events`;
    return text;
  }

  #choose(index, aloud = false) {
    this.#active = index;
    [...this.plot.children].forEach((element, i) => element.classList.toggle("active", i === index));
    const text = this.#tell();
    if (aloud) this.on.spoken(text);
  }

  #point({ clientX }) {
    const { left, width } = this.plot.getBoundingClientRect();
    const index = Math.floor(((clientX - left) / width) * this.#bars.length);
    this.#choose(Math.min(this.#bars.length - 1, Math.max(0, index)));
  }

  #key(event) {
    const last = this.#bars.length - 1;
    const from = this.#active ?? (event.key === "ArrowLeft" ? last + 1 : -1);
    const to = { ArrowLeft: from - 1, ArrowRight: from + 1, Home: 0, End: last }[event.key];
    if (to === undefined || last < 0) return;
    event.preventDefault();
    this.#choose(Math.min(last, Math.max(0, to)), true);
  }
}
