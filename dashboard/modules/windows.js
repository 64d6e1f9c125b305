// Windows: a duration such as 5m, or a count such as the last 1,000 events.

import { count, number } from "./format.js";

const UNITS = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1000, ms: 1 }; // milliseconds
const NAMES = { d: "day", h: "hour", m: "minute", s: "second", ms: "millisecond" };
const AMOUNT = "(\\d+(?:\\.\\d+)?)";
// A number without a unit is of seconds, and ends the text: else `500ms` could be read as 50 seconds and 0 milliseconds.
const DURATION = new RegExp(`^(?:${AMOUNT}d)?(?:${AMOUNT}h)?(?:${AMOUNT}m(?!s))?(?:${AMOUNT}(?:s|$))?(?:${AMOUNT}ms)?$`);

/** Seconds of `90s`, `1h30m`, `500ms` or `60`; NaN for anything else. */
export function parseDuration(text) {
  const match = text && DURATION.exec(text);
  if (!match) return NaN;
  const milliseconds = Object.values(UNITS).reduce((sum, unit, i) => sum + unit * Number(match[i + 1] ?? 0), 0);
  return milliseconds > 0 ? milliseconds / 1000 : NaN;
}

/** A window from its text in the page's address (`window=5m` or `last=100`); null when it is neither. */
export function windowOf(text, isCount = false) {
  if (isCount) {
    const last = Number(text);
    return Number.isSafeInteger(last) && last > 0 ? { text, last, seconds: null } : null;
  }
  const seconds = parseDuration(text);
  return seconds ? { text, last: null, seconds } : null;
}

const USUAL = ["1m", "5m", "15m", "1h", "6h", "24h", "7d"].map((text) => windowOf(text));
const MOST_OFFERED = 6;

/** The durations that are offered where nothing is kept for longer than `retention`, a window; it is one of them. */
export function offered(retention) {
  const fitting = USUAL.filter(({ seconds }) => seconds <= retention.seconds);
  if (fitting.at(-1)?.seconds !== retention.seconds) fitting.push(retention);
  return fitting.slice(-MOST_OFFERED);
}

export const UNKNOWN_RETENTION = windowOf("1h");

/** The window of an address that names none. */
export function usualWindow(retention) {
  return retention.seconds < 300 ? retention : windowOf("5m");
}

/** "5 m", "24 h" */
export function brief(window) {
  const milliseconds = window.seconds * 1000;
  const unit = ["d", "h", "m", "s", "ms"].find((key) => milliseconds % UNITS[key] === 0 && (key !== "d" || milliseconds > UNITS.d));
  return unit ? `${number(milliseconds / UNITS[unit])} ${unit}` : window.text;
}

/** How much earlier a window of so many seconds can be looked at, where nothing is kept for longer than `retention`. */
export function earlier(seconds, retention) {
  return USUAL.filter((ago) => ago.seconds >= seconds && ago.seconds + seconds <= retention);
}

/** The query parameter that asks the API for this window. */
export function query(window) {
  return window.last ? { last: window.text } : { window: window.text };
}

/** "the last 5 minutes", "the last 1,000 events" */
export function describe(window) {
  if (window.last) return window.last === 1 ? "the last event" : `the last ${count(window.last)} events`;
  return `the last ${lengthOf(window.seconds).replace(/^1 /, "")}`;
}

/** A length as it is worth reading: "1 minute 50 seconds", "12.3 seconds" */
export function about(seconds) {
  if (seconds < 60) return lengthOf(Number(seconds.toPrecision(3)));
  const [large, small] = seconds < 5400 ? [60, 1] : [3600, 60];
  const whole = Math.round(seconds / small) * small;
  const rest = whole % large;
  return `${lengthOf(whole - rest)}${rest ? ` ${lengthOf(rest)}` : ""}`;
}

/** "5 minutes", "1 second" */
export function lengthOf(seconds) {
  const milliseconds = seconds * 1000;
  const whole = Object.keys(UNITS).find((key) => milliseconds % UNITS[key] === 0) ?? "ms";
  const unit = whole === "ms" && seconds >= 1 ? "s" : whole;
  const amount = milliseconds / UNITS[unit];
  return `${number(amount)} ${NAMES[unit]}${amount === 1 ? "" : "s"}`;
}
