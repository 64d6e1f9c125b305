// What the chart shows, as a file of CSV.

import { open, patiently, url } from "./api.js";

const KEPT_FOR = 60_000; // milliseconds in which the browser takes the file

/** Fetches a history as CSV and hands it to the browser to save under this name. */
export async function saveCsv(path, query, name) {
  const response = await patiently(() => open(url(path, query), { headers: { Accept: "text/csv" } }));
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await response.blob());
  link.download = `${name.replace(/[^\p{L}\p{N}._-]+/gu, "-")}.csv`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), KEPT_FOR);
}
