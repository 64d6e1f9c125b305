// The dialogs of the page, and its view on the whole screen.

/** Opens the form that sends an event, to this series if there is one. */
export function openSender(dialog, sender, series) {
  sender.series = series;
  dialog.showModal();
}

/** Has a click beside a dialog close it, as Escape does. */
export function closeFromBackdrop(event) {
  if (event.target.matches("dialog")) event.target.close();
}

/** Shows an element alone on the whole screen, or no longer; a browser may refuse, then all stays as it is. */
export function toggleFullScreen(element) {
  if (document.fullscreenElement) document.exitFullscreen();
  else element.requestFullscreen?.().catch(() => {});
}
