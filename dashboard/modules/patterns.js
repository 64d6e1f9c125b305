// Several series as one: those whose names match a shell pattern.

/** Whether it is a pattern, and not a name. */
export function isPattern(text) {
  return /[*?[]/.test(text);
}

/** The pattern that only this name matches. */
export function itself(name) {
  return name === null ? null : name.replace(/[*?[]/g, "[$&]");
}

/** Whether a name matches, as the service sees it; a bracket that is not closed stands for itself. */
export function matcher(pattern) {
  const source = pattern.replace(/\[!?\]?[^\]]*\]|[^]/gu, (part) => {
    if (part === "*") return ".*";
    if (part === "?") return ".";
    if (part.length === 1 || /^\[!?\]$/u.test(part)) return part.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
    const [, not, inside] = /^\[(!?)([^]*)\]$/u.exec(part);
    return `[${not && "^"}${inside.replace(/[\\[\]^]/g, "\\$&")}]`;
  });
  try {
    const found = new RegExp(`^(?:${source})$`, "su");
    return (name) => found.test(name);
  } catch {
    return () => false; // a range such as [z-a], which no name matches
  }
}

/** What the view is about, in words. */
export function nameOf({ series, match }, all = "All series") {
  return series ?? match ?? all;
}

/** The path that asks `kind` of one series, of several as one, or of all. */
export function pathOf(kind, { series, match }) {
  if (series !== null) return `${kind}/${encodeURIComponent(series)}`;
  return match ? `${kind}?series=${encodeURIComponent(match)}` : kind;
}
