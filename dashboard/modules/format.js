// How numbers and times are written for a reader.

const SI = [[1e18, "E"], [1e15, "P"], [1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]];
export const NARROW_SPACE = "\u202f";
export const NONE = "\u2013";
/** Of what is written on a canvas; the style sheet has the same family. */
export const FONT = '11px Inter, -apple-system, "Segoe UI", Roboto, Arial, sans-serif';

const formats = new Map();

function fixed(x, least, most) {
  const key = least * 20 + most;
  if (!formats.has(key)) {
    const options = { minimumFractionDigits: least, maximumFractionDigits: most };
    formats.set(key, new Intl.NumberFormat(undefined, options));
  }
  return formats.get(key).format(x);
}

/** Decimals worth reading at this size: more for small numbers. */
export function decimals(x) {
  const size = Math.abs(x);
  if (size >= 1e5) return size >= 1e6 ? 0 : 1;
  if (size >= 100) return 2;
  if (size >= 10) return 3;
  if (size >= 0.1) return 4;
  return size >= 0.01 ? 5 : 7;
}

/** Decimals it takes to write all of these as they were measured, as far as they are worth reading beside each other. */
export function places(values) {
  const known = values.filter((x) => x != null);
  if (!known.length) return 0;
  const largest = known.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  return Math.min(decimals(largest), Math.max(...known.map(written)));
}

function written(x) {
  return extreme(x) ? 0 : (String(x).split(".")[1] ?? "").length;
}

function short(x) {
  const [unit, letter] = SI.find(([limit]) => Math.abs(x) >= limit);
  const scaled = x / unit;
  const after = Math.abs(scaled) >= 100 ? 1 : 2;
  return fixed(scaled, after, after) + NARROW_SPACE + letter;
}

function extreme(x) {
  const size = Math.abs(x);
  return size >= 1e21 || (size < 1e-4 && size > 0);
}

/** A number as it was measured; with at least so many decimals, so that its neighbours line up with it. */
export function number(x, least = 0) {
  if (x == null || Number.isNaN(x)) return NONE;
  if (extreme(x)) return x.toExponential(3).replace("e+", "e");
  return Math.abs(x) >= 1e7 ? short(x) : fixed(x, least, Math.max(least, decimals(x)));
}

/** The decimals that each series' values are written with, wherever on the page: the most that any of them has needed. */
export class Precision {
  #places = new Map();

  /** Learns from values of a series; those of all series (null) have no decimals in common. */
  learn(series, values) {
    if (series !== null) this.#places.set(series, Math.max(this.of(series), places(values)));
  }

  of(series) {
    return this.#places.get(series) ?? 0;
  }
}

/** A computed number: always the same decimals, so that it does not jump about as it changes. */
export function steady(x) {
  if (x == null || extreme(x) || Math.abs(x) >= 1e7) return number(x);
  return x === 0 ? "0" : fixed(x, decimals(x), decimals(x));
}

export function count(n) {
  if (n == null) return NONE;
  return n >= 1e8 ? short(n) : fixed(n, 0, 0);
}

export function rate(perSecond) {
  if (perSecond == null) return NONE;
  const text = perSecond >= 1e4 ? short(perSecond) : fixed(perSecond, 0, perSecond >= 10 ? 0 : 2);
  return `${text}/s`;
}

/** Labels of an axis whose ticks are `step` apart. */
export function tick(x, step) {
  if (extreme(x)) return x.toExponential(1).replace("e+", "e");
  if (Math.abs(x) >= 1e6) return short(x);
  const after = Math.min(12, written(Number(step.toPrecision(6))));
  return fixed(x, after, after);
}

/** "3 s ago"; `seconds` may be negative for an event dated slightly ahead. */
export function ago(seconds) {
  if (seconds == null) return "";
  if (seconds <= -1.5) return `in ${Math.round(-seconds)} s`;
  if (seconds < 1) return "just now";
  if (seconds < 60) return `${Math.floor(seconds)} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86400)} d ago`;
}

function clock(options) {
  return new Intl.DateTimeFormat(undefined, { hourCycle: "h23", ...options });
}

const HM = { hour: "2-digit", minute: "2-digit" };
const HMS = { ...HM, second: "2-digit" };
const minutes = clock(HM);
const seconds = clock(HMS);
const milliseconds = clock({ ...HMS, fractionalSecondDigits: 3 });
const days = clock({ month: "short", day: "numeric" });
const whole = clock({ month: "short", day: "numeric", ...HMS, fractionalSecondDigits: 3 });

/** Wall-clock time of an axis tick; `step` in seconds decides how fine. */
export function tickTime(at, step) {
  const format = step < 1 ? milliseconds : step < 60 ? seconds : step < 86400 ? minutes : days;
  return format.format(at * 1000);
}

/** The time of day, to the second, of milliseconds since the epoch. */
export function second(at) {
  return seconds.format(at);
}

const zoned = new Intl.DateTimeFormat(undefined, { hour: "numeric", timeZoneName: "short" });

/** The zone of the times that the page writes, such as "CEST" or "GMT+2". */
export function zone() {
  const parts = zoned.formatToParts(new Date());
  return parts.find(({ type }) => type === "timeZoneName")?.value ?? "local time";
}

/** From when to when a step of a history goes. */
export function span(start, end) {
  const isWhole = start % 1 === 0 && end % 1 === 0;
  const [from, to] = [start, end].map((at) => (isWhole ? seconds.format(at * 1000) : moment(at)));
  return `${from} \u2013 ${to}`;
}

/** The time of one event, to the millisecond, with the day when it is not today. */
export function moment(at) {
  const date = new Date(at * 1000);
  const today = date.toDateString() === new Date().toDateString();
  return (today ? milliseconds : whole).format(date);
}
