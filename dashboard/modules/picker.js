// The window picker: presets, and a duration or count of one's own.

import { describe, windowOf } from "./windows.js";

export class Picker {
  /** `choose(window)` when a person picks one. */
  constructor(root, choose) {
    this.root = root;
    this.own = root.querySelector("[value=custom]");
    this.form = root.querySelector("form");
    this.amount = this.form.elements.amount;
    this.unit = this.form.elements.unit;
    this.label = root.querySelector("[data-part=custom]");
    this.choose = choose;
    root.addEventListener("change", (event) => event.target.name === "window" && this.#preset(event.target));
    this.own.addEventListener("click", () => this.#open());
    this.form.addEventListener("submit", (event) => this.#submit(event));
    this.form.addEventListener("keydown", (event) => event.key === "Escape" && this.#close(event));
    document.addEventListener("pointerdown", (event) => root.contains(event.target) || this.#close());
  }

  /** Marks this window as the one in force. */
  show(window) {
    const key = window.last ? `last=${window.last}` : window.text;
    const presets = [...this.root.querySelectorAll("[name=window]")];
    const preset = presets.find((input) => input.value === key);
    (preset ?? this.own).checked = true;
    this.current = window;
    this.label.textContent = preset ? "Custom" : shorten(describe(window));
    this.form.hidden = true;
  }

  #preset(input) {
    if (input === this.own) return;
    const [text, last] = input.value.split("=");
    this.choose(last ? windowOf(last, true) : windowOf(text));
  }

  #open() {
    this.form.hidden = false;
    this.amount.focus();
    this.amount.select();
  }

  #close(event) {
    if (this.form.hidden) return;
    event?.stopPropagation();
    this.show(this.current);
    if (event) this.own.focus();
  }

  #submit(event) {
    event.preventDefault();
    const isCount = this.unit.value === "events";
    const window = windowOf(this.amount.value + (isCount ? "" : this.unit.value), isCount);
    this.amount.setCustomValidity(window ? "" : isCount ? "A whole number above 0" : "A number above 0");
    if (!window) return this.form.reportValidity();
    this.form.hidden = true;
    this.choose(window);
  }
}

function shorten(text) {
  const words = text.replace("the last ", "");
  return words[0].toUpperCase() + words.slice(1);
}
