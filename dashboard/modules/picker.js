// The window picker: what fits the service, and a duration or count of one's own.

import { write } from "./elements.js";
import { brief, describe, lengthOf, offered, UNKNOWN_RETENTION, windowOf } from "./windows.js";

const MOST_EVENTS = 1e8;

export class Picker {
  #retention = UNKNOWN_RETENTION;
  #isKnown = false;

  /** `choose(window)` when a person picks one. */
  constructor(root, choose) {
    this.root = root;
    this.own = root.querySelector("[value=custom]");
    this.form = root.querySelector("form");
    this.amount = this.form.elements.amount;
    this.unit = this.form.elements.unit;
    this.hint = root.querySelector("[data-part=hint]");
    this.label = root.querySelector("[data-part=custom]");
    this.choose = choose;
    root.addEventListener("change", (event) => event.target.name === "window" && this.#preset(event.target));
    this.own.addEventListener("click", () => this.#open());
    this.form.addEventListener("submit", (event) => this.#submit(event));
    this.form.addEventListener("input", () => this.#check());
    this.form.addEventListener("keydown", (event) => event.key === "Escape" && this.#close(event));
    document.addEventListener("pointerdown", (event) => root.contains(event.target) || this.#close());
    this.#lay();
  }

  /** Offers durations up to this one, the longest that the service takes. */
  offer(retention) {
    const isOther = retention.seconds !== this.#retention.seconds;
    [this.#retention, this.#isKnown] = [retention, true];
    if (isOther) this.#lay();
    if (this.current) this.show(this.current);
  }

  /** Marks this window as the one in force. */
  show(window) {
    const key = window.last ? `last=${window.last}` : window.text;
    const presets = [...this.root.querySelectorAll("[name=window]")];
    const preset = presets.find((input) => input.value === key);
    const chosen = preset ?? this.own;
    chosen.checked = true;
    this.current = window;
    this.label.textContent = preset ? "Custom" : shorten(describe(window));
    this.form.hidden = true;
    chosen.parentElement.scrollIntoView({ block: "nearest", inline: "nearest" }); // on a phone the row is wider than the screen
  }

  /** Puts the durations before the counts. */
  #lay() {
    for (const old of this.root.querySelectorAll("[data-duration]")) old.remove();
    const first = this.root.querySelector("fieldset label");
    for (const window of offered(this.#retention)) {
      const label = first.cloneNode(true);
      label.dataset.duration = "";
      label.querySelector("input").value = window.text;
      label.querySelector("input").checked = false;
      label.querySelector("span").textContent = brief(window);
      first.before(label);
    }
  }

  #preset(input) {
    if (input === this.own) return;
    const [text, last] = input.value.split("=");
    this.choose(last ? windowOf(last, true) : windowOf(text));
  }

  #open() {
    this.form.hidden = false;
    this.#check();
    this.amount.focus();
    this.amount.select();
  }

  #close(event) {
    if (this.form.hidden) return;
    event?.stopPropagation();
    this.show(this.current);
    if (event) this.own.focus();
  }

  get #window() {
    const isCount = this.unit.value === "events";
    return windowOf(this.amount.value.trim() + (isCount ? "" : this.unit.value), isCount);
  }

  /** Says what is wrong while it is typed; returns whether nothing is. */
  #check() {
    const fault = this.#fault(this.#window);
    write(this.hint, fault);
    this.amount.setAttribute("aria-invalid", fault !== "");
    return fault === "";
  }

  #fault(window) {
    if (!window) return this.unit.value === "events" ? "A whole number above 0" : "A number above 0";
    if (window.last > MOST_EVENTS) return "At most 100,000,000 events";
    const isTooLong = this.#isKnown && window.seconds > this.#retention.seconds;
    return isTooLong ? `At most ${lengthOf(this.#retention.seconds)}: events are kept no longer` : "";
  }

  #submit(event) {
    event.preventDefault();
    if (!this.#check()) return this.amount.focus();
    this.form.hidden = true;
    this.choose(this.#window);
  }
}

function shorten(text) {
  const words = text.replace("the last ", "");
  return words[0].toUpperCase() + words.slice(1);
}
