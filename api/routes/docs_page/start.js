// Apart from the page, so that its Content-Security-Policy can forbid inline scripts.
const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", follow);
follow();

// Open what is native; the dialects, which few need, wait closed. In the document of a dialect everything is open.
function openGroups() {
  const tags = window.ui.specSelectors.tags().toJS().map(({ name }) => name);
  const native = tags.filter((name) => !name.startsWith("dialect "));
  for (const name of native.length ? native : tags) window.ui.layoutActions.show(["operations-tag", name], true);
}

window.ui = SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  docExpansion: "none",
  defaultModelsExpandDepth: 0,
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
  validatorUrl: null, // the default asks a server on the internet
  onComplete: openGroups,
});
