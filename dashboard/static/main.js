// The page put together: one view (a series or all, over a window), and the parts that show it.

import { explain, serverNow } from "./api.js";
import { Chart } from "./chart.js";
import { Course, EventFeed } from "./feed.js";
import { count, number } from "./format.js";
import { bindKeys } from "./keys.js";
import { Live } from "./live.js";
import { Picker } from "./picker.js";
import { Readout } from "./readout.js";
import { hashOf, readView, sameView } from "./route.js";
import { Sender } from "./send.js";
import { SeriesList } from "./series_list.js";
import { SeriesStore } from "./series_store.js";
import { Sheet } from "./sheet.js";
import { Status } from "./status.js";
import { Tiles } from "./tiles.js";
import { describe, windowOf } from "./windows.js";

const HIDDEN_FOR = 10_000; // milliseconds in the background before the page lets its connections go

const $ = (selector) => document.querySelector(selector);

let view = null;
let feed = null;
let course = null;
let statistics = null;
let bedtime = null;
let asleep = false;

const status = new Status($("#status"));
const tiles = new Tiles($("#tiles"), { value: $("#value"), age: $("#age") });
const readout = new Readout($("#readout"), $("#spoken"));
const sheet = new Sheet($("#sheet"), $("#main"), document.querySelectorAll("[data-action=series]"));
const dialog = $("#send");
const live = new Live({ answer, state: connection });
const store = new SeriesStore(listed);
const list = new SeriesList($("#sheet"), store, {
  choose: (series) => {
    sheet.close();
    go({ ...view, series });
  },
});
const picker = new Picker($("#picker"), (window) => go({ ...view, window }));
const chart = new Chart($("#plot"), { hover, moved: controls });
const senders = [$("#empty-sender"), $("#send-sender")].map((place) => new Sender(place, sent));

function go(next) {
  if (sameView(view, next)) return picker.show(view.window);
  location.hash = hashOf(next);
}

function enter() {
  const next = readView();
  if (sameView(view, next)) return;
  view = next;
  statistics = null;
  $("#title").textContent = view.series ?? "All series";
  $("#notice").hidden = true;
  document.title = `${view.series ?? "All series"} · Tidemark`;
  picker.show(view.window);
  list.choose(view.series);
  tiles.clear(view.series === null);
  readout.hide();
  connect();
}

function connect() {
  live.watch(view);
  feed?.stop();
  feed = null;
  const { series, window } = view;
  if (series === null) {
    if (course?.key !== window.text) course = Object.assign(new Course(), { key: window.text });
    chart.show({ window, course });
  } else {
    feed = new EventFeed(series, { changed: () => chart.refresh(), latest: (event) => arrived(series, event) });
    chart.show({ window, points: feed.points });
  }
  if (statistics) chart.statistics = statistics;
  describeChart();
}

function arrived(series, event) {
  tiles.newest(event);
  store.touch(series, event);
}

function answer(statisticsNow) {
  statistics = statisticsNow;
  $("#notice").hidden = true;
  tiles.show(statistics);
  tiles.newest(statistics.last);
  if (view.series === null && statistics.count) course.add(statistics);
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

/** What the chart shows; says so when the window holds more events than the chart does. */
function caption() {
  const span = describe(view.window);
  if (view.series === null) return `How min, mean and max of ${span} move, since this page began to watch`;
  const held = feed?.points.times.length ?? 0;
  const all = statistics?.count ?? 0;
  if (!feed?.points.isPartial(view.window, all, serverNow())) return sentence(span);
  return `${sentence(span)}: the newest ${count(Math.min(held, all))} of ${count(all)} events drawn`;
}

function sentence(text) {
  return text[0].toUpperCase() + text.slice(1);
}

function connection(state, detail) {
  status.show(state, detail);
  if (state === "live") feed?.retry(); // where the one connection succeeds, the other will
  if (state !== "refused") return;
  $("#notice").textContent = explain(detail.problem).join(" ");
  $("#notice").hidden = false;
}

function listed() {
  const empty = store.infos.size === 0;
  $("#empty").hidden = !empty;
  $("#full").hidden = empty;
  list.update();
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
}

// An open stream takes one of the browser's six connections to a server, and each tab has two.
function sleep() {
  asleep = true;
  live.stop();
  feed?.stop();
  store.stop();
}

function wake() {
  if (!asleep) return;
  asleep = false;
  connect();
  store.start();
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
