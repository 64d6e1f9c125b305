// What the service allows, as `GET /settings` has it.

import { getJson, patiently } from "./api.js";
import { windowOf } from "./windows.js";

/** Returns {retention}: the longest window. Raises what the call raises. */
export async function readSettings() {
  const { body } = await patiently(() => getJson("settings"));
  return { retention: windowOf(body.retention) };
}
