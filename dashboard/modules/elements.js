// Elements of the page, and their text.

/** Returns a new element with this text. */
export function make(tag, text) {
  const element = document.createElement(tag);
  element.textContent = text;
  return element;
}

/** Gives an element this text; where it has it already nothing is done, as the page would be laid out anew. */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
