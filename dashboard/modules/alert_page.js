// The page of rules: each alert with its state, its value at the last change, and since when.

import { getJson, secondsOf } from "./api.js";
import { make } from "./elements.js";
import { moment, NONE, number } from "./format.js";

const ORDER = ["firing", "pending", "inactive"];

/** What a rule looks at, in words. */
function wordsOf({ statistic, window, last, condition, bounds, for: holds }) {
  const scope = [window && `over ${window}`, last && `of the last ${last}`].filter(Boolean).join(" ");
  const told = condition === "absent" ? `no event for ${bounds[0]} s` : `${statistic} ${scope} ${condition} ${bounds.join(" to ")}`;
  return holds ? `${told}, for ${holds}` : told;
}

export class AlertPage {
  constructor(dialog) {
    this.dialog = dialog;
    this.rows = dialog.querySelector("tbody");
    this.note = dialog.querySelector("[data-part=note]");
    dialog.addEventListener("click", ({ target }) => target.closest("a") && this.close());
  }

  open() {
    this.dialog.showModal();
  }

  close() {
    this.dialog.close();
  }

  /** Shows all alerts as they stand, while the page is open; a rule that has none is named too. */
  async refresh(signal) {
    if (!this.dialog.open) return;
    const [{ body }, { body: known }] = await Promise.all([getJson("alerts", {}, signal), getJson("alerts/rules", {}, signal)]);
    const rules = new Map(known.rules.map((rule) => [rule.name, rule]));
    const named = new Set(body.alerts.map(({ name }) => name));
    const without = body.next ? [] : known.rules.filter(({ name }) => !named.has(name));
    const alerts = body.alerts.toSorted((a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state));
    const empty = without.map(({ name, series }) => ({ name, series, state: "no series", value: null, since: null }));
    this.note.textContent = noteOf(body, known.rules);
    this.rows.replaceChildren(...[...alerts, ...empty].map((alert) => rowOf(alert, rules.get(alert.name))));
    this.dialog.querySelector("table").hidden = !known.rules.length;
  }
}

function noteOf({ notice, next, left_out: leftOut, alerts }, rules) {
  if (!rules.length) return "There are no rules yet. TIDEMARK_ALERTS names the file of them.";
  const limits = leftOut ? `${leftOut} alerts are left out by the limits.` : "";
  return [next && `The first ${alerts.length} alerts by name.`, limits, notice].filter(Boolean).join(" ");
}

function rowOf({ name, series, state, value, since }, rule) {
  const row = document.createElement("tr");
  row.dataset.state = state;
  const title = make("th", name);
  title.scope = "row";
  title.append(make("small", rule ? wordsOf(rule) : ""));
  const when = since ? moment(secondsOf(since)) : NONE;
  row.append(title, make("td", series ?? "all series"), make("td", state), make("td", number(value)), make("td", when));
  return row;
}
