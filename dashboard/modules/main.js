// The page put together: one view (a series, several as one, or all, over a window), and the parts that show it.

import { bindActions } from "./actions.js";
import { explain } from "./api.js";
import { Captions } from "./captions.js";
import { Chart } from "./chart.js";
import { Comparison } from "./comparison.js";
import { saveDrawn } from "./export.js";
import { EventFeed } from "./feed.js";
import { Precision } from "./format.js";
import { History } from "./history.js";
import { Live } from "./live.js";
import { Navigation } from "./navigation.js";
import { askFor, Numbers } from "./numbers.js";
import { Panels } from "./panels.js";
import { nameOf, pathOf } from "./patterns.js";
import { Percentiles } from "./percentiles.js";
import { Picker } from "./picker.js";
import { FETCHED } from "./points.js";
import { Readout } from "./readout.js";
import { Sender } from "./send.js";
import { SeriesList } from "./series_list.js";
import { SeriesStore } from "./series_store.js";
import { readSettings } from "./settings.js";
import { Sheet } from "./sheet.js";
import { Status } from "./status.js";
import { useUnit } from "./units.js";

const FORBIDDEN = 403;
const PIXELS_AN_EVENT = 2;

const $ = (selector) => document.querySelector(selector);

let feed = null; // of a single series
let history = null;

const navigation = new Navigation({ enters, asks, looks, stays: () => picker.show(navigation.view.window) });
const precision = new Precision();
const numbers = new Numbers({ tiles: $("#tiles"), value: $("#value"), age: $("#age") }, precision, showNumbers);
const readout = new Readout($("#readout"), $("#spoken"));
const sheet = new Sheet($("#sheet"), $("#main"), document.querySelectorAll("[data-action=series]"));
const live = new Live({ answer, state: connection });
const status = new Status($("#status"), { silence: () => live.silence, outdated });
const store = new SeriesStore(listed);
const list = new SeriesList($("#sheet"), store, precision, {
  choose: (series, match) => (sheet.close(), navigation.go({ series, match })),
  add: (series) => comparison.toggle(series),
  sort: (sort) => (navigation.settle({ sort }), orderList()),
});
const picker = new Picker($("#picker"), (window) => navigation.go({ window }));
const panels = new Panels($(".chart"), { choose: (kind) => turn({ kind }), refused, spoken: (text) => ($("#spoken").textContent = text) });
const comparison = new Comparison({ select: $("[data-part=ago]"), legend: $("#legend") }, { turn, changed: () => chart.refresh() });
const percentiles = new Percentiles($("#percentiles"), (show) => navigation.go({ show }));
const chart = new Chart($("#plot"), { hover, moved: controls });
const captions = new Captions({ caption: $("#caption"), plot: $("#plot"), quiet: $("#quiet") }, { chart, comparison, store });
const senders = [$("#empty-sender"), $("#send-sender")].map((place) => new Sender(place, sent));

// The view: another one, or the same in another way.

function turn(change) {
  navigation.turn(change);
}

function enters() {
  orderList();
  useUnit(navigation.view.unit);
}

function orderList() {
  list.sort(navigation.view.sort, navigation.view.window);
}

function asks() {
  const { view } = navigation;
  $("#title").textContent = nameOf(view);
  $("#notice").hidden = true;
  document.title = `${nameOf(view)} · Tidemark`;
  picker.show(view.window);
  percentiles.show(view.show);
  list.choose(view);
  numbers.clear(view);
  readout.hide();
  connect();
}

function looks() {
  chart.zoom(navigation.view.zoom);
  decorate();
}

// Where the numbers come from.

function connect() {
  const { view } = navigation;
  const { series, window, show, zoom } = view;
  live.watch(view);
  disconnect();
  history = new History(view, { changed: laidOut, refused, width });
  feed = series === null ? null : follow(series);
  const places = () => precision.of(series);
  chart.show({ window, show, places, points: feed?.points, history: feed ? null : history }, zoom);
  if (numbers.statistics) chart.statistics = numbers.statistics;
  decorate();
}

function follow(series) {
  const fetched = (values) => precision.learn(series, values);
  return new EventFeed(series, { changed: () => chart.refresh(), fetched, latest: (event) => arrived(series, event) });
}

function disconnect() {
  numbers.stop();
  panels.stop();
  comparison.stop();
  feed?.stop();
  history?.stop();
}

function sleep() {
  live.stop();
  disconnect();
  list.sleep();
  store.stop();
}

function wake() {
  connect();
  list.wake();
  store.start();
}

function connection(state, detail) {
  if (state === "refused") return refused(detail.problem, () => status.show(state, detail));
  const isBack = state === "live" && status.state === "reconnecting";
  status.show(state, detail);
  if (state === "live") feed?.retry(); // where the one connection succeeds, the other will
  if (isBack) askSettings(); // a service that has started anew may have others
}

