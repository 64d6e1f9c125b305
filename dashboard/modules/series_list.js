// The list of series: searched, sorted, and only the rows in sight exist in the page.

import { secondsOf, serverNow } from "./api.js";
import { write } from "./elements.js";
import { ago, count, number, steady } from "./format.js";
import { isPattern, matcher, nameOf } from "./patterns.js";
import { Ranking } from "./ranking.js";
import { Sparklines } from "./sparklines.js";
import { describe } from "./windows.js";

const ROW = 52; // pixels; the style sheet has the same height
const SPARE = 4; // rows kept ready above and below those in sight
const LOOK_EVERY = 500;

const byName = new Intl.Collator(undefined, { numeric: true }).compare;
/** Orders that the page knows of itself, ascending; all others are rankings by a statistic. */
const ORDERS = {
  name: (a, b) => byName(a.series, b.series),
  recent: (a, b) => (a.last?.timestamp ?? "").localeCompare(b.last?.timestamp ?? "") || byName(b.series, a.series),
};
const FASTEST_RANKING = 2; // seconds
const COMPUTED = new Set(["mean", "stddev"]);
const DESCENDING = /^-/;

export class SeriesList {
  #items = []; // the first is null: all series, where they may be seen together; then {match, found}: several as one
  #hasAll = true;
  #rows = new Map(); // index -> row element
  #spare = [];
  #chosen = { series: null, match: null };
  #active = 0; // index of the row the keyboard is on
  #sort = "name";
  #window = null;
  #ranking = null;
  #sparklines;
  #lines = new Map(); // of the series in the chart: the number of its line
  isAdding = false; // a click adds to the chart, or takes out

