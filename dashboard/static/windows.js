// Windows: a duration such as 5m, or a count such as the last 1,000 events.

import { count } from "./format.js";

const UNITS = { d: 86400, h: 3600, m: 60, s: 1 };
const NAMES = { d: "day", h: "hour", m: "minute", s: "second" };
const DURATION = /^(?:(\d+(?:\.\d+)?)d)?(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s?)?$/;

/** Seconds of `90s`, `1h30m` or `60`; NaN for anything else. */
export function parseDuration(text) {
  const match = text && DURATION.exec(text);
  if (!match) return NaN;
  const seconds = Object.values(UNITS).reduce((sum, unit, i) => sum + unit * Number(match[i + 1] ?? 0), 0);
  return seconds > 0 ? seconds : NaN;
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

export const DEFAULT_WINDOW = windowOf("5m");

/** The query parameter that asks the API for this window. */
export function query(window) {
  return window.last ? { last: window.text } : { window: window.text };
}

/** "the last 5 minutes", "the last 1,000 events" */
export function describe(window) {
  if (window.last) return window.last === 1 ? "the last event" : `the last ${count(window.last)} events`;
  const unit = Object.keys(UNITS).find((key) => window.seconds % UNITS[key] === 0);
  if (!unit) return `the last ${window.text}`;
  const amount = window.seconds / UNITS[unit];
  return amount === 1 ? `the last ${NAMES[unit]}` : `the last ${count(amount)} ${NAMES[unit]}s`;
}
