"use strict";
(() => {
  /* A picture to judge: how long it was looked at, and keys. While something is typed, keys are letters. */
  const form = document.querySelector("[data-reading]");
  if (!form) return;
  let began = performance.now(), away = 0, left = null;
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) left = performance.now();
    else if (left !== null) { away += performance.now() - left; left = null; }
  });
  form.addEventListener("submit", () => {
    form.elements.seconds.value = ((performance.now() - began - away) / 1000).toFixed(1);
  });
  document.addEventListener("keydown", (event) => {
    const typing = event.target.matches("input:not([type=radio]), textarea, select");
    if (typing || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    const button = form.querySelector("[aria-keyshortcuts=" + CSS.escape(event.key.toUpperCase()) + "]");
    const level = form.querySelector("[name=confidence][value='" + CSS.escape(event.key) + "']");
    if (button) { event.preventDefault(); button.click(); }
    else if (level) { level.checked = true; }
  });
})();
