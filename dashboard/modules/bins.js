// Round bounds for histograms.

/** The next step of 1, 2 or 5 times a power of ten. */
export function roundStep(step) {
  if (!(step > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(step));
  return power * ([1, 2, 5].find((times) => times * power >= step) ?? 10);
}

/** The multiples of `step` above `min` and up to `max`, as a question writes them, or `min` alone; about `most`. */
export function boundsOf(min, max, step, most) {
  const bounds = [];
  for (let i = Math.floor(min / step) + 1; i * step <= max && bounds.length < 2 * most; i++) bounds.push(Number((i * step).toPrecision(12)));
  return bounds.length ? bounds.join(",") : String(min);
}
