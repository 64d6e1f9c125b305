// The page put together: one view (a series or all, over a window), and the parts that show it.

import { explain, serverNow } from "./api.js";
import { watchBackground } from "./background.js";
import { captionOf, summaryOf } from "./captions.js";
import { Chart } from "./chart.js";
import { Comparison } from "./comparison.js";
import { closeFromBackdrop, openSender, toggleFullScreen } from "./dialogs.js";
import { saveEvents, saveHistory } from "./export.js";
import { EventFeed } from "./feed.js";
import { Precision, steady } from "./format.js";
import { History } from "./history.js";
import { bindKeys } from "./keys.js";
import { Live } from "./live.js";
import { Panels } from "./panels.js";
import { nameOf, pathOf } from "./patterns.js";
import { Percentiles } from "./percentiles.js";
import { Picker } from "./picker.js";
import { FETCHED } from "./points.js";
import { Quiet } from "./quiet.js";
import { Readout } from "./readout.js";
import { hashOf, readView, sameQuestion } from "./route.js";
import { Sender } from "./send.js";
import { SeriesList } from "./series_list.js";
import { SeriesStore } from "./series_store.js";
import { readSettings } from "./settings.js";
import { bindCopy } from "./share.js";
import { Sheet } from "./sheet.js";
import { Status } from "./status.js";
import { questionOf, Stretch } from "./stretch.js";
import { Tiles } from "./tiles.js";
import { measured, useUnit } from "./units.js";
import { query, UNKNOWN_RETENTION, usualWindow, windowOf } from "./windows.js";

const FORBIDDEN = 403;
const PIXELS_AN_EVENT = 2;

const $ = (selector) => document.querySelector(selector);

let view = null;
let feed = null;
let history = null;
let statistics = null; // of the window
let retention = null; // the longest window, once it is known
let seesAll = true; // until the access key turns out to be for some series alone

const precision = new Precision();
const tiles = new Tiles($("#tiles"), { value: $("#value"), age: $("#age") });
const readout = new Readout($("#readout"), $("#spoken"));
const quiet = new Quiet($("#quiet"), $("#plot"));
const sheet = new Sheet($("#sheet"), $("#main"), document.querySelectorAll("[data-action=series]"));
const dialog = $("#send");
const live = new Live({ answer, state: connection });
const status = new Status($("#status"), { silence: () => live.silence, outdated });
const stretch = new Stretch(showNumbers);
const store = new SeriesStore(listed);
const list = new SeriesList($("#sheet"), store, precision, {
  choose: (series, match) => {
    sheet.close();
    go({ ...view, series, match });
  },
  add: (series) => comparison.toggle(series),
  sort: (sort) => settle({ sort }),
});
const picker = new Picker($("#picker"), (window) => go({ ...view, window }));
const panels = new Panels($(".chart"), { choose: (kind) => turn({ kind }), refused, spoken: (text) => ($("#spoken").textContent = text) });
const comparison = new Comparison({ select: $("[data-part=ago]"), legend: $("#legend") }, { turn, changed: () => chart.refresh() });
const percentiles = new Percentiles($("#percentiles"), (show) => go({ ...view, show }));
const chart = new Chart($("#plot"), { hover, moved: controls });
const senders = [$("#empty-sender"), $("#send-sender")].map((place) => new Sender(place, sent));

/** Another question, and another entry in the browser's history. */
function go(next) {
  if (sameQuestion(view, next)) return picker.show(view.window);
  location.hash = hashOf({ ...next, zoom: sameStretch(view, next) ? view.zoom : null });
}

/** The same question, shown in another way. */
function turn(change) {
  location.hash = hashOf({ ...view, ...change });
}

/** The same question looked at in another way: the address tells, but there is nothing to go back to. */
function settle(change) {
  view = { ...view, ...change };
  window.history.replaceState(null, "", hashOf(view));
  list.sort(view.sort, view.window);
}

function enter() {
  const before = view;
  view = readView(usualWindow(retention ?? UNKNOWN_RETENTION));
  list.sort(view.sort, view.window);
  useUnit(view.unit);
  if (!sameQuestion(before, view)) return ask();
  chart.zoom(view.zoom);
  decorate();
}

