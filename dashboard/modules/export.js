// What the chart shows, as a file of CSV; times in UTC.

import { getJson, open, patiently, url } from "./api.js";
import { nameOf } from "./patterns.js";
import { FETCHED } from "./points.js";

const KEPT_FOR = 60_000; // milliseconds in which the browser takes the file
const LINE_END = "\r\n";

/** Has the browser save what a chart of this view shows: the steps of its history, or its events. */
export function saveDrawn(view, chart, history) {
  const { series, window } = view;
  const name = [nameOf(view, "all"), window.last ? `last-${window.last}` : window.text].join("-");
  if (!chart.source.history) return saveEvents(series, chart.shown, name);
  return saveHistory(history.path, history.query(chart.zoomed, history.stepWithin(chart.zoomed) ?? undefined), name);
}

async function saveHistory(path, query, name) {
  const response = await patiently(() => open(url(path, query), { headers: { Accept: "text/csv" } }));
  hand(await response.blob(), name);
}

/** Those from `min` to `max`, in seconds since the epoch, as many as the page has drawn. */
async function saveEvents(series, { min, max }, name) {
  const path = `series/${encodeURIComponent(series)}/events`;
  const { body } = await patiently(() => getJson(path, { limit: FETCHED }));
  const isShown = ({ timestamp }) => Date.parse(timestamp) >= min * 1000 && Date.parse(timestamp) <= max * 1000;
  const lines = body.events.filter(isShown).map(({ timestamp, value }) => `${timestamp},${value}`);
  hand(new Blob([["timestamp,value", ...lines, ""].join(LINE_END)], { type: "text/csv" }), name);
}

function hand(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = `${name.replace(/[^\p{L}\p{N}._-]+/gu, "-")}.csv`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), KEPT_FOR);
}
