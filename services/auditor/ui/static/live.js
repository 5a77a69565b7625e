// Keep the page fresh: an event on the stream says "look again", at most once a second.
"use strict";
(() => {
  const status = document.getElementById("live");
  let waiting = false;
  let again = false;

  async function refresh() {
    if (waiting) { again = true; return; }
    waiting = true;
    try {
      const answer = await fetch("/", { headers: { Accept: "text/html" } });
      if (answer.redirected) { location.reload(); return; }
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fleet = page.getElementById("fleet");
      if (fleet) document.getElementById("fleet").replaceWith(fleet);
    } catch {
      status.textContent = "The hub does not answer; trying again.";
    }
    setTimeout(() => { waiting = false; if (again) { again = false; refresh(); } }, 1000);
  }

  const stream = new EventSource("/api/v1/stream");
  stream.onopen = () => { status.textContent = "Live"; refresh(); };
  stream.onmessage = refresh;
  stream.onerror = () => { status.textContent = "Connection lost; trying again."; };
  // Heartbeats and status are no events: look now and then all the same.
  setInterval(refresh, 15000);
})();