function ask() {
  statistics = null;
  $("#title").textContent = nameOf(view);
  $("#notice").hidden = true;
  document.title = `${nameOf(view)} · Tidemark`;
  picker.show(view.window);
  percentiles.show(view.show);
  list.choose(view);
  tiles.choose(view.show);
  tiles.clear();
  readout.hide();
  connect();
}

function connect() {
  const { series, window, show, zoom } = view;
  live.watch(view);
  disconnect();
  history = new History(view, { changed: laidOut, refused, width });
  feed = series === null ? null : follow(series);
  const places = () => precision.of(series);
  chart.show({ window, show, places, points: feed?.points, history: feed ? null : history }, zoom);
  if (statistics) chart.statistics = statistics;
  decorate();
}

/** Draws and shows what goes beside the question: further lines, levels, another kind of picture. */
function decorate() {
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
  stretch.look(chart.zoomed, { ...view, include: include(), retention: retention?.seconds });
  $("#tiles").classList.toggle("zoomed", chart.zoomed !== null);
  const { kind, show, window } = view;
  const path = pathOf("*", view);
  const asked = chart.zoomed ? questionOf(chart.zoomed, retention?.seconds ?? Infinity) : query(window);
  const known = () => (chart.statistics.count ? chart.statistics : null);
  const question = { path, query: asked, show, name: nameOf(view, "all series"), retention: (retention ?? UNKNOWN_RETENTION).seconds };
  panels.follow(kind, question, known, () => chart.shown);
  showNumbers();
}

/** What the tiles show beside the usual statistics, as a question names it. */
function include() {
  return ["sum", "stddev", ...view.show].join(",");
}

/** Pixels for the chart, also while something else is shown in its place. */
const width = () => $("#plot").clientWidth || innerWidth;

function follow(series) {
  const fetched = (values) => precision.learn(series, values);
  return new EventFeed(series, { changed: () => chart.refresh(), fetched, latest: (event) => arrived(series, event) });
}

function disconnect() {
  stretch.stop();
  panels.stop();
  comparison.stop();
  feed?.stop();
  history?.stop();
}

/** Events are drawn one by one while they are few enough to be told apart; else in steps, which show the whole window. */
function laidOut() {
  const most = Math.min(FETCHED, width() / PIXELS_AN_EVENT);
  if (!chart.source.history && (history.count > most || comparison.lines.length)) chart.turnTo(history);
  chart.refresh();
  describeChart();
}

function arrived(series, event) {
  precision.learn(series, [event.value]);
  newest(series, event);
}

function answer(statisticsNow) {
  statistics = statisticsNow;
  $("#notice").hidden = true;
  const { min, max, last } = statistics;
  precision.learn(view.series, [min, max, last?.value]);
  newest(view.series, last);
  history.begin(statistics.first);
  showNumbers();
}

/** Shows the statistics of what the chart shows: of the window, or of the stretch that it is zoomed to. */
function showNumbers() {
  const shown = chart.zoomed ? stretch.statistics : withRate(statistics);
  if (shown) tiles.show(shown, precision.of(view.series));
  chart.statistics = shown ? { ...shown, last: statistics?.last } : {};
  chart.refresh();
  describeChart();
}

/** The rate is that of the window, so that it goes with the count; a window of so many events begins with the first. */
function withRate(found) {
  if (!found) return null;
  const seconds = view.window.seconds ?? found.at - Date.parse(found.first?.timestamp) / 1000;
  return { ...found, rate: seconds > 0 ? found.count / seconds : null };
}

function newest(series, event) {
  tiles.newest(event, precision.of(series));
  if (series !== null && event) list.touch(series, event);
}

function describeChart() {
  $("#caption").textContent = caption();
  tellLegend();
  const isUnknown = view.series !== null && store.loaded && !store.infos.has(view.series);
  quiet.show(statistics !== null && statistics.count === 0, isUnknown, view);
  $("#plot").setAttribute("aria-label", summaryOf(nameOf(view, "all series"), view.window, chart.zoomed, chart.statistics));
}

/** The values of all lines where the pointer is, or the newest. */
function tellLegend() {
  if (comparison.lines.length) comparison.legend.values(chart.means().map((mean) => measured(mean, steady)));
}

