// Light or dark, before the first paint: the system's choice, or the one made with the switch.
"use strict";

(function () {
  const kept = (() => { try { return localStorage.getItem("theme"); } catch { return null; } })();
  if (kept === "light" || kept === "dark") document.documentElement.dataset.theme = kept;
})();