function retry() {
  live.retry();
  feed?.retry();
}

/** Without an answer the page goes on with what is usual. */
async function askSettings() {
  const found = await readSettings().catch(() => null);
  if (!found) return;
  navigation.retention = found.retention;
  picker.offer(found.retention);
  navigation.enter();
}

function refused(problem, show = () => {}) {
  if (navigation.isOfAll && problem.status === FORBIDDEN) {
    list.leaveOutAll();
    return navigation.keepToSome(list.first);
  }
  show();
  tell(explain(problem));
}

function tell(lines) {
  $("#notice").textContent = lines.join(" ");
  $("#notice").hidden = false;
}

// What comes in.

function answer(statistics) {
  $("#notice").hidden = true;
  numbers.take(statistics);
  touch(navigation.view.series, statistics.last);
  history.begin(statistics.first);
  showNumbers();
}

function arrived(series, event) {
  precision.learn(series, [event.value]);
  numbers.newest(event);
  touch(series, event);
}

function touch(series, event) {
  if (series !== null && event) list.touch(series, event);
}

/** Events are drawn one by one while they are few enough to be told apart; else in steps, which show the whole window. */
function laidOut() {
  const most = Math.min(FETCHED, width() / PIXELS_AN_EVENT);
  if (!chart.source.history && (history.count > most || comparison.lines.length)) chart.turnTo(history);
  chart.refresh();
  describeChart();
}

function listed() {
  const empty = store.infos.size === 0;
  $("#empty").hidden = !empty;
  $("#full").hidden = empty;
  list.update();
  navigation.land(list.first);
}

function sent(series) {
  store.start();
  if (!$("#send").open && navigation.view.series !== null) navigation.go({ series });
}

// What is shown of it.

/** Pixels for the chart, also while something else is shown in its place. */
function width() {
  return $("#plot").clientWidth || innerWidth;
}

/** Draws and shows what goes beside the numbers: further lines, levels, another kind of picture. */
function decorate() {
  const { view, retention } = navigation;
  comparison.follow(view, drawn, retention);
  const { lines } = comparison;
  if (lines.length && history.points.length) chart.turnTo(history);
  chart.decorate(lines, view.thresholds);
  list.mark(lines.filter(({ shift }) => !shift));
  lookCloser();
}

/** From when to when the chart shows what steps; null before it has any. */
function drawn() {
  const step = chart.source?.history && history.stepWithin(chart.zoomed);
  return step ? { ...chart.shown, step } : null;
}

/** Has the numbers follow the stretch that the chart shows. */
function lookCloser() {
  const { view, retention, longest } = navigation;
  numbers.look(chart.zoomed, retention);
  const known = () => (chart.statistics.count ? chart.statistics : null);
  const query = askFor(chart.zoomed, view.window, retention);
  const question = { path: pathOf("*", view), query, show: view.show, name: nameOf(view, "all series"), retention: longest.seconds };
  panels.follow(view.kind, question, known, () => chart.shown);
  showNumbers();
}

function showNumbers() {
  chart.statistics = numbers.show();
  chart.refresh();
  describeChart();
}

/** The numbers are of an earlier moment, while there are no answers: not to be taken for live ones. */
function outdated(since, seconds) {
  $("#full").classList.toggle("outdated", since !== null);
  numbers.tiles.outdated(since, seconds);
}

function describeChart() {
  captions.tell(navigation.view, { history, feed, statistics: numbers.statistics });
}

function hover(index) {
  captions.tellLegend();
  if (index === null) readout.hide();
  else readout.show(chart, index, document.activeElement === $("#plot"));
}

function controls() {
  const pause = $("#pause");
  pause.setAttribute("aria-pressed", chart.paused);
  pause.querySelector("span").textContent = chart.paused ? "Resume" : "Pause";
  status.pause(chart.paused);
  $("#reset").hidden = !chart.zoomed;
  history?.look(chart.zoomed);
  if (numbers.range !== chart.zoomed) lookCloser();
  if (navigation.view.zoom !== chart.zoomed) navigation.settle({ zoom: chart.zoomed });
}

function save() {
  return saveDrawn(navigation.view, chart, history).catch((error) => tell(explain(error)));
}

bindActions({ navigation, chart, list, sheet, sender: senders[1] }, { save, sleep, wake, retry });
setInterval(() => chart.refresh(), 1000);
navigation.enter();
askSettings();
store.start();
// All of the page is here, unless its first script has not come, or has told of something that has not.
$("#incomplete").hidden = "theme" in document.documentElement.dataset && $("#incomplete").matches(".late");
