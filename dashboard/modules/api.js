// Calls to the service, its errors, and its clock.

const UNAVAILABLE = 503;
const LONGEST_RETRY_AFTER = 60; // seconds
const TRIES = 5;

/** An answer that is not a success, with what the service says about it. */
export class Problem extends Error {
  /** `retryAfter`: seconds after which the service wants to be asked again; 0 where it does not say. */
  constructor(status, body, retryAfter = 0) {
    super(body?.detail || body?.title || `The server answered ${status}.`);
    this.status = status;
    this.errors = body?.errors ?? {};
    this.retryAfter = Math.min(LONGEST_RETRY_AFTER, retryAfter || 0);
  }
}

/** Whether the same request may succeed later. */
export function passes(error) {
  return !(error instanceof Problem) || error.status >= 500 || error.status === 429;
}

/** Milliseconds to wait before the next try: `usual`, or as long as the service says; pages then do not all come at once. */
export function pauseAfter(error, usual) {
  const told = (error?.retryAfter ?? 0) * 1000;
  return Math.max(usual, told * (1 + Math.random() / 4));
}

/** Returns what `ask` brings, asked a few times where the service is too busy just now. */
export async function patiently(ask, tries = TRIES) {
  try {
    return await ask();
  } catch (error) {
    if (error.status !== UNAVAILABLE || tries === 1) throw error;
    await new Promise((resolve) => setTimeout(resolve, pauseAfter(error, 1000)));
    return patiently(ask, tries - 1);
  }
}

/** What to tell a person about any failed call. */
export function explain(error) {
  if (!(error instanceof Problem)) return ["The server cannot be reached just now."];
  const lines = Object.entries(error.errors).flatMap(([field, texts]) =>
    [texts].flat().map((text) => `${capital(field)}: ${typeof text === "string" ? text : JSON.stringify(text)}`),
  );
  return lines.length ? lines : [error.message];
}

function capital(word) {
  return word[0].toUpperCase() + word.slice(1);
}

export function url(path, parameters = {}) {
  const address = new URL(path, document.baseURI);
  for (const [name, value] of Object.entries(parameters)) {
    if (value != null) address.searchParams.set(name, value);
  }
  address.hash = "";
  return address;
}

/** Seconds since the epoch of a timestamp. */
export function secondsOf(timestamp) {
  return Date.parse(timestamp) / 1000;
}

let ahead = 0;

/** Seconds since the epoch by the server's clock, as well as its answers tell. */
export function serverNow() {
  return Date.now() / 1000 + ahead;
}

function readClock(response) {
  const told = Date.parse(response.headers.get("Date") ?? "");
  if (Number.isNaN(told)) return;
  // The header has whole seconds, so only a difference beyond that says the clocks disagree.
  const difference = (told + 500 - Date.now()) / 1000;
  ahead = Math.abs(difference) > 2 ? difference : 0;
}

async function checked(response) {
  readClock(response);
  if (response.ok) return response;
  throw new Problem(response.status, await response.json().catch(() => null), Number(response.headers.get("Retry-After")));
}

export async function open(address, options) {
  return checked(await fetch(address, { cache: "no-store", ...options }));
}

export async function getJson(path, parameters, signal) {
  const response = await open(url(path, parameters), { signal });
  return { body: await response.json(), position: Number(response.headers.get("Log-Position")) };
}

export async function postEvent(event) {
  const response = await open(url("event"), {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(event),
  });
  return response.json();
}
