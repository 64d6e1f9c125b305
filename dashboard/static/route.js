// The view in the page's address, so that a link reopens it: #series=AAPL&window=5m

import { DEFAULT_WINDOW, query, windowOf } from "./windows.js";

/** The view the address names: a series (null: all of them) and a window. */
export function readView() {
  const hash = new URLSearchParams(location.hash.slice(1));
  const window = hash.has("last") ? windowOf(hash.get("last"), true) : windowOf(hash.get("window") ?? "");
  return { series: hash.get("series") || null, window: window ?? DEFAULT_WINDOW };
}

/** The address of a view, relative to the page. */
export function hashOf({ series, window }) {
  const hash = new URLSearchParams(query(window));
  if (series) hash.set("series", series);
  return `#${hash}`;
}

export function sameView(a, b) {
  return a?.series === b?.series && a?.window.text === b?.window.text && a?.window.last === b?.window.last;
}
