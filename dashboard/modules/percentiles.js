// The choice of percentiles that the tiles and the chart show.

import { make } from "./elements.js";

const USUAL = ["p50", "p90", "p99"];
const TITLES = { p50: "The median", p90: "Nine in ten are at most this", p99: "All but one in a hundred are at most this" };
const MOST = 6;
const NAME = /^p(100|\d{1,2}(\.\d{1,4})?)$/;

const share = (name) => Number(name.slice(1));

/** Those of these names that are percentiles, as many as are shown at a time, ascending. */
export function percentilesAmong(names) {
  return [...new Set(names)].filter((name) => NAME.test(name)).slice(0, MOST).sort((a, b) => share(a) - share(b));
}

export class Percentiles {
  #shown = [];

  /** `choose(names)` when a person turns one on or off, or names another. */
  constructor(root, choose) {
    this.root = root;
    this.form = root.querySelector("form");
    this.input = this.form.elements.other;
    this.choose = choose;
    root.addEventListener("click", ({ target }) => target.dataset.percentile && this.#toggle(target.dataset.percentile));
    this.form.addEventListener("submit", (event) => this.#submit(event));
    this.input.addEventListener("input", () => this.input.removeAttribute("aria-invalid"));
    this.show([]);
  }

  /** Marks those that are shown. */
  show(names) {
    this.#shown = names;
    const wanted = percentilesAmong([...names, ...USUAL.filter((name) => !names.includes(name))].slice(0, MOST + USUAL.length));
    const focused = document.activeElement?.dataset.percentile;
    for (const old of this.root.querySelectorAll("button")) old.remove();
    this.form.before(...wanted.map((name) => this.#button(name, names.includes(name))));
    if (focused) this.root.querySelector(`[data-percentile="${focused}"]`)?.focus();
  }

  #button(name, isOn) {
    const button = make("button", name);
    button.type = "button";
    button.dataset.percentile = name;
    button.title = TITLES[name] ?? `${share(name)} in a hundred are at most this`;
    button.setAttribute("aria-pressed", isOn);
    return button;
  }

  #toggle(name) {
    const isOn = this.#shown.includes(name);
    this.choose(percentilesAmong(isOn ? this.#shown.filter((other) => other !== name) : [...this.#shown, name]));
  }

  #submit(event) {
    event.preventDefault();
    const text = this.input.value.trim().toLowerCase();
    const name = text.startsWith("p") ? text : `p${text}`;
    const isGood = NAME.test(name) && (this.#shown.includes(name) || this.#shown.length < MOST);
    this.input.setAttribute("aria-invalid", !isGood);
    if (!isGood) return;
    this.input.value = "";
    this.choose(percentilesAmong([...this.#shown, name]));
  }
}
