// The page put together: one view (a series or all, over a window), and the parts that show it.

import { explain, serverNow } from "./api.js";
import { Chart } from "./chart.js";
import { saveCsv } from "./export.js";
import { EventFeed } from "./feed.js";
import { count, number, Precision } from "./format.js";
import { History } from "./history.js";
import { bindKeys } from "./keys.js";
import { Live } from "./live.js";
import { Percentiles } from "./percentiles.js";
import { Picker } from "./picker.js";
import { FETCHED } from "./points.js";
import { Readout } from "./readout.js";
import { hashOf, readView, sameQuestion } from "./route.js";
import { Sender } from "./send.js";
import { SeriesList } from "./series_list.js";
import { SeriesStore } from "./series_store.js";
import { Sheet } from "./sheet.js";
import { Status } from "./status.js";
import { Tiles } from "./tiles.js";
import { describe, lengthOf, windowOf } from "./windows.js";

const HIDDEN_FOR = 10_000; // milliseconds in the background before the page lets its connections go

const FORBIDDEN = 403;

const $ = (selector) => document.querySelector(selector);

let view = null;
let feed = null;
let history = null;
let statistics = null;
let seesAll = true; // until the access key turns out to be for some series alone
let bedtime = null;
let asleep = false;

const precision = new Precision();
const status = new Status($("#status"));
const tiles = new Tiles($("#tiles"), { value: $("#value"), age: $("#age") });
const readout = new Readout($("#readout"), $("#spoken"));
const sheet = new Sheet($("#sheet"), $("#main"), document.querySelectorAll("[data-action=series]"));
const dialog = $("#send");
const live = new Live({ answer, state: connection });
const store = new SeriesStore(listed);
const list = new SeriesList($("#sheet"), store, precision, {
  choose: (series) => {
    sheet.close();
    go({ ...view, series });
  },
  sort: (sort) => settle({ sort }),
});
const picker = new Picker($("#picker"), (window) => go({ ...view, window }));
const percentiles = new Percentiles($("#percentiles"), (show) => go({ ...view, show }));
const chart = new Chart($("#plot"), { hover, moved: controls });
const senders = [$("#empty-sender"), $("#send-sender")].map((place) => new Sender(place, sent));

/** Another question, and another entry in the browser's history. */
function go(next) {
  if (sameQuestion(view, next)) return picker.show(view.window);
  location.hash = hashOf({ ...next, zoom: sameStretch(view, next) ? view.zoom : null });
}

/** The same question looked at in another way: the address tells, but there is nothing to go back to. */
function settle(change) {
  view = { ...view, ...change };
  window.history.replaceState(null, "", hashOf(view));
  list.sort(view.sort, view.window);
}

function enter() {
  const before = view;
  view = readView();
  list.sort(view.sort, view.window);
  if (!sameQuestion(before, view)) ask();
  else chart.zoom(view.zoom);
}

function ask() {
  statistics = null;
  $("#title").textContent = view.series ?? "All series";
  $("#notice").hidden = true;
  document.title = `${view.series ?? "All series"} · Tidemark`;
  picker.show(view.window);
  percentiles.show(view.show);
  list.choose(view.series);
  tiles.choose(view.show);
  tiles.clear();
  readout.hide();
  connect();
}

function connect() {
  const { series, window, show, zoom } = view;
  live.watch(view);
  disconnect();
  history = new History(view, { changed: laidOut, refused, width: () => $("#plot").clientWidth || innerWidth });
  feed = series === null ? null : follow(series);
  const places = () => precision.of(series);
  chart.show({ window, show, places, points: feed?.points, history: feed ? null : history }, zoom);
  if (statistics) chart.statistics = statistics;
  describeChart();
}

function follow(series) {
  const fetched = (values) => precision.learn(series, values);
  return new EventFeed(series, { changed: () => chart.refresh(), fetched, latest: (event) => arrived(series, event) });
}

function disconnect() {
  feed?.stop();
  history?.stop();
}

/** Events are drawn one by one as long as they all are here; else in steps, which show the whole window. */
function laidOut() {
  if (!chart.source.history && history.count > FETCHED && !holdsAll(history.count)) chart.turnTo(history);
  chart.refresh();
  describeChart();
}

function holdsAll(inWindow) {
  return feed.points.times.length > FETCHED && !feed.points.isPartial(view.window, inWindow, serverNow());
}

function arrived(series, event) {
  precision.learn(series, [event.value]);
  tiles.newest(event, precision.of(series));
  store.touch(series, event);
}

function answer(statisticsNow) {
  statistics = statisticsNow;
  $("#notice").hidden = true;
  const { min, max, last } = statistics;
  precision.learn(view.series, [min, max, last?.value]);
  tiles.show(statistics, precision.of(view.series));
  tiles.newest(last, precision.of(view.series));
  history.begin(statistics.first);
  chart.statistics = statistics;
  chart.refresh();
  describeChart();
}

