// The live chart: which stretch of time it shows, zoom and pause. uPlot draws.

import { secondsOf, serverNow } from "./api.js";
import * as parts from "./chart_parts.js";
import { moment, number } from "./format.js";
import { Overlays } from "./overlays.js";
import { Pin } from "./pin.js";
import { firstAfter } from "./points.js";
import { measured } from "./units.js";

const SHORTEST_SPAN = 10; // seconds that a chart which has only just begun shows
const AROUND_ONE = 30; // seconds shown before and after a single event
const REDRAW_EVERY = 100; // milliseconds
const CLOSEST_ZOOM = 0.05; // seconds

export class Chart {
  #u = null;
  #zoom = null;
  #held = null; // while paused: the moment that stays at the right edge
  #due = null;
  #colours = null;
  #pin = new Pin();
  #drawn = null; // what the canvas was built for
  #rows = []; // the points of a history, as drawn
  #overlays = []; // further lines
  #thresholds = [];
  #alerts = { levels: [], crossings: [] }; // levels of alerts, and when they were crossed
  source = null;
  statistics = {};

  /** `on`: hover(index or null), moved() after pause, zoom or new source. */
  constructor(root, on) {
    this.root = root;
    this.on = on;
    new ResizeObserver(() => this.#resize()).observe(root);
    root.addEventListener("pointermove", () => this.#pin.clear());
    root.addEventListener("blur", () => this.#unpin());
    addEventListener("themechange", () => this.#u && this.#build());
    addEventListener("alertschange", ({ detail }) => ((this.#alerts = detail), this.refresh()));
  }

  /** Shows `source` from now on: {window, show, points, places()}, and {history} to draw that in place of single events;
      places: the decimals that values are written with. */
  show(source, zoom = null) {
    this.source = source;
    this.statistics = {};
    this.#zoom = zoom;
    this.#held = null;
    this.#pin.clear();
    this.#redraw();
    this.on.moved();
  }

  /** Draws this history from now on, in place of single events. */
  turnTo(history) {
    this.source.history = history;
    this.#redraw();
  }

  /** Draws these further lines and levels too. */
  decorate(overlays, thresholds) {
    [this.#overlays, this.#thresholds] = [overlays, thresholds];
    if (this.source) this.#redraw(); // built anew only for other lines: that would end a drag across it
  }

  /** The means of the view and of the further lines: where the cursor is, or the newest. */
  means() {
    if (!this.source?.history) return [];
    const index = this.#underCursor();
    return this.#u.data.filter((_, i) => i === 1 || i > this.#u.data.length - 1 - this.#overlays.length).map((column) =>
      index === null ? (column.findLast((x) => x !== null) ?? null) : column[index],
    );
  }

  get paused() {
    return this.#held !== null;
  }

  /** The stretch of time shown, null unless a person chose it. */
  get zoomed() {
    return this.#zoom;
  }

  /** From when to when it shows: {min, max} in seconds. */
  get shown() {
    return { ...this.#range(this.times) };
  }

  togglePause() {
    this.#held = this.paused ? null : serverNow();
    if (!this.paused) this.#zoom = null;
    this.#draw();
    this.on.moved();
  }

  /** Shows this stretch only; null follows the newest events again. */
  zoom(range) {
    this.#zoom = range && range.max - range.min >= CLOSEST_ZOOM ? range : null;
    this.#draw();
    this.on.moved();
  }

  zoomBy(factor) {
    const { min, max } = this.#range(this.times);
    const centre = this.times[this.#underCursor()] ?? (min + max) / 2;
    this.zoom({ min: centre - (centre - min) * factor, max: centre + (max - centre) * factor });
  }

  /** Moves the readout by so many events, or steps that hold some; the newest is the start. */
  step(by) {
    const { times } = this;
    const { min } = this.#u.scales.x;
    // A step that began before the chart does is not to be pointed at.
    const shown = (index) => !this.source.history || (times[index] >= min && this.#rows[index].count);
    const filled = times.map((_, index) => index).filter(shown);
    if (!filled.length) return;
    const current = this.#underCursor();
    const from = current === null ? filled.length - (by < 0 ? 0 : 1) : filled.findLastIndex((index) => index <= current);
    this.#pin.set(times, filled[Math.min(filled.length - 1, Math.max(0, from + by))]);
    this.#followPin();
  }

  /** Draws what has changed, soon and at most ten times a second. */
  refresh() {
    this.#due ??= setTimeout(() => {
      this.#due = null;
      if (!this.paused && !document.hidden) this.#draw();
    }, REDRAW_EVERY);
  }

  get times() {
    return this.#u.data[0];
  }

  /** What there is to say about a point: {time, lines: [[name, text]]}; null where there is no event. */
  read(index) {
    const { history, show, places } = this.source;
    if (history) return this.#rows[index]?.count ? parts.told(this.#rows[index], show, places()) : null;
    const value = this.#u.data[1][index];
    return value == null ? null : { time: moment(this.times[index]), lines: [["", measured(value, (x) => number(x, places()))]] };
  }

  position(index) {
    const value = this.#u.data[1][index];
    return { left: this.#u.valToPos(this.times[index], "x"), top: this.#u.valToPos(value, "y"), over: this.#u.over };
  }

  #columns() {
    const { history, points, window } = this.source;
    if (history) return this.#historyColumns(history);
    const { times, values } = points;
    const from = window.last ? Math.max(0, times.length - window.last) : 0;
    const to = this.#end(times);
    return [times.slice(from, to), values.slice(from, to)];
  }

  #historyColumns(history) {
    const points = history.within(this.#zoom);
    this.#rows = points.slice(0, this.#end(points.map(({ start }) => start)));
    const middles = this.#rows.map(({ start, end }) => (start + end) / 2);
    const own = ["mean", "min", "max", ...this.source.show].map((name) => this.#rows.map((row) => row[name] ?? null));
    return [middles, ...own, ...this.#overlays.map((line) => this.#rows.map(({ start }) => Overlays.mean(line, start)))];
  }

  /** How many of these times are shown: while paused nothing newer comes in, not even at the edge. */
  #end(times) {
    return this.paused && !this.zoomed ? firstAfter(times, this.#held) : times.length;
  }

  #range(times) {
    if (this.#zoom) return this.#zoom;
    const now = this.#held ?? serverNow();
    const { history, points, window } = this.source;
    if (window.last) return widened(this.#rows[0]?.start ?? times[0] ?? now, history ? now : (times.at(-1) ?? now));
    const max = Math.max(now, Math.min(times.at(-1) ?? now, now + 60));
    const whole = now - window.seconds;
    // Events may be too many to hold all: begin with what is there.
    const partial = !history && points.isPartial(window, this.statistics.count ?? 0, now);
    const min = partial && times.length ? Math.max(whole, Math.min(times[0], now - SHORTEST_SPAN)) : whole;
    return { min, max };
  }

  #redraw() {
    const { history, show } = this.source;
    const wanted = history ? ["history", ...show, ...this.#overlays.map(({ name }) => name)].join() : "events";
    this.#rows = [];
    if (wanted === this.#drawn) return this.#draw();
    this.#drawn = wanted;
    this.#build();
  }

  #draw() {
    const u = this.#u;
    const columns = this.#columns();
    u.batch(() => {
      u.setData(columns, false);
      u.setScale("x", { ...this.#range(columns[0]) });
    });
  }

  #build() {
    this.#u?.destroy();
    const { history, show } = this.source;
    const colours = (this.#colours = parts.readColours(show, this.#overlays));
    const kind = history ? parts.historySeries(colours, show, this.#overlays) : parts.eventSeries(colours);
    const options = {
      ...this.#size(),
      ...kind,
      padding: [10, parts.GUTTER, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { x: true, y: false, setScale: false, dist: 4 }, bind: { dblclick: () => () => this.zoom(null) } },
      scales: { x: { time: true, range: (u, min, max) => [min, max] }, y: { range: (u, min, max) => this.#valueRange(min, max) } },
      axes: parts.axes(colours),
      hooks: {
        drawClear: [(u) => this.source.history || parts.drawLevels(u, colours, this.statistics, this.source.show)],
        draw: [(u) => this.#drawOver(u)],
        setCursor: [() => this.on.hover(this.#underCursor())],
        setSelect: [(u) => this.#selected(u)],
      },
    };
    this.#u = new uPlot(options, this.#columns(), this.root);
    this.#draw();
  }

  #drawOver(u) {
    const { last } = this.statistics;
    parts.drawLabels(u, this.#colours, this.#ends(), this.source.show);
    parts.drawThresholds(u, this.#colours, [...this.#thresholds, ...this.#alerts.levels]);
    parts.drawCrossings(u, this.#colours, this.#alerts.crossings);
    parts.drawZone(u, this.#colours);
    const [times, values] = u.data;
    const newest = this.source.history ? [last && secondsOf(last.timestamp), last?.value] : [times.at(-1), values.at(-1)];
    if (!this.paused) parts.drawNewest(u, this.#colours, ...newest);
    this.#followPin();
  }

  /** Where the lines end: those of a history at its newest events, those of the window are level. */
  #ends() {
    if (!this.source.history) return this.statistics;
    const { max } = this.#u.scales.x;
    return this.#rows.findLast(({ count, start, end }) => count && start + end <= 2 * max) ?? {};
  }

  #underCursor() {
    const { left, idx } = this.#u.cursor;
    return left < 0 ? null : (this.#pin.index(this.times) ?? idx ?? null);
  }

  #followPin() {
    const index = this.#pin.index(this.times);
    if (index === null) return;
    const left = this.#u.valToPos(this.times[index], "x");
    const inView = left >= 0 && left <= this.#u.over.clientWidth;
    if (inView) this.#u.setCursor({ left, top: this.#u.over.clientHeight / 2 });
    else this.#unpin();
  }

  #unpin() {
    this.#pin.clear();
    this.#u?.setCursor({ left: -10, top: -10 });
  }

  #selected(u) {
    const { left, width } = u.select;
    if (width < 4) return;
    u.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
    this.zoom({ min: u.posToVal(left, "x"), max: u.posToVal(left + width, "x") });
  }

  #valueRange(low, high) {
    const { min, max } = this.statistics;
    const all = [low, high, min, max, ...this.#thresholds, ...this.#alerts.levels].filter((value) => Number.isFinite(value));
    if (!all.length) return [0, 1];
    const [bottom, top] = [Math.min(...all), Math.max(...all)];
    const margin = (top - bottom) * 0.08 || Math.abs(top) * 0.01 || 1;
    return [bottom - margin, top + margin];
  }

  #size() {
    return { width: Math.max(160, this.root.clientWidth), height: Math.max(160, this.root.clientHeight) };
  }

  #resize() {
    this.#u?.setSize(this.#size());
  }
}

function widened(min, max) {
  return max > min ? { min, max } : { min: min - AROUND_ONE, max: max + AROUND_ONE };
}
