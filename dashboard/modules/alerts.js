// Alerts: a line of those that fire, above everything; word for the chart of what concerns its series; their page.

import { AlertPage } from "./alert_page.js";
import { getJson, secondsOf } from "./api.js";
import { make, write } from "./elements.js";
import { Repeated } from "./repeated.js";

const EVERY = 3000; // milliseconds
const RULES_EVERY = 30_000; // milliseconds
const MOST_NAMED = 3;
const MOST_COUNTED = 1000;
const MOST_CROSSINGS = 200;
/** Statistics that are values of events, or lie among them: thresholds of others have no place on the chart's axis. */
const AMONG_VALUES = /^(min|max|mean|first|last|median|p\d.*)$/;

/** The series that is shown; null: all of them; undefined: several as one, which no alert is about. */
function shownSeries() {
  const hash = new URLSearchParams(location.hash.slice(1));
  return hash.get("series") || (hash.get("match") ? undefined : null);
}

/** The address of a series in the window that is shown. */
function addressOf(series) {
  const hash = new URLSearchParams(location.hash.slice(1));
  for (const name of ["series", "match", "from", "to", "with"]) hash.delete(name);
  if (series !== null) hash.set("series", series);
  return `#${hash}`;
}

class Alerts {
  #series; // whose rules and crossings the chart has
  #rules = [];
  #readAt = -Infinity; // when the rules were read
  #crossings = new Map(); // by alert and time, those seen since the series is shown
  #question = new Repeated();

  constructor(line, page) {
    this.line = line;
    this.page = page;
    addEventListener("hashchange", () => shownSeries() !== this.#series && this.ask());
    document.addEventListener("visibilitychange", () => this.ask());
  }

  /** Asks now, and again and again while the page can be seen. */
  ask() {
    if (document.hidden) this.#question.stop();
    else this.#question.start((signal) => this.#read(signal), () => EVERY);
  }

  async #read(signal) {
    const { body } = await getJson("alerts", { state: "firing", limit: MOST_COUNTED }, signal);
    this.#tell(body);
    await this.#follow(body.alerts, signal);
    await this.page.refresh(signal);
  }

  /** Says which alerts fire, the latest first. */
  #tell({ alerts, next }) {
    const latest = alerts.toSorted((a, b) => (a.since < b.since ? 1 : -1));
    const more = alerts.length - MOST_NAMED;
    const count = next ? `More than ${MOST_COUNTED}` : alerts.length;
    const word = `${count} ${alerts.length === 1 ? "alert fires" : "alerts fire"}`;
    write(this.line.querySelector("[data-part=count]"), word); // it is read aloud where it changes
    const links = latest.slice(0, MOST_NAMED).map(({ name, series }) => linkTo(series, series === null ? name : `${name}: ${series}`));
    const names = this.line.querySelector("[data-part=names]");
    const isOther = links.map(String).join() !== [...names.querySelectorAll("a")].map(String).join();
    if (isOther || more !== this.more) names.replaceChildren(...links, more > 0 ? `and ${more} more` : ""); // one may have the focus
    this.more = more;
    this.line.hidden = !alerts.length;
  }

  /** Lets the chart know of the levels that alerts of its series are about, and when these were crossed. */
  async #follow(firing, signal) {
    const series = shownSeries();
    if (series !== this.#series) this.#crossings.clear();
    if (series !== this.#series || performance.now() - this.#readAt > RULES_EVERY) {
      const { rules } = series === undefined ? { rules: [] } : (await getJson("alerts/rules", { series }, signal)).body;
      this.#rules = series === null ? rules.filter((rule) => rule.series === null) : rules;
      [this.#series, this.#readAt] = [series, performance.now()];
    }
    const isAsked = series !== null && this.#rules.length;
    const alerts = isAsked ? (await getJson("alerts", { series }, signal)).body.alerts : firing.filter((alert) => alert.series === series);
    for (const { name, state, since } of alerts) {
      if (since && state !== "pending") this.#crossings.set(`${name} ${since}`, { at: secondsOf(since), fires: state === "firing" });
    }
    for (const oldest of [...this.#crossings.keys()].slice(0, -MOST_CROSSINGS)) this.#crossings.delete(oldest);
    const levels = new Set(this.#rules.filter(({ statistic }) => AMONG_VALUES.test(statistic ?? "")).flatMap(({ bounds }) => bounds));
    dispatchEvent(new CustomEvent("alertschange", { detail: { levels: [...levels], crossings: [...this.#crossings.values()] } }));
  }
}

function linkTo(series, text) {
  const link = make("a", text);
  link.href = addressOf(series);
  return link;
}

const page = new AlertPage(document.querySelector("#alert-page"));
const alerts = new Alerts(document.querySelector("#alerts"), page);
document.addEventListener("click", ({ target }) => {
  const action = target.closest("[data-action]")?.dataset.action;
  if (action === "alerts") (page.open(), alerts.ask());
  if (action === "close-alerts") page.close();
});
alerts.ask();
