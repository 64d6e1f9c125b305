// What is written about the chart, above it and for screen readers.

import { serverNow } from "./api.js";
import { count, number, span, steady, zone } from "./format.js";
import { nameOf } from "./patterns.js";
import { Quiet } from "./quiet.js";
import { measured } from "./units.js";
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
function captionOf(window, zoomed, step, missing) {
  const stretch = zoomed ? stretchOf(zoomed) : sentence(describe(window));
  if (step) return `${stretch}, in steps of ${lengthOf(step)}`;
  return missing ? `${stretch}: the newest ${count(missing.held)} of ${count(missing.all)} events drawn` : stretch;
}

/** The chart in a sentence. */
function summaryOf(name, window, zoomed, { min, mean, max }) {
  const summary = mean == null ? "no events" : `min ${number(min)}, mean ${number(mean)}, max ${number(max)}`;
  const when = zoomed ? `from ${stretchOf(zoomed)}` : `over ${describe(window)}`;
  return `Chart of ${name} ${when}, times in ${zone()}: ${summary}`;
}

export class Captions {
  constructor({ caption, plot, quiet }, { chart, comparison, store }) {
    [this.caption, this.plot, this.quiet] = [caption, plot, new Quiet(quiet, plot)];
    [this.chart, this.comparison, this.store] = [chart, comparison, store];
  }

  /** Tells of this view, as far as its history and its events are here; `feed` is null unless it is of a single series,
      `statistics` of the window are null before they are there. */
  tell(view, { history, feed, statistics }) {
    this.caption.textContent = this.#caption(view, history, feed, statistics?.count ?? 0);
    this.tellLegend();
    const isUnknown = view.series !== null && this.store.loaded && !this.store.infos.has(view.series);
    this.quiet.show(statistics?.count === 0, isUnknown, view);
    const { zoomed, statistics: shown } = this.chart;
    this.plot.setAttribute("aria-label", summaryOf(nameOf(view, "all series"), view.window, zoomed, shown));
  }

  /** The values of all lines where the pointer is, or the newest. */
  tellLegend() {
    const { lines, legend } = this.comparison;
    if (lines.length) legend.values(this.chart.means().map((mean) => measured(mean, steady)));
  }

  #caption({ window, kind }, history, feed, all) {
    const { zoomed, source } = this.chart;
    if (kind === "chart" && source.history) return captionOf(window, zoomed, history.stepWithin(zoomed), null);
    const isPartial = kind === "chart" && !zoomed && feed.points.isPartial(window, all, serverNow());
    return captionOf(window, zoomed, null, isPartial ? { held: Math.min(feed.points.times.length, all), all } : null);
  }
}
