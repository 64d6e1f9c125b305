// A tab in the background lets its connections go: an open stream takes one of the browser's six to a server.

const HIDDEN_FOR = 10_000; // milliseconds in the background

/** Calls `sleep` once the page has been in the background for a while, and `wake` when it is looked at again. */
export function watchBackground({ sleep, wake }) {
  let bedtime = null;
  let isAsleep = false;
  document.addEventListener("visibilitychange", () => {
    clearTimeout(bedtime);
    if (document.hidden) bedtime = setTimeout(() => (sleep(), (isAsleep = true)), HIDDEN_FOR);
    else if (isAsleep) (wake(), (isAsleep = false));
  });
}