function describeChart() {
  const name = view.series ?? "all series";
  $("#caption").textContent = caption();
  describeQuiet(statistics !== null && statistics.count === 0);
  const { min, mean, max } = statistics ?? {};
  const summary = mean == null ? "no events" : `min ${number(min)}, mean ${number(mean)}, max ${number(max)}`;
  $("#plot").setAttribute("aria-label", `Chart of ${name} over ${describe(view.window)}: ${summary}`);
}

function describeQuiet(quiet) {
  const unknown = view.series !== null && store.loaded && !store.infos.has(view.series);
  $("#quiet").hidden = !quiet;
  $("#plot").classList.toggle("quiet-plot", quiet);
  const text = unknown ? `There is no series \u201c${view.series}\u201d yet.` : `No events in ${describe(view.window)}.`;
  if ($("#quiet-text").textContent !== text) $("#quiet-text").textContent = text;
  $("#quiet-last").hidden = unknown || view.window.last !== null;
  $("#quiet-send").hidden = !unknown;
}

/** What the chart shows, and by what: single events, or steps of so long. */
function caption() {
  const span = sentence(describe(view.window));
  const step = chart.source.history && history.stepWithin(chart.zoomed);
  if (chart.source.history) return step ? `${span}, in steps of ${lengthOf(step)}` : span;
  const held = feed.points.times.length;
  const all = statistics?.count ?? 0;
  if (!feed.points.isPartial(view.window, all, serverNow())) return span;
  return `${span}: the newest ${count(Math.min(held, all))} of ${count(all)} events drawn`;
}

const sameStretch = (a, b) => a.window.text === b.window.text && a.window.last === b.window.last;

function sentence(text) {
  return text[0].toUpperCase() + text.slice(1);
}

function connection(state, detail) {
  if (state === "refused") return refused(detail.problem, () => status.show(state, detail));
  status.show(state, detail);
  if (state === "live") feed?.retry(); // where the one connection succeeds, the other will
}

function refused(problem, show = () => {}) {
  if (view.series === null && problem.status === FORBIDDEN) return keepToSome();
  show();
  tell(explain(problem).join(" "));
}

function tell(text) {
  $("#notice").textContent = text;
  $("#notice").hidden = false;
}

/** The access key is for some series alone: the page has those, and begins with the first of them. */
function keepToSome() {
  seesAll = false;
  list.leaveOutAll();
  land();
}

function land() {
  if (seesAll || view.series !== null || list.first === null) return;
  window.history.replaceState(null, "", hashOf({ ...view, series: list.first }));
  enter();
}

function listed() {
  const empty = store.infos.size === 0;
  $("#empty").hidden = !empty;
  $("#full").hidden = empty;
  list.update();
  land();
}

function sent(series) {
  store.start();
  if (!dialog.open && view.series !== null) go({ ...view, series });
}

function hover(index) {
  if (index === null) readout.hide();
  else readout.show(chart, index, document.activeElement === $("#plot"));
}

function controls() {
  const pause = $("#pause");
  pause.setAttribute("aria-pressed", chart.paused);
  pause.querySelector("span").textContent = chart.paused ? "Resume" : "Pause";
  $("#reset").hidden = !chart.zoomed;
  history?.look(chart.zoomed);
  if (view.zoom !== chart.zoomed) describeChart();
  if (view.zoom !== chart.zoomed) settle({ zoom: chart.zoomed });
}

// An open stream takes one of the browser's six connections to a server, and each tab has two.
function sleep() {
  asleep = true;
  live.stop();
  disconnect();
  list.sleep();
  store.stop();
}

function wake() {
  if (!asleep) return;
  asleep = false;
  connect();
  list.wake();
  store.start();
}

async function save() {
  const { series, window } = view;
  const name = [series ?? "all", window.last ? `last-${window.last}` : window.text].join("-");
  try {
    await saveCsv(history.path, history.query(chart.zoomed), name);
  } catch (error) {
    tell(explain(error).join(" "));
  }
}

function visibility() {
  clearTimeout(bedtime);
  if (document.hidden) bedtime = setTimeout(sleep, HIDDEN_FOR);
  else wake();
}

const actions = {
  "zoom-in": () => chart.zoomBy(0.5),
  "zoom-out": () => chart.zoomBy(2),
  reset: () => chart.zoom(null),
  save,
  pause: () => chart.togglePause(),
  "show-last": () => go({ ...view, window: windowOf("1000", true) }),
  send: () => {
    senders[1].series = view.series;
    dialog.showModal();
  },
  "close-send": () => dialog.close(),
};

document.addEventListener("click", (event) => {
  actions[event.target.closest("[data-action]")?.dataset.action]?.();
  if (event.target === dialog) dialog.close(); // the backdrop
});
document.addEventListener("visibilitychange", visibility);
addEventListener("hashchange", enter);
addEventListener("online", () => (live.retry(), feed?.retry()));
bindKeys($("#plot"), chart, { search: () => (sheet.open(), list.search.focus()) });
setInterval(() => chart.refresh(), 1000);
enter();
store.start();
// All of the page is here, unless its first script has not come, or has told of something that has not.
$("#incomplete").hidden = "theme" in document.documentElement.dataset && $("#incomplete").matches(".late");
