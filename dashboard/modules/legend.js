// The names of the lines in a chart of several, with their values at the pointer or at the end.

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
    this.cells.forEach((cell, i) => {
      if (cell.textContent !== (texts[i] ?? "")) cell.textContent = texts[i] ?? "";
    });
  }

  #entry({ name, number }, line) {
    const entry = document.createElement("li");
    const [mark, label, value] = ["i", "span", "b"].map((tag) => document.createElement(tag));
    mark.dataset.line = line ? number : "own";
    label.textContent = label.title = name;
    entry.append(mark, label, value);
    if (line) entry.append(this.#button(line));
    return entry;
  }

  #button(line) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "\u00d7";
    button.setAttribute("aria-label", `Take ${line.name} out of the chart`);
    button.addEventListener("click", () => this.remove(line));
    return button;
  }
}
