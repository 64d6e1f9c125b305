// What is written about the chart, above it and for screen readers.

import { count, number, span, zone } from "./format.js";
import { about, describe, lengthOf } from "./windows.js";

function sentence(text) {
  return text[0].toUpperCase() + text.slice(1);
}

function stretchOf({ min, max }) {
  const [from, to] = max - min < 60 ? [min, max] : [Math.round(min), Math.round(max)];
  return `${span(from, to)}, ${about(max - min)}`;
}

/** What is shown: the window or the stretch zoomed to; and by what: single events, or steps of so many seconds.
    `missing`: {held, all} where not all events are here. */
export function captionOf(window, zoomed, step, missing) {
  const stretch = zoomed ? stretchOf(zoomed) : sentence(describe(window));
  if (step) return `${stretch}, in steps of ${lengthOf(step)}`;
  return missing ? `${stretch}: the newest ${count(missing.held)} of ${count(missing.all)} events drawn` : stretch;
}

/** The chart in a sentence. */
export function summaryOf(name, window, zoomed, { min, mean, max }) {
  const summary = mean == null ? "no events" : `min ${number(min)}, mean ${number(mean)}, max ${number(max)}`;
  const when = zoomed ? `from ${stretchOf(zoomed)}` : `over ${describe(window)}`;
  return `Chart of ${name} ${when}, times in ${zone()}: ${summary}`;
}
