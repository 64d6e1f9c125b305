// The unit of the values shown, where the address names one: `unit=ms`. SI units change their prefix with the size.

import { NARROW_SPACE } from "./format.js";

const PREFIXES = [["T", 1e12], ["G", 1e9], ["M", 1e6], ["k", 1e3], ["", 1], ["m", 1e-3], ["\u00b5", 1e-6], ["n", 1e-9]];
const SCALED = /^([TGMkm\u00b5\u03bcun]?)(s|m|g|A|V|W|Hz|J|N|Pa|F|\u03a9|B|bit|B\/s|bit\/s|Wh)$/;
const WHOLE_ONLY = new Set(["B", "bit", "B/s", "bit/s"]);
const DIGITS = 5;
const LONGEST = 12; // characters

let unit = null;

/** Writes values with this unit from now on; null: without any. */
export function useUnit(text) {
  unit = text ? parse(text.slice(0, LONGEST)) : null;
}

/** A value, which `write` would write without a unit. */
export function measured(x, write) {
  if (!unit || x == null || Number.isNaN(x)) return write(x);
  return unit.base === null ? write(x) + (unit.text === "%" ? "" : NARROW_SPACE) + unit.text : scaled(x * unit.factor, unit.base);
}

function parse(text) {
  const [, prefix, base] = SCALED.exec(text) ?? [];
  if (base === undefined) return { text, base: null };
  const name = { u: "\u00b5", "\u03bc": "\u00b5" }[prefix] ?? prefix;
  return { text, base, factor: PREFIXES.find(([other]) => other === name)[1] };
}

function scaled(x, base) {
  const size = Math.abs(x);
  const usable = PREFIXES.filter(([, factor]) => (base === "s" ? factor <= 1 : true) && (factor >= 1 || !WHOLE_ONLY.has(base)));
  const [name, factor] = size === 0 ? ["", 1] : (usable.find(([, factor]) => size >= factor) ?? usable.at(-1));
  const text = new Intl.NumberFormat(undefined, { maximumSignificantDigits: DIGITS }).format(x / factor);
  return text + NARROW_SPACE + name + base;
}
