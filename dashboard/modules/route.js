// The view in the page's address, so that a link reopens it: #window=5m&series=AAPL&show=p99&sort=-p99

import { MOST_SERIES } from "./overlays.js";
import { KINDS } from "./panels.js";
import { percentilesAmong } from "./percentiles.js";
import { parseDuration, query, windowOf } from "./windows.js";

const MOST_THRESHOLDS = 4;
/** A view looked at in the usual way. */
const PLAIN = { sort: "name", zoom: null, kind: "chart", others: [], ago: null, unit: null, thresholds: [] };

/** The view the address names: a series, or a pattern of those that it shows as one (both null: all of them), a window, the percentiles shown, the length of a step
    (null: as suits the chart), what the list is sorted by, and the stretch of time zoomed to (null: all of it);
    how it is shown, further series in its chart, how much earlier it is compared with, unit and thresholds.
    `usual` is the window where it names none. */
export function readView(usual) {
  const hash = new URLSearchParams(location.hash.slice(1));
  const window = hash.has("last") ? windowOf(hash.get("last"), true) : windowOf(hash.get("window") ?? "");
  const shown = (hash.get("show") ?? "").split(",");
  return {
    series: hash.get("series") || null,
    match: (!hash.get("series") && hash.get("match")) || null,
    window: window ?? usual,
    show: percentilesAmong(shown),
    step: parseDuration(hash.get("step")) || null,
    sort: hash.get("sort") || "name",
    zoom: zoomOf(hash.get("from"), hash.get("to")),
    kind: KINDS.includes(hash.get("as")) ? hash.get("as") : "chart",
    others: [...new Set(hash.getAll("with"))].slice(0, MOST_SERIES - 1),
    ago: windowOf(hash.get("ago") ?? ""),
    unit: named("unit", hash) || null,
    thresholds: (named("threshold", hash) ?? "").split(",").filter(Boolean).map(Number).filter(Number.isFinite).slice(0, MOST_THRESHOLDS),
  };
}

/** What the address says in its hash, or before it: `/?unit=ms` is easier to write. */
function named(name, hash) {
  return hash.get(name) ?? new URLSearchParams(location.search).get(name);
}

function zoomOf(from, to) {
  const [min, max] = [Number(from), Number(to)];
  return from && max > min ? { min, max } : null;
}

/** The address of a view, relative to the page. */
export function hashOf({ series, match, window, show, step, sort, zoom, kind, others, ago, unit, thresholds }) {
  const hash = new URLSearchParams(query(window));
  if (series) hash.set("series", series);
  else if (match) hash.set("match", match);
  if (show.length) hash.set("show", show.join(","));
  if (step) hash.set("step", step);
  if (sort !== "name") hash.set("sort", sort);
  if (zoom) hash.set("from", zoom.min.toFixed(3));
  if (zoom) hash.set("to", zoom.max.toFixed(3));
  if (kind !== "chart") hash.set("as", kind);
  for (const name of others) hash.append("with", name);
  if (ago) hash.set("ago", ago.text);
  if (unit) hash.set("unit", unit);
  if (thresholds.length) hash.set("threshold", thresholds.join(","));
  return `#${hash.toString().replaceAll("%2C", ",")}`;
}

/** Whether two views ask for the same numbers, however they are looked at. */
export function sameQuestion(a, b) {
  const question = (view) => view && hashOf({ ...view, ...PLAIN });
  return question(a) === question(b);
}
