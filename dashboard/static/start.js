// What has to run before all else, hence a classic script, and the first: a word where a part of the page does not come,
// as nothing else may run that could say so; and light or dark, so that the page never flashes in the wrong one.

(() => {
  const notice = () => document.querySelector("#incomplete"); // hidden by main.js once that runs
  let fault = null;

  function tell() {
    if (fault === null || !notice()) return;
    notice().textContent = `This page is incomplete: ${fault}. Reload it.`;
    notice().classList.remove("late");
    notice().hidden = false;
  }

  function note({ target, message }) {
    const counts = target === window ? !notice()?.hidden : target.matches("script, link");
    if (!counts) return;
    fault ??= target === window ? message : `${new URL(target.src || target.href).pathname} did not load`;
    tell();
  }

  addEventListener("error", note, true); // a file that does not load is told to its own element, on the way down only
  addEventListener("DOMContentLoaded", tell);
})();

(() => {
  const KEY = "tidemark-theme";
  const system = matchMedia("(prefers-color-scheme: dark)");

  function remembered() {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null; // storage may be forbidden; the system's choice then rules
    }
  }

  function remember(theme) {
    try {
      // Choosing what the system shows anyway means following the system again.
      if (theme === (system.matches ? "dark" : "light")) localStorage.removeItem(KEY);
      else localStorage.setItem(KEY, theme);
    } catch {
      // not remembered, still shown
    }
  }

  function apply(theme) {
    document.documentElement.dataset.theme = theme;
    dispatchEvent(new Event("themechange"));
  }

  const current = () => remembered() ?? (system.matches ? "dark" : "light");

  apply(current());
  system.addEventListener("change", () => apply(current()));
  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-action=theme]")) return;
    const next = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    remember(next);
    apply(next);
  });
})();
