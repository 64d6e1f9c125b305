// The view that the page shows, as its address names it, and the ways to another.

import { nameOf } from "./patterns.js";
import { hashOf, readView, sameQuestion } from "./route.js";
import { UNKNOWN_RETENTION, usualWindow } from "./windows.js";

const sameStretch = (a, b) => a.window.text === b.window.text && a.window.last === b.window.last;

export class Navigation {
  view = null;
  retention = null; // the longest window, once it is known
  #seesAll = true; // until the access key turns out to be for some series alone

  /** `on`: asks() when the view is of other numbers, looks() when it shows the same ones in another way, stays() where a
      person chooses what is shown already; enters() before the first two. */
  constructor(on) {
    this.on = on;
    addEventListener("hashchange", () => this.enter());
  }

  /** The longest window; the usual one until it is known. */
  get longest() {
    return this.retention ?? UNKNOWN_RETENTION;
  }

  /** Takes the view that the address names. */
  enter() {
    const before = this.view;
    this.view = readView(usualWindow(this.longest));
    this.on.enters();
    if (sameQuestion(before, this.view)) this.on.looks();
    else this.on.asks();
  }

  /** Other numbers, and another entry in the browser's history. */
  go(change) {
    const next = { ...this.view, ...change };
    if (sameQuestion(this.view, next)) return this.on.stays();
    location.hash = hashOf({ ...next, zoom: sameStretch(this.view, next) ? this.view.zoom : null });
  }

  /** The same numbers, shown in another way. */
  turn(change) {
    location.hash = hashOf({ ...this.view, ...change });
  }

  /** The same numbers looked at in another way: the address tells, but there is nothing to go back to. */
  settle(change) {
    this.view = { ...this.view, ...change };
    window.history.replaceState(null, "", hashOf(this.view));
  }

  /** Whether the view is of all series. */
  get isOfAll() {
    return nameOf(this.view, null) === null;
  }

  /** The access key is for some series alone: the page has those, and begins with the first of them. */
  keepToSome(first) {
    this.#seesAll = false;
    this.land(first);
  }

  /** Goes to the first series there is, null: none yet, where all of them may not be seen. */
  land(first) {
    if (this.#seesAll || !this.isOfAll || first === null) return;
    window.history.replaceState(null, "", hashOf({ ...this.view, series: first }));
    this.enter();
  }
}
