// The names of the lines in a chart of several, with their values at the pointer or at the end.

import { make, write } from "./elements.js";

export class Legend {
  /** `remove(line)` when a person takes one out. */
  constructor(root, remove) {
    this.root = root;
    this.remove = remove;
    this.cells = [];
  }

  /** Has an entry for the view itself, and one for each of these lines. */
  show(name, lines) {
    this.root.hidden = !lines.length;
    const entries = [{ name }, ...lines].map((line, i) => this.#entry(line, i ? line : null));
    this.cells = entries.map((entry) => entry.querySelector("b"));
    this.root.replaceChildren(...entries);
  }

  /** Writes these values, the view's own first. */
  values(texts) {
    this.cells.forEach((cell, i) => write(cell, texts[i] ?? ""));
  }

  #entry({ name, number }, line) {
    const entry = document.createElement("li");
    const [mark, label] = [make("i", ""), make("span", name)];
    mark.dataset.line = line ? number : "own";
    label.title = name;
    entry.append(mark, label, make("b", ""));
    if (line) entry.append(this.#button(line));
    return entry;
  }

  #button(line) {
    const button = make("button", "\u00d7");
    button.type = "button";
    button.setAttribute("aria-label", `Take ${line.name} out of the chart`);
    button.addEventListener("click", () => this.remove(line));
    return button;
  }
}
