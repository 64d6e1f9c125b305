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
    edge: colour("edge"),
    band: colour("band"),
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

/** Series for the course of the statistics of all series. */
export function courseSeries(colours) {
  const plain = { points: { show: false } };
  const series = [
    {},
    // Consecutive last values belong to different series, so no line joins them.
    { stroke: colours.value, width: 0, paths: () => null, points: { show: true, size: 4, fill: colours.value, width: 0 } },
    { ...plain, stroke: colours.mean, width: 1.8 },
    { ...plain, stroke: colours.edge, width: 1 },
    { ...plain, stroke: colours.edge, width: 1 },
  ];
  return { series, bands: [{ series: [4, 3], fill: colours.band }] };
}

/** Fills the stretch between the window's min and max, with lines at both and at the mean. */
export function drawBand(u, colours, { min, max, mean }) {
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

/** Names the lines where they end, pushed apart where they would overlap. */
export function drawLabels(u, colours, { min, max, mean, last }) {
  if (min == null || u.scales.y.min == null) return;
  const { ctx, bbox } = u;
  const inView = ({ y }) => y >= bbox.top - 1 && y <= bbox.top + bbox.height + 1;
  const label = (text, value, colour) => ({ text, y: u.valToPos(value, "y", true), colour });
  const labels = [label("max", max, colours.text), label("mean", mean, colours.mean), label("min", min, colours.text)];
  if (last != null) labels.push(label("last", last, colours.value));
  const shown = labels.filter(inView).sort((a, b) => a.y - b.y);
  const gap = LABEL_HEIGHT * devicePixelRatio;
  for (let i = 1; i < shown.length; i++) shown[i].y = Math.max(shown[i].y, shown[i - 1].y + gap);
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
