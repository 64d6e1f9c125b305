// Light or dark. A classic script in the head, so that the page never flashes in the wrong one.
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
