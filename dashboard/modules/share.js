// Text for the clipboard, and a button that says whether it is there.

const TOLD_FOR = 1600; // milliseconds

/** Copies a text, from the element that shows it if there is one; returns whether it could. */
async function copyText(text, element = null) {
  try {
    await navigator.clipboard.writeText(text); // only on https and localhost
    return true;
  } catch {
    if (element) getSelection().selectAllChildren(element);
    return false;
  }
}

/** Has the button copy what `text()` returns, and say so in place of its words, or beside it where it has none. */
export function bindCopy(button, text, element = null) {
  const label = button.querySelector("[data-part=label]") ?? button;
  const usual = label.textContent;
  let timer = null;
  button.addEventListener("click", async () => {
    const done = await copyText(text(), element);
    label.textContent = done ? "Copied" : element ? "Select it" : "Copy the address";
    clearTimeout(timer);
    timer = setTimeout(() => (label.textContent = usual), TOLD_FOR);
  });
}
