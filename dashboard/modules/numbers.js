// The numbers of the view: those of its window, or of the stretch of time that the chart is zoomed to.

import { secondsOf } from "./api.js";
import { questionOf, Stretch } from "./stretch.js";
import { Tiles } from "./tiles.js";
import { query } from "./windows.js";

export class Numbers {
  /** Of the window; null before they are there. */
  statistics = null;
  #stretch;
  #view = null;

  /** `precision` knows the decimals of each series; `changed()` when there are others of the stretch zoomed to. */
  constructor({ tiles, value, age }, precision, changed) {
    this.root = tiles;
    this.precision = precision;
    this.tiles = new Tiles(tiles, { value, age });
    this.#stretch = new Stretch(changed);
  }

  /** Begins anew, with the numbers of this view. */
  clear(view) {
    [this.#view, this.statistics] = [view, null];
    this.tiles.choose(view.show);
    this.tiles.clear();
  }

  /** Follows this stretch, null: the window. */
  look(zoomed, retention) {
    const include = ["sum", "stddev", ...this.#view.show].join(",");
    this.#stretch.look(zoomed, { ...this.#view, include, retention: retention?.seconds });
    this.root.classList.toggle("zoomed", zoomed !== null);
  }

  /** The stretch that they follow. */
  get range() {
    return this.#stretch.range;
  }

  stop() {
    this.#stretch.stop();
  }

  /** Takes what the service says of the window. */
  take(statistics) {
    this.statistics = statistics;
    const { min, max, last } = statistics;
    this.precision.learn(this.#view.series, [min, max, last?.value]);
    this.newest(last);
  }

  /** Takes an event that may be the newest. */
  newest(event) {
    this.tiles.newest(event, this.precision.of(this.#view.series));
  }

  /** Shows them in the tiles; returns those that the chart shows the ends of. */
  show() {
    const shown = this.range ? this.#stretch.statistics : withRate(this.statistics, this.#view.window);
    if (!shown) return {};
    this.tiles.show(shown, this.precision.of(this.#view.series));
    return { ...shown, last: this.statistics?.last };
  }
}

/** The rate is that of the window, so that it goes with the count; a window of so many events begins with the first. */
function withRate(found, window) {
  if (!found) return null;
  const seconds = window.seconds ?? found.at - secondsOf(found.first?.timestamp);
  return { ...found, rate: seconds > 0 ? found.count / seconds : null };
}

/** What asks for the numbers of the window, or of this stretch of it. */
export function askFor(zoomed, window, retention) {
  return zoomed ? questionOf(zoomed, retention?.seconds ?? Infinity) : query(window);
}
