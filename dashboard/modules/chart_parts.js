// What uPlot is told to draw: axes, series, the band of the window, labels at the right edge.

import { count, FONT, number, places, span, steady, tick, tickTime, zone } from "./format.js";
import { measured } from "./units.js";

export const GUTTER = 44; // room for the labels right of the plot
const LABEL_HEIGHT = 13;
const HALF_A_LETTER = 3; // of a time; labels are centred on it
const SILENT_TIMES = 8;
const SILENT_SHARE = 40; // of the stretch shown

/** The theme's colours, as the style sheet has them. */
export function readColours(show, overlays) {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(`--${name}`).trim();
  return {
    value: colour("accent"),
    mean: colour("mean"),
    edge: colour("edge"),
    band: colour("band"),
    spread: colour("spread"),
    grid: colour("grid"),
    text: colour("muted"),
    bad: colour("bad"),
    good: colour("good"),
    overlays: overlays.map(({ number }) => colour(`line-${number}`)),
    ...Object.fromEntries(show.map((name) => [name, colour(name) || colour("other")])),
  };
}

function axisWidth(u, labels) {
  u.ctx.font = FONT.replace("11px", `${11 * devicePixelRatio}px`);
  const widest = Math.max(...[...(labels ?? []), zone()].map((label) => u.ctx.measureText(label ?? "").width));
  return Math.ceil(widest / devicePixelRatio) + 14;
}

/** Pixels between two times on the axis: fewer when hours and minutes are all that is written. */
function timeSpace(u, axis, min, max, width) {
  const step = ((max - min) / width) * 60;
  return step < 1 ? 104 : step < 40 ? 80 : 56;
}

export function axes(colours) {
  const common = { stroke: colours.text, font: FONT, ticks: { show: false } };
  return [
    {
      ...common,
      grid: { show: false },
      space: timeSpace,
      size: 28,
      gap: 8,
      values: (u, splits, axis, space, step) => splits.map((at) => clearOfZone(u, at, tickTime(at, step))),
    },
    {
      ...common,
      grid: { stroke: colours.grid, width: 1 },
      space: 56,
      gap: 8,
      size: axisWidth,
      values: (u, splits, axis, space, step) => splits.map((value) => measured(value, (x) => tick(x, step))),
    },
  ];
}

/** Series for the events of one series. */
export function eventSeries(colours) {
  const show = (u, i, from, to) => to - from < u.width / 14;
  const filter = (u, i, isShown) => (isShown ? null : lonely(u));
  const points = { show, filter, size: 5, fill: colours.value, width: 0 };
  return { series: [{}, { stroke: colours.value, width: 1.6, points, gaps: silences }], bands: [] };
}

/** How long a pause between two events is no silence yet: some times the usual one, and to be seen. */
function longestPause(u) {
  const times = u.data[0];
  const pauses = times.slice(1).map((time, i) => time - times[i]).sort((a, b) => a - b);
  const usual = pauses[pauses.length >> 1] ?? 0;
  return Math.max(SILENT_TIMES * usual, (u.scales.x.max - u.scales.x.min) / SILENT_SHARE);
}

/** The stretches without an event, in pixels, through which no line goes: as where the steps of a history are empty. */
function silences(u, i, from, to) {
  const times = u.data[0];
  const longest = longestPause(u);
  const x = (index) => u.valToPos(times[index], "x", true);
  const found = [];
  for (let i = from + 1; i <= to; i++) if (times[i] - times[i - 1] > longest) found.push([x(i - 1), x(i)]);
  return found;
}

/** Events between two silences, which no line goes through. */
function lonely(u) {
  const times = u.data[0];
  const longest = longestPause(u);
  const isSilent = (i) => !(times[i] - times[i - 1] <= longest);
  return times.map((_, i) => i).filter((i) => isSilent(i) && isSilent(i + 1));
}

/** Series for the steps of a history: mean, min and max with a band between them, and these percentiles. */
export function historySeries(colours, show, overlays) {
  const line = (stroke, width) => ({ stroke, width, points: { show: true, size: 4, fill: stroke, width: 0, filter: alone } });
  const percentiles = show.map((name) => line(colours[name], 1.3));
  const others = overlays.map(({ shift }, i) => ({ ...line(colours.overlays[i], 1.6), dash: shift ? [6, 4] : [] }));
  const series = [{}, line(colours.mean, 1.6), line(colours.edge, 1), line(colours.edge, 1), ...percentiles, ...others];
  return { series, bands: [{ series: [3, 2], fill: colours.spread }] };
}

/** Points with no neighbour, which no line goes through. */
function alone(u, index) {
  const values = u.data[index];
  const [from, to] = u.series[0].idxs;
  const found = [];
  for (let i = from; i <= to; i++) if (values[i] != null && values[i - 1] == null && values[i + 1] == null) found.push(i);
  return found;
}

/** Draws lines at the window's min, max and mean, and at these percentiles. They are no data, hence no area. */
export function drawLevels(u, colours, statistics, show) {
  const { min, max, mean } = statistics;
  if (min == null || u.scales.y.min == null) return;
  const { ctx } = u;
  const { left, top, width, height } = u.bbox;
  const at = (value) => Math.round(u.valToPos(value, "y", true)) + 0.5;
  ctx.save();
  ctx.beginPath();
  ctx.rect(left, top, width, height);
  ctx.clip();
  line(ctx, left, at(max), width, colours.edge, 1);
  line(ctx, left, at(min), width, colours.edge, 1);
  line(ctx, left, at(mean), width, colours.mean, 1.5, [5, 4]);
  for (const name of show) if (statistics[name] != null) line(ctx, left, at(statistics[name]), width, colours[name], 1.2, [2, 3]);
  ctx.restore();
}

