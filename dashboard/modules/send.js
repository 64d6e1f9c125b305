// How to send an event: the curl line for this server, and a form that does it right here.

import { explain, postEvent, serverNow, url } from "./api.js";
import { number } from "./format.js";

export class Sender {
  /** Fills `place` from the template; `sent(series)` after the server took an event. */
  constructor(place, sent) {
    place.append(document.querySelector("#sender").content.cloneNode(true));
    const part = (name) => place.querySelector(`[data-part=${name}]`);
    [this.code, this.copy, this.note] = ["code", "copy", "note"].map(part);
    this.form = place.querySelector("form");
    this.sent = sent;
    this.copy.addEventListener("click", () => this.#copy());
    this.form.addEventListener("input", () => this.#write());
    this.form.addEventListener("submit", (event) => this.#submit(event));
    this.#write();
  }

  set series(name) {
    this.form.elements.series.value = name ?? "";
    this.#write();
  }

  get #event() {
    const { series, value } = this.form.elements;
    const text = value.value.trim();
    // What is not a number goes as it is: the server says best what is wrong with it.
    const number = Number(text);
    const event = { value: text !== "" && Number.isFinite(number) ? number : text };
    return series.value.trim() ? { series: series.value.trim(), ...event } : event;
  }

  /** The shell puts the time in, so that the line is still right when it is pasted tomorrow. */
  #write() {
    const event = this.#event;
    if (typeof event.value !== "number") event.value = 12.34;
    const fields = JSON.stringify(event).slice(1).replaceAll("'", "\\u0027");
    this.code.textContent = [
      `curl ${url("event")} \\`,
      "  -H 'Content-Type: application/json' \\",
      `  -d '{"timestamp":"'$(date -u +%FT%TZ)'",${fields}'`,
    ].join("\n");
  }

  async #copy() {
    const done = await copyText(this.code.textContent, this.code);
    this.copy.textContent = done ? "Copied" : "Select it";
    setTimeout(() => (this.copy.textContent = "Copy"), 1600);
  }

  async #submit(event) {
    event.preventDefault();
    const body = { timestamp: new Date(serverNow() * 1000).toISOString(), ...this.#event };
    try {
      await postEvent(body);
      this.#tell([`Sent ${number(body.value)} to ${body.series ?? "default"}.`], false);
      this.form.elements.value.select();
      this.sent(body.series ?? "default");
    } catch (error) {
      this.#tell(explain(error), true);
    }
  }

  #tell(lines, isError) {
    this.note.textContent = lines.join(" ");
    this.note.classList.toggle("error", isError);
    this.form.elements.value.setAttribute("aria-invalid", isError);
  }
}

async function copyText(text, element) {
  try {
    await navigator.clipboard.writeText(text); // only on https and localhost
    return true;
  } catch {
    getSelection().selectAllChildren(element);
    return false;
  }
}