function caption() {
  const { window, kind } = view;
  const { zoomed } = chart;
  const step = kind === "chart" && chart.source.history ? history.stepWithin(zoomed) : null;
  const [held, all] = [feed?.points.times.length ?? 0, statistics?.count ?? 0];
  const isPartial = kind === "chart" && !chart.source.history && !zoomed && feed.points.isPartial(window, all, serverNow());
  return captionOf(window, zoomed, step, isPartial ? { held: Math.min(held, all), all } : null);
}

const sameStretch = (a, b) => a.window.text === b.window.text && a.window.last === b.window.last;

function connection(state, detail) {
  if (state === "refused") return refused(detail.problem, () => status.show(state, detail));
  const isBack = state === "live" && status.state === "reconnecting";
  status.show(state, detail);
  if (state === "live") feed?.retry(); // where the one connection succeeds, the other will
  if (isBack) askSettings(); // a service that has started anew may have others
}

/** The numbers are of an earlier moment, while there are no answers: not to be taken for live ones. */
function outdated(since, seconds) {
  $("#full").classList.toggle("outdated", since !== null);
  tiles.outdated(since, seconds);
}

/** Without an answer the page goes on with what is usual. */
async function askSettings() {
  const found = await readSettings().catch(() => null);
  if (!found) return;
  retention = found.retention;
  picker.offer(retention);
  enter();
}

function refused(problem, show = () => {}) {
  if (nameOf(view, null) === null && problem.status === FORBIDDEN) return keepToSome();
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
  if (seesAll || nameOf(view, null) !== null || list.first === null) return;
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
  tellLegend();
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
  if (stretch.range !== chart.zoomed) lookCloser();
  if (view.zoom !== chart.zoomed) settle({ zoom: chart.zoomed });
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

async function save() {
  const { series, window } = view;
  const { zoomed } = chart;
  const name = [nameOf(view, "all"), window.last ? `last-${window.last}` : window.text].join("-");
  try {
    if (!chart.source.history) await saveEvents(series, chart.shown, name);
    else await saveHistory(history.path, history.query(zoomed, history.stepWithin(zoomed) ?? undefined), name);
  } catch (error) {
    tell(explain(error).join(" "));
  }
}

const send = () => openSender(dialog, senders[1], view.series);
const help = () => $("#keys").showModal();
const fullScreen = () => toggleFullScreen($("#main"));

/** Has clicks in the list add to the chart. */
function adding(isOn) {
  list.isAdding = isOn;
  $("#adding").setAttribute("aria-pressed", isOn);
  $("#sheet").classList.toggle("adding", isOn);
  if (isOn) sheet.open();
  if (isOn) list.box.focus();
}

const actions = {
  "zoom-in": () => chart.zoomBy(0.5),
  "zoom-out": () => chart.zoomBy(2),
  reset: () => chart.zoom(null),
  save,
  pause: () => chart.togglePause(),
  "show-last": () => go({ ...view, window: windowOf("1000", true) }),
  send,
  keys: help,
  full: fullScreen,
  adding: () => adding(!list.isAdding),
  series: () => list.isAdding && adding(false), // the list has been closed, or is opened to choose
  "close-send": () => dialog.close(),
  "close-keys": () => $("#keys").close(),
};

document.addEventListener("click", (event) => {
  actions[event.target.closest("[data-action]")?.dataset.action]?.();
  closeFromBackdrop(event);
});
watchBackground({ sleep, wake });
addEventListener("hashchange", enter);
addEventListener("online", () => (live.retry(), feed?.retry()));
bindKeys($("#plot"), chart, { search: () => (sheet.open(), list.search.focus()), full: fullScreen, send, help });
bindCopy($("#share"), () => location.href);
$("#sheet").addEventListener("keydown", ({ key }) => key === "Escape" && list.isAdding && adding(false));
setInterval(() => chart.refresh(), 1000);
enter();
askSettings();
store.start();
// All of the page is here, unless its first script has not come, or has told of something that has not.
$("#incomplete").hidden = "theme" in document.documentElement.dataset && $("#incomplete").matches(".late");