function line(ctx, left, y, width, colour, thickness, dash = []) {
  ctx.strokeStyle = colour;
  ctx.lineWidth = thickness * devicePixelRatio;
  ctx.setLineDash(dash.map((length) => length * devicePixelRatio));
  ctx.beginPath();
  ctx.moveTo(left, y);
  ctx.lineTo(left + width, y);
  ctx.stroke();
}

/** Names the lines where they end, pushed apart where they would overlap, yet not below the plot. */
export function drawLabels(u, colours, ends, show) {
  if (ends.min == null || u.scales.y.min == null) return;
  const { ctx, bbox } = u;
  const inView = ({ y }) => y >= bbox.top - 1 && y <= bbox.top + bbox.height + 1;
  const names = ["max", ...[...show].reverse(), "mean", "min"].filter((name) => ends[name] != null);
  const labels = names.map((name) => ({ text: name, y: u.valToPos(ends[name], "y", true), colour: colours[name] ?? colours.text }));
  const shown = labels.filter(inView).sort((a, b) => a.y - b.y);
  const gap = LABEL_HEIGHT * devicePixelRatio;
  for (let i = 1; i < shown.length; i++) shown[i].y = Math.max(shown[i].y, shown[i - 1].y + gap);
  const lowest = bbox.top + bbox.height;
  for (let i = 1; i <= shown.length; i++) shown.at(-i).y = Math.min(shown.at(-i).y, lowest - (i - 1) * gap);
  ctx.save();
  ctx.font = FONT.replace("11px", `${11 * devicePixelRatio}px`);
  ctx.textAlign = "left";
  ctx.textBaseline = "middle";
  for (const { text, y, colour } of shown) {
    ctx.fillStyle = colour;
    ctx.fillText(text, bbox.left + bbox.width + 7 * devicePixelRatio, y);
  }
  ctx.restore();
}

/** Draws lines at these values, with the values above them. */
export function drawThresholds(u, colours, thresholds) {
  const { ctx, bbox } = u;
  ctx.save();
  ctx.font = FONT.replace("11px", `${11 * devicePixelRatio}px`);
  ctx.fillStyle = colours.bad;
  ctx.textAlign = "left";
  ctx.textBaseline = "bottom";
  for (const threshold of thresholds) {
    const y = Math.round(u.valToPos(threshold, "y", true)) + 0.5;
    line(ctx, bbox.left, y, bbox.width, colours.bad, 1.2, [8, 4]);
    ctx.fillText(measured(threshold, number), bbox.left + 6 * devicePixelRatio, y - 3 * devicePixelRatio);
  }
  ctx.restore();
}

/** Marks when alerts began to fire, and when they ended: a line from top to bottom each, and a triangle that points up
    or down. */
export function drawCrossings(u, colours, crossings) {
  const { ctx, bbox } = u;
  const { min, max } = u.scales.x;
  const size = 5 * devicePixelRatio;
  ctx.save();
  for (const { at, fires } of crossings) {
    if (at < min || at > max) continue;
    const x = Math.round(u.valToPos(at, "x", true)) + 0.5;
    const [tip, foot] = fires ? [bbox.top, bbox.top + 2 * size] : [bbox.top + 2 * size, bbox.top];
    ctx.fillStyle = ctx.strokeStyle = fires ? colours.bad : colours.good;
    ctx.lineWidth = devicePixelRatio;
    ctx.setLineDash([2 * devicePixelRatio, 3 * devicePixelRatio]);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    ctx.beginPath();
    ctx.moveTo(x, tip);
    ctx.lineTo(x - size, foot);
    ctx.lineTo(x + size, foot);
    ctx.fill();
  }
  ctx.restore();
}

/** The label of a time; none where it would reach into the zone, left of the plot. */
function clearOfZone(u, at, label) {
  return u.valToPos(at, "x") < HALF_A_LETTER * label.length ? null : label;
}

/** Says in the corner below the values which zone the times are of. */
export function drawZone(u, colours) {
  const { ctx, bbox } = u;
  ctx.save();
  ctx.font = FONT.replace("11px", `${11 * devicePixelRatio}px`);
  ctx.fillStyle = colours.text;
  ctx.textAlign = "right";
  ctx.textBaseline = "top";
  ctx.fillText(zone(), bbox.left - 8 * devicePixelRatio, bbox.top + bbox.height + 8 * devicePixelRatio);
  ctx.restore();
}

/** Marks the newest event. */
export function drawNewest(u, colours, time, value) {
  const { min, max } = u.scales.x;
  if (value == null || time < min || time > max) return;
  const { ctx } = u;
  const [x, y] = [u.valToPos(time, "x", true), u.valToPos(value, "y", true)];
  const dot = (radius, colour) => {
    ctx.fillStyle = colour;
    ctx.beginPath();
    ctx.arc(x, y, radius * devicePixelRatio, 0, 2 * Math.PI);
    ctx.fill();
  };
  ctx.save();
  dot(6.5, colours.edge);
  dot(3.5, colours.value);
  ctx.restore();
}

/** What there is to say about a step of a history: {time, lines: [[name, text]]}. */
export function told(point, show, least) {
  const { start, end, mean } = point;
  const names = ["max", ...[...show].reverse(), "min"];
  const common = Math.max(least, places(names.map((name) => point[name])));
  const lines = names.map((name) => [name, measured(point[name], (x) => number(x, common))]);
  lines.splice(-1, 0, ["mean", measured(mean, steady)]);
  return { time: span(start, end), lines: [["count", count(point.count)], ...lines] };
}
