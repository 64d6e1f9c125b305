// How long the steps of a history are.

const HOUR = 3600;
const DAY = 24 * HOUR;
const STEPS = [
  ...[0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5],
  ...[1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800],
  ...[1, 2, 6, 12, 24].map((hours) => hours * HOUR),
];
const FEWEST = 60;
/** The most points one answer of the API holds. */
export const MOST = 2000;
const PIXELS_A_POINT = 2;
const EVENTS_A_POINT = 8; // with fewer, a band and percentiles mean little

/** The shortest step in seconds by which `count` events of `seconds` are drawn on so many pixels: no finer than a
    reader could see, nor than the events are dense. */
export function stepFor(seconds, width, count) {
  const most = Math.min(width / PIXELS_A_POINT, count / EVENTS_A_POINT);
  const points = Math.min(MOST, Math.max(FEWEST, Math.floor(most)));
  const fits = (step) => seconds / step + 2 <= points; // a window touches a step more, at either end
  return STEPS.find(fits) ?? Math.ceil(seconds / (points - 2) / DAY) * DAY;
}

/** The window and moment that cover a range of times in whole steps; from `earliest` on, and up to now. */
export function wholeSteps({ min, max }, step, earliest, now) {
  const length = step * 1000;
  const to = Math.ceil((Math.min(max, now) * 1000) / length) * length;
  const from = Math.max(Math.floor((min * 1000) / length), Math.ceil((earliest * 1000) / length)) * length;
  // A window has its last moment and not its first, a step the other way round: so it ends a microsecond before `to`.
  const at = new Date(to - 1).toISOString().replace("Z", "999Z");
  return { at, window: Math.max(length, to - from) / 1000 };
}
