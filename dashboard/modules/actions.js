// What a person does on the page: its buttons, its keys, its dialogs.

import { watchBackground } from "./background.js";
import { closeFromBackdrop, openSender, toggleFullScreen } from "./dialogs.js";
import { bindKeys } from "./keys.js";
import { bindCopy } from "./share.js";
import { windowOf } from "./windows.js";

const $ = (selector) => document.querySelector(selector);

/** Binds them to the parts of the page; `save()` what is drawn, `sleep()` and `wake()` with the tab, `retry()` when the
    browser is connected again. */
export function bindActions({ navigation, chart, list, sheet, sender }, { save, sleep, wake, retry }) {
  const send = () => openSender($("#send"), sender, navigation.view.series);
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
    "show-last": () => navigation.go({ window: windowOf("1000", true) }),
    send,
    keys: help,
    full: fullScreen,
    adding: () => adding(!list.isAdding),
    series: () => list.isAdding && adding(false), // the list has been closed, or is opened to choose
    "close-send": () => $("#send").close(),
    "close-keys": () => $("#keys").close(),
  };

  document.addEventListener("click", (event) => {
    actions[event.target.closest("[data-action]")?.dataset.action]?.();
    closeFromBackdrop(event);
  });
  $("#sheet").addEventListener("keydown", ({ key }) => key === "Escape" && list.isAdding && adding(false));
  bindKeys($("#plot"), chart, { search: () => (sheet.open(), list.search.focus()), full: fullScreen, send, help });
  bindCopy($("#share"), () => location.href);
  watchBackground({ sleep, wake });
  addEventListener("online", retry);
}
