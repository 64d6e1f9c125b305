// How to send an event: lines for this server with curl and with the Python client, and a form that does it right here.

import { explain, postEvent, serverNow, url } from "./api.js";
import { number } from "./format.js";
import { bindCopy } from "./share.js";

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
const server = () => url("").href.replace(/\/$/, "");
const INSTALL = "# once, in a checkout of Tidemark: pip install ./client";
const LINES = {
  curl: (event) =>
    [`curl ${url("event")} \\`, "  -H 'Content-Type: application/json' \\", `  -d ${quoted(JSON.stringify(event))}`].join("\n"),
  // JSON of a name or a number is Python too.
  python: ({ series = "default", value }) =>
    [
      INSTALL,
      "from tidemark import Tidemark",
      "",
      `with Tidemark(${JSON.stringify(server())}) as tidemark:`,
      `    tidemark.send(${JSON.stringify(series)}, ${value})`,
    ].join("\n"),
  tidemark: ({ series = "default", value }) =>
    [INSTALL, `tidemark --url ${server()} send -- ${quoted(series)} ${value}`].join("\n"),
};

export class Sender {
  /** Fills `place` from the template; `sent(series)` after the server took an event. */
  constructor(place, sent) {
    place.append(document.querySelector("#sender").content.cloneNode(true));
    const part = (name) => place.querySelector(`[data-part=${name}]`);
    [this.code, this.copy, this.note] = ["code", "copy", "note"].map(part);
    this.form = place.querySelector("form");
    this.sent = sent;
    bindCopy(this.copy, () => this.code.textContent, this.code);
    this.ways = [...place.querySelectorAll(".ways input")];
    for (const way of this.ways) way.name = `way-${place.id}`;
    for (const way of this.ways) way.addEventListener("change", () => this.#write());
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

  /** Without a timestamp: the server stamps the event when it arrives, so the lines are still right tomorrow. */
  #write() {
    const event = this.#event;
    if (typeof event.value !== "number") event.value = 12.34;
    const way = this.ways.find(({ checked }) => checked).value;
    this.code.textContent = LINES[way](event);
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
