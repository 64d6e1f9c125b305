// What uPlot is told to draw: axes, series, the band of the window, labels at the right edge.

import { tick, tickTime } from "./format.js";

const FONT = '11px Inter, -apple-system, "Segoe UI", Roboto, Arial, sans-serif';
export const GUTTER = 44; // room for the labels right of the plot
const LABEL_HEIGHT = 13;

/** The theme's colours, as the style sheet has them. */
export function readColours() {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(`--${name}`).trim();
  return {
    value: colour("accent"),
    mean: colour("mean"),
    p50: colour("p50"),
    p90: colour("p90"),
    p99: colour("p99"),
    edge: colour("edge"),
    band: colour("band"),
    spread: colour("spread"),
    grid: colour("grid"),
    text: colour("muted"),
  };
}

function axisWidth(u, labels) {
  if (!labels?.length) return 48;
  u.ctx.font = FONT.replace("11px", `${11 * devicePixelRatio}px`);
  const widest = Math.max(...labels.map((label) => u.ctx.measureText(label ?? "").width));
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
      values: (u, splits, axis, space, step) => splits.map((at) => tickTime(at, step)),
    },
    {
      ...common,
      grid: { stroke: colours.grid, width: 1 },
      space: 56,
      gap: 8,
      size: axisWidth,
      values: (u, splits, axis, space, step) => splits.map((value) => tick(value, step)),
    },
  ];
}

/** Series for the events of one series. */
export function eventSeries(colours) {
  const points = { show: (u, i, from, to) => to - from < u.width / 14, size: 5, fill: colours.value, width: 0 };
  return { series: [{}, { stroke: colours.value, width: 1.6, points }], bands: [] };
}

/** Series for the steps of a history: mean, min and max with a band between them, and these percentiles. */
export function historySeries(colours, show) {
  const line = (stroke, width) => ({ stroke, width, points: { show: true, size: 4, fill: stroke, width: 0, filter: alone } });
  const percentiles = show.map((name) => line(colours[name], 1.3));
  const series = [{}, line(colours.mean, 1.6), line(colours.edge, 1), line(colours.edge, 1), ...percentiles];
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

/** Fills the stretch between the window's min and max, with lines at both, at the mean and at these percentiles. */
export function drawBand(u, colours, statistics, show) {
  const { min, max, mean } = statistics;
  if (min == null || u.scales.y.min == null) return;
  const { ctx } = u;
  const { left, top, width, height } = u.bbox;
  const at = (value) => Math.round(u.valToPos(value, "y", true)) + 0.5;
  ctx.save();
  ctx.beginPath();
  ctx.rect(left, top, width, height);
  ctx.clip();
  ctx.fillStyle = colours.band;
  ctx.fillRect(left, at(max), width, at(min) - at(max));
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
