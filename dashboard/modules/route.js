// The view in the page's address, so that a link reopens it: #window=5m&series=AAPL&show=p99&sort=-p99

import { SHOWABLE } from "./percentiles.js";
import { DEFAULT_WINDOW, parseDuration, query, windowOf } from "./windows.js";

/** The view the address names: a series (null: all of them), a window, the percentiles shown, the length of a step
    (null: as suits the chart), what the list is sorted by, and the stretch of time zoomed to (null: all of it). */
export function readView() {
  const hash = new URLSearchParams(location.hash.slice(1));
  const window = hash.has("last") ? windowOf(hash.get("last"), true) : windowOf(hash.get("window") ?? "");
  const shown = (hash.get("show") ?? "").split(",");
  return {
    series: hash.get("series") || null,
    window: window ?? DEFAULT_WINDOW,
    show: SHOWABLE.filter((name) => shown.includes(name)),
    step: parseDuration(hash.get("step")) || null,
    sort: hash.get("sort") || "name",
    zoom: zoomOf(hash.get("from"), hash.get("to")),
  };
}

function zoomOf(from, to) {
  const [min, max] = [Number(from), Number(to)];
  return from && max > min ? { min, max } : null;
}

/** The address of a view, relative to the page. */
export function hashOf({ series, window, show, step, sort, zoom }) {
  const hash = new URLSearchParams(query(window));
  if (series) hash.set("series", series);
  if (show.length) hash.set("show", show.join(","));
  if (step) hash.set("step", step);
  if (sort !== "name") hash.set("sort", sort);
  if (zoom) hash.set("from", zoom.min.toFixed(3));
  if (zoom) hash.set("to", zoom.max.toFixed(3));
  return `#${hash.toString().replaceAll("%2C", ",")}`;
}

/** Whether two views ask for the same numbers, however they are looked at. */
export function sameQuestion(a, b) {
  const question = (view) => view && hashOf({ ...view, sort: "name", zoom: null });
  return question(a) === question(b);
}
