// The choice of percentiles that the tiles and the chart show.

export const SHOWABLE = ["p50", "p90", "p99"];

export class Percentiles {
  /** `choose(names)` when a person turns one on or off. */
  constructor(root, choose) {
    this.buttons = [...root.querySelectorAll("[data-percentile]")];
    for (const button of this.buttons) {
      button.addEventListener("click", () => {
        press(button, !isPressed(button));
        choose(this.buttons.filter(isPressed).map((other) => other.dataset.percentile));
      });
    }
  }

  /** Marks those that are shown. */
  show(names) {
    for (const button of this.buttons) press(button, names.includes(button.dataset.percentile));
  }
}

const isPressed = (button) => button.getAttribute("aria-pressed") === "true";
const press = (button, isOn) => button.setAttribute("aria-pressed", isOn);