  /** `on`: choose(series or null, pattern or null), add(series), sort(order such as `-p99`). Parts of `root` are found by their data-part. */
  constructor(root, store, precision, on) {
    const part = (name) => root.querySelector(`[data-part=${name}]`);
    [this.search, this.order, this.direction, this.box, this.total] = ["search", "order", "direction", "box", "total"].map(part);
    [this.heading, this.none] = ["heading", "none"].map(part);
    this.sizer = part("sizer");
    this.template = part("row").content.firstElementChild;
    this.store = store;
    this.precision = precision;
    this.on = on;
    const learn = (name, values) => precision.learn(name, values);
    this.#sparklines = new Sparklines({ learn, ready: (name) => this.#fill(name) });
    const period = () => Math.max(FASTEST_RANKING, store.period);
    this.#ranking = new Ranking({ changed: () => this.update(), period });
    this.search.addEventListener("input", () => this.update(true));
    part("clear").addEventListener("click", () => this.#clear());
    // The largest first, but names from A.
    this.order.addEventListener("change", () => on.sort((this.order.value === "name" ? "" : "-") + this.order.value));
    this.direction.addEventListener("click", () => on.sort(DESCENDING.test(this.#sort) ? this.#sort.slice(1) : `-${this.#sort}`));
    this.search.addEventListener("keydown", (event) => this.#searchKey(event));
    this.box.addEventListener("keydown", (event) => this.#key(event));
    this.box.addEventListener("scroll", () => this.#render(), { passive: true });
    this.box.addEventListener("click", (event) => this.#click(event));
    new ResizeObserver(() => this.#render()).observe(this.box);
    setInterval(() => this.#look(), LOOK_EVERY);
  }

  /** Takes the store's series as they are now. */
  update(fromTop = false) {
    const text = this.search.value.trim();
    const infos = [...this.store.infos.values()];
    const found = infos.filter(searched(text)).sort(this.#compare());
    const match = isPattern(text) ? text : text ? null : this.#chosen.match;
    const several = match ? [{ match, found: text ? found.length : infos.filter(searched(match)).length }] : [];
    const active = this.#items[this.#active];
    this.#items = [...(text || !this.#hasAll ? [] : [null]), ...several, ...found];
    const isActive = (item) => item?.series === active?.series && item?.match === active?.match;
    this.#active = fromTop ? 0 : Math.max(0, this.#items.findIndex(isActive));
    if (fromTop) this.box.scrollTop = 0;
    this.sizer.style.height = `${this.#items.length * ROW}px`;
    this.#tellTotal(found.length, text !== "");
    this.#render();
  }

  /** Sorts by this (a leading `-`: descending); by a statistic over this window. */
  sort(sort, window) {
    if (sort === this.#sort && sameWindow(window, this.#window)) return;
    const isNew = sort !== this.#sort;
    [this.#sort, this.#window] = [sort, window];
    this.order.value = this.#statistic;
    const isDescending = DESCENDING.test(sort);
    this.direction.setAttribute("aria-pressed", isDescending);
    write(this.heading, this.#isRanked ? `${this.order.selectedOptions[0]?.text ?? this.#statistic}, ${describe(window)}` : "Newest value");
    this.wake();
    this.update(isNew);
  }

  /** Takes an event that reached the page some other way, so that its row tells what the rest of the page does. */
  touch(series, event) {
    if (this.store.touch(series, event)) this.#fill(series);
  }

  /** Has no row of all series from now on. */
  leaveOutAll() {
    this.#hasAll = false;
    this.update(true);
  }

  /** The series of the first row; null when there is none. */
  get first() {
    return this.#items.find((item) => item?.series)?.series ?? null;
  }

  /** Lets go of the ranking, and takes it up again. */
  sleep() {
    this.#ranking.stop();
  }

  wake() {
    if (this.#isRanked) this.#ranking.follow(this.#sort, this.#window);
    else this.#ranking.stop();
  }

  get #statistic() {
    return this.#sort.replace(DESCENDING, "");
  }

  get #isRanked() {
    return !(this.#statistic in ORDERS);
  }

  #compare() {
    const order = ORDERS[this.#statistic];
    if (order) return DESCENDING.test(this.#sort) ? (a, b) => order(b, a) : order;
    const places = new Map([...this.#ranking.values.keys()].map((name, place) => [name, place]));
    const place = ({ series }) => places.get(series) ?? places.size; // behind those ranked, by name
    return (a, b) => place(a) - place(b) || byName(a.series, b.series);
  }

  /** Marks the row of a view. */
  choose({ series, match }) {
    this.#chosen = { series, match };
    this.update();
  }

  /** Marks the series that have a line of their own in the chart, [{series, number}]. */
  mark(lines) {
    this.#lines = new Map(lines.map(({ series, number }) => [series, number]));
    this.#render();
  }

  /** Fills the row of this series again, if it is in sight. */
  #fill(name) {
    for (const [index, row] of this.#rows) if (this.#items[index]?.series === name) this.#write(row, index);
  }

  #tellTotal(found, searching) {
    const all = this.store.infos.size;
    write(this.total, searching ? `${count(found)} of ${count(all)}` : `${count(all)} series`);
    this.none.hidden = !searching || found > 0;
    if (!this.none.hidden) write(this.none.firstElementChild, isPattern(this.search.value) ? "No series matches yet." : `No series has \u201c${this.search.value.trim()}\u201d in its name.`);
  }

  #inSight() {
    const first = Math.floor(this.box.scrollTop / ROW);
    const last = Math.ceil((this.box.scrollTop + this.box.clientHeight) / ROW);
    return [first, Math.min(this.#items.length, last)];
  }

  #render() {
    const [first, last] = this.#inSight();
    const [from, to] = [Math.max(0, first - SPARE), Math.min(this.#items.length, last + SPARE)];
    for (const [index, row] of this.#rows) {
      if (index >= from && index < to) continue;
      this.#rows.delete(index);
      this.#spare.push(row);
      row.remove();
    }
    for (let index = from; index < to; index++) {
      if (!this.#rows.has(index)) this.#rows.set(index, this.#place(index));
      this.#write(this.#rows.get(index), index);
    }
    this.box.setAttribute("aria-activedescendant", this.#rows.has(this.#active) ? `row-${this.#active}` : "");
  }

  #place(index) {
    const row = this.#spare.pop() ?? this.template.cloneNode(true);
    row.id = `row-${index}`;
    row.style.transform = `translateY(${index * ROW}px)`;
    row.setAttribute("aria-posinset", index + 1);
    this.sizer.append(row);
    return row;
  }

  #write(row, index) {
    const item = this.#items[index];
    const [name, age, value, line] = row.querySelectorAll("[data-cell]");
    const isOne = item?.series !== undefined;
    write(name, nameOf(item ?? {}));
    name.title = isOne ? item.series : item ? `All series that match ${item.match}, as one` : "";
    write(age, isOne ? (item.last ? ago(serverNow() - secondsOf(item.last.timestamp)) : "no events") : item ? "as one" : "");
    write(value, isOne ? this.#value(item) : count(item?.found ?? this.store.infos.size));
    const path = isOne ? this.#sparklines.path(item.series) : "";
    if (line.getAttribute("d") !== path) line.setAttribute("d", path);
    row.dataset.line = this.#lines.get(item?.series) ?? "";
    row.classList.toggle("all", !item);
    row.classList.toggle("several", item?.match !== undefined);
    row.classList.toggle("active", index === this.#active);
    row.setAttribute("aria-selected", (item?.series ?? null) === this.#chosen.series && (item?.match ?? null) === this.#chosen.match);
    row.setAttribute("aria-setsize", this.#items.length);
  }

  /** The newest value; or the statistic that the list is sorted by. */
  #value({ series, last }) {
    const places = this.precision.of(series);
    if (!this.#isRanked) return number(last?.value, places);
    if (!this.#ranking.values.has(series)) return "";
    const value = this.#ranking.values.get(series);
    return this.#statistic === "count" ? count(value) : COMPUTED.has(this.#statistic) ? steady(value) : number(value, places);
  }

  /** Moves the ages on and asks for the courses of the rows in sight. */
  #look() {
    if (document.hidden || this.box.clientHeight === 0) return;
    const [first, last] = this.#inSight();
    this.#sparklines.want(this.#items.slice(first, last).filter((item) => item?.series));
    for (const [index, row] of this.#rows) this.#write(row, index);
  }

  #click(event) {
    const row = event.target.closest("[role=option]");
    const index = [...this.#rows].find(([, other]) => other === row)?.[0];
    if (index !== undefined) this.#pick(index, this.isAdding || event.ctrlKey || event.metaKey);
  }

  #pick(index, isAdded = this.isAdding) {
    this.#active = index;
    const series = this.#items[index]?.series;
    if (isAdded && series !== undefined) this.on.add(series);
    else if (index < this.#items.length) this.on.choose(series ?? null, this.#items[index]?.match ?? null);
  }

  #searchKey(event) {
    if (event.key === "ArrowDown") this.box.focus();
    else if (event.key === "Enter") this.#pick(0);
    else if (event.key === "Escape" && this.search.value) {
      this.#clear();
      event.stopPropagation();
    } else return;
    event.preventDefault();
  }

  #clear() {
    this.search.value = "";
    this.update(true);
    this.search.focus();
  }

  #key(event) {
    const page = Math.max(1, Math.floor(this.box.clientHeight / ROW) - 1);
    const end = this.#items.length - 1;
    const moves = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -end, End: end };
    if (event.key === "Enter" || event.key === " ") this.#pick(this.#active);
    else if (event.key === "c" && !event.ctrlKey && !event.metaKey) this.#pick(this.#active, true);
    else if (event.key in moves) this.#move(Math.min(end, Math.max(0, this.#active + moves[event.key])));
    else return;
    event.preventDefault();
  }

  #move(index) {
    this.#active = index;
    const [top, height] = [index * ROW, this.box.clientHeight];
    if (top < this.box.scrollTop) this.box.scrollTop = top;
    else if (top + ROW > this.box.scrollTop + height) this.box.scrollTop = top + ROW - height;
    this.#render();
  }
}

/** Which series a text finds: those that match it as a pattern, or have all of its words in their names. */
function searched(text) {
  const matches = isPattern(text) && matcher(text);
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  return ({ series }) => (matches ? matches(series) : words.every((word) => series.toLowerCase().includes(word)));
}

const sameWindow = (a, b) => a?.text === b?.text && a?.last === b?.last;
