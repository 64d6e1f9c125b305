// What stands in place of a chart without events.

import { write } from "./elements.js";
import { describe } from "./windows.js";

export class Quiet {
  /** `root` lies over `plot`. */
  constructor(root, plot) {
    const part = (name) => root.querySelector(`[data-part=${name}]`);
    [this.text, this.last, this.send] = ["text", "last", "send"].map(part);
    this.root = root;
    this.plot = plot;
  }

  /** Says so where the window has no events, and what else there is; `isUnknown`: there is no such series. */
  show(isQuiet, isUnknown, { series, window }) {
    this.root.hidden = !isQuiet;
    this.plot.classList.toggle("quiet-plot", isQuiet);
    write(this.text, isUnknown ? `There is no series \u201c${series}\u201d yet.` : `No events in ${describe(window)}.`);
    this.last.hidden = isUnknown || window.last !== null;
    this.send.hidden = !isUnknown;
  }
}
