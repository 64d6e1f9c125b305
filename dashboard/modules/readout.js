// What the chart says about the point under the pointer or the keyboard's cursor.

import { make } from "./elements.js";

export class Readout {
  /** `box` follows the point; `spoken` is an aria-live region. */
  constructor(box, spoken) {
    this.box = box;
    this.spoken = spoken;
    this.time = box.querySelector("[data-part=time]");
    this.values = box.querySelector("[data-part=values]");
  }

  hide() {
    this.box.hidden = true;
  }

  show(chart, index, aloud) {
    const said = chart.read(index);
    if (!said) return this.hide();
    const { time, lines } = said;
    this.time.textContent = time;
    this.values.replaceChildren(...lines.flatMap(([name, text]) => [make("dt", name), make("dd", text)]));
    this.box.hidden = false;
    this.#place(chart.position(index));
    if (aloud) this.spoken.textContent = `${lines.map((line) => line.join(" ")).join(", ")} at ${time}`;
  }

  #place({ left, top, over }) {
    const frame = this.box.offsetParent.getBoundingClientRect();
    const plot = over.getBoundingClientRect();
    const [x, y] = [plot.left - frame.left + left, plot.top - frame.top + top];
    const { offsetWidth: width, offsetHeight: height } = this.box;
    const fitsRight = x + 14 + width < frame.width - 4;
    const across = fitsRight ? x + 14 : x - 14 - width;
    const down = Math.min(Math.max(4, y - height / 2), frame.height - height - 4);
    this.box.style.transform = `translate(${Math.max(4, Math.round(across))}px, ${Math.round(down)}px)`;
  }
}
