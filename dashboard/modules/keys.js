// The keyboard: shortcuts of the page, and moving about in the chart.

const typing = (target) => target.closest("input, select, textarea, dialog[open]");

/** `search`, `full`, `send`, `help`: what `/`, `f`, `s` and `?` do; `p` pauses; with the chart in focus, arrows move the readout and + - 0 zoom. */
export function bindKeys(plot, chart, { search, full, send, help }) {
  const inChart = {
    ArrowLeft: (event) => chart.step(event.shiftKey ? -10 : -1),
    ArrowRight: (event) => chart.step(event.shiftKey ? 10 : 1),
    Home: () => chart.step(-Infinity),
    End: () => chart.step(Infinity),
    "+": () => chart.zoomBy(0.5),
    "=": () => chart.zoomBy(0.5),
    "-": () => chart.zoomBy(2),
    0: () => chart.zoom(null),
    Escape: () => chart.zoom(null),
  };
  const anywhere = { "/": search, f: full, s: send, "?": help, p: () => chart.togglePause() };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    const action = (event.target === plot ? inChart[event.key] : null) ?? anywhere[event.key];
    if (!action) return;
    event.preventDefault();
    action(event);
  });
}
