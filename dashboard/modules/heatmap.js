// Which values came when: a histogram of each of some steps, as shades.

import { getJson, serverNow } from "./api.js";
import { boundsOf, roundStep } from "./bins.js";
import { count, FONT, span, tick, tickTime, zone } from "./format.js";
import { Repeated } from "./repeated.js";
import { earliest } from "./stretch.js";
import { measured } from "./units.js";

const COLUMNS = 48;
const ROWS = 24;
const AT_ONCE = 3; // requests
const EVERY = 1000; // milliseconds between two looks at what is new
const SOON = 100; // milliseconds until something may be known of the values
const STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 43200, 86400];
const [LEFT, BOTTOM, TOP] = [72, 28, 8]; // pixels for the labels
const FAINTEST = 0.12;

export class Heatmap {
  #question = new Repeated();
  #columns = new Map(); // start of the step -> {counts by the number of the bound below, isDone, at}
  #step = null;
  #height = null; // of a row, in values
  #active = null; // {column, row}

  /** `on`: refused(problem), spoken(text). */
  constructor(root, on) {
    this.on = on;
    this.plot = root.querySelector("[data-part=cells]");
    this.canvas = root.querySelector("canvas");
    this.told = root.querySelector("[data-part=told]");
    this.plot.addEventListener("keydown", (event) => this.#key(event));
    this.plot.addEventListener("pointermove", (event) => this.#point(event));
    this.plot.addEventListener("pointerleave", () => this.#choose(null));
    this.plot.addEventListener("blur", () => this.#choose(null));
    new ResizeObserver(() => this.#draw()).observe(this.plot);
    addEventListener("themechange", () => this.#draw());
  }

  /** Follows {path, name, retention}; `ends()` knows {min, max} of it and `shown()` the stretch of time, or null for now. */
  follow({ path, name, retention }, ends, shown) {
    this.stop();
    this.retention = retention;
    [this.path, this.name, this.ends, this.shown] = [path.replace("*", "histogram"), name, ends, shown];
    this.#columns.clear();
    this.#step = this.#height = this.#active = null;
    this.#draw();
    this.#question.start((signal) => this.#look(signal), () => EVERY, this.on.refused);
  }

  stop() {
    this.#question.stop();
  }

  /** The starts of the steps in sight, oldest first. */
  get #starts() {
    const stretch = this.shown();
    if (!stretch || !this.#step) return [];
    const first = Math.floor(stretch.min / this.#step);
    const last = Math.floor(Math.min(stretch.max, serverNow()) / this.#step);
    return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => (first + i) * this.#step);
  }

  async #look(signal) {
    if (!this.#lay()) return SOON;
    await this.#readAll(signal);
    this.#draw();
  }

  /** Divides time and values; returns false where nothing is known of them yet. What was counted in other rows is void. */
  #lay() {
    const [ends, stretch] = [this.ends(), this.shown()];
    if (!ends || !stretch) return false;
    const step = STEPS.find((seconds) => (stretch.max - stretch.min) / seconds <= COLUMNS) ?? STEPS.at(-1);
    const height = roundStep((ends.max - ends.min) / ROWS || Math.abs(ends.max) || 1);
    if (step !== this.#step || height !== this.#height) this.#columns.clear();
    [this.#step, this.#height] = [step, height];
    return true;
  }

  async #readAll(signal) {
    const now = serverNow();
    const starts = this.#starts;
    for (const start of this.#columns.keys()) if (start < starts[0]) this.#columns.delete(start);
    const due = starts.filter((start) => !this.#columns.get(start)?.isDone).reverse();
    const next = async () => {
      for (let start = due.shift(); start !== undefined; start = due.shift()) await this.#read(start, now, signal);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, next));
  }

  async #read(start, now, signal) {
    const end = start + this.#step;
    const { min, max } = this.ends() ?? {};
    if (min == null) return;
    // A window has its last moment and not its first, a step the other way round.
    const at = new Date(Math.min(end * 1000 - 1, now * 1000)).toISOString().replace("Z", "999Z");
    const begin = Math.max(start, earliest(this.retention));
    if (begin >= end) return this.#columns.set(start, { counts: new Map(), isDone: true }); // gone by now
    const window = Math.max(0.001, Math.min(end, now) - begin).toFixed(3);
    const height = this.#height;
    const { bounds, counts } = (await getJson(this.path, { at, window, bounds: boundsOf(min, max, height, ROWS) }, signal)).body;
    const row = (i) => Math.round((bounds[i] ?? bounds[i - 1] + height) / height) - 1;
    const found = new Map(counts.map((number, i) => [bounds.length ? row(i) : 0, number]).filter(([, number]) => number));
    this.#columns.set(start, { counts: found, isDone: end < now - 2 });
    if (this.#columns.size % 6 === 0) this.#draw();
  }

  #rows() {
    const numbers = [...this.#columns.values()].flatMap(({ counts }) => [...counts.keys()]);
    const [low, high] = numbers.length ? [Math.min(...numbers), Math.max(...numbers)] : [0, 0];
    return { low, size: high - low + 1 };
  }

  #draw() {
    const { clientWidth: width, clientHeight: height } = this.plot;
    if (!width || !this.path) return;
    const { canvas } = this;
    [canvas.width, canvas.height] = [width * devicePixelRatio, height * devicePixelRatio];
    const ctx = canvas.getContext("2d");
    ctx.scale(devicePixelRatio, devicePixelRatio);
    const style = getComputedStyle(document.documentElement);
    const [accent, muted, ink] = ["--accent", "--muted", "--ink"].map((name) => style.getPropertyValue(name).trim());
    const starts = this.#starts;
    const rows = this.#rows();
    const cell = { width: (width - LEFT) / (starts.length || 1), height: (height - BOTTOM - TOP) / rows.size };
    const most = Math.max(1, ...[...this.#columns.values()].flatMap(({ counts }) => [...counts.values()]));
    this.layout = { starts, rows, cell, height };
    ctx.fillStyle = accent;
    starts.forEach((start, x) => this.#columns.get(start)?.counts.forEach((number, row) => {
      ctx.globalAlpha = FAINTEST + (1 - FAINTEST) * Math.sqrt(number / most);
      ctx.fillRect(...this.#place(x, row), Math.max(1, cell.width - 1), Math.max(1, cell.height - 1));
    }));
    ctx.globalAlpha = 1;
    this.#drawAxes(ctx, muted);
    ctx.strokeStyle = ink;
    if (this.#active) ctx.strokeRect(...this.#place(this.#active.column, this.#active.row), cell.width, cell.height);
    this.plot.setAttribute("aria-label", `Heatmap of ${this.name}, times in ${zone()}: ${starts.length} steps`);
    this.#tell();
  }

  /** Where the cell of a column and row is: its left and its top. */
  #place(column, row) {
    const { rows, cell, height } = this.layout;
    return [LEFT + column * cell.width, height - BOTTOM - (row - rows.low + 1) * cell.height];
  }

  #drawAxes(ctx, colour) {
    const { starts, rows, cell, height } = this.layout;
    ctx.font = FONT;
    ctx.fillStyle = colour;
    ctx.textAlign = "right";
    ctx.textBaseline = "middle";
    const every = Math.max(1, Math.ceil(28 / cell.height));
    for (let row = rows.low; this.#height && row < rows.low + rows.size; row++)
      if (row % every === 0) ctx.fillText(measured(row * this.#height, (x) => tick(x, this.#height)), LEFT - 8, this.#place(0, row)[1] + cell.height);
    ctx.textBaseline = "top";
    ctx.fillText(zone(), LEFT - 8, height - BOTTOM + 8);
    ctx.textAlign = "center";
    const apart = Math.max(1, Math.ceil(90 / cell.width));
    starts.forEach((start, i) => i % apart === 0 && i * cell.width > 20 && ctx.fillText(tickTime(start, this.#step), LEFT + i * cell.width, height - BOTTOM + 8));
  }

  #tell() {
    const { column, row } = this.#active ?? {};
    const start = this.layout?.starts[column];
    if (start === undefined) return (this.told.textContent = "The stronger the colour, the more events");
    const number = this.#columns.get(start)?.counts.get(row) ?? 0;
    const [low, high] = [row, row + 1].map((bound) => measured(bound * this.#height, (x) => tick(x, this.#height)));
    return (this.told.textContent = `${span(start, start + this.#step)}: ${count(number)} events from ${low} up to ${high}`);
  }

  #choose(cell, aloud = false) {
    this.#active = cell;
    this.#draw();
    if (aloud) this.on.spoken(this.told.textContent);
  }

  #point({ clientX, clientY }) {
    const { left, top } = this.plot.getBoundingClientRect();
    const { starts, rows, cell, height } = this.layout ?? {};
    const column = Math.floor((clientX - left - LEFT) / cell?.width);
    const row = rows?.low + Math.floor((height - BOTTOM - (clientY - top)) / cell?.height);
    const isInside = column >= 0 && column < starts.length && row >= rows.low && row < rows.low + rows.size;
    this.#choose(isInside ? { column, row } : null);
  }

  #key(event) {
    const { starts, rows } = this.layout ?? {};
    const [x, y] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key] ?? [];
    if (x === undefined || !starts?.length) return;
    event.preventDefault();
    const from = this.#active ?? { column: starts.length - (x < 0 ? 0 : 1), row: rows.low };
    const within = (value, low, size) => Math.min(low + size - 1, Math.max(low, value));
    this.#choose({ column: within(from.column + x, 0, starts.length), row: within(from.row + y, rows.low, rows.size) }, true);
  }
}
