// Says when the figures on the page are old, and leaves the engine alone while nobody looks.
"use strict";
(() => {
  const show = (isStale) => {
    const notice = document.getElementById("stale");
    if (notice) notice.hidden = !isStale;
    document.body.classList.toggle("is-stale", isStale);
  };
  document.addEventListener("htmx:config:request", (event) => {
    if (document.hidden) event.preventDefault();
  });
  document.addEventListener("htmx:error", () => show(true));
  document.addEventListener("htmx:response:error", () => show(true));
  document.addEventListener("htmx:after:request", (event) => {
    if (event.detail.ctx.response.status < 400) show(false);
  });
})();
