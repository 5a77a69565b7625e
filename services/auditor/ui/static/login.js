// Trade the one-time code of the address for a session; the fragment never reaches a server's log.
"use strict";
(() => {
  const code = new URLSearchParams(location.hash.slice(1)).get("code");
  if (!code) return;
  history.replaceState(null, "", "/login");
  document.getElementById("code").value = code;
  document.getElementById("by-code").submit();
})();
