// Draws the charts, says when the figures on the page are old, copies what is shown once, and leaves the engine alone
// while nobody looks.
"use strict";
(() => {
  const HEIGHT = 210;
  const INKS = ["--ink", "--brand", "--busy", "--violet", "--bad", "--dim", "--good", "--blue"];
  const DASHES = [[], [], [6, 3], [2, 3], [8, 3, 2, 3], [4, 4], [1, 2], [10, 4]];
  const charts = new Map();

  const ink = (name) => {
    const probe = document.createElement("i");
    probe.style.color = `var(${name})`;
    document.body.append(probe);
    const colour = getComputedStyle(probe).color;
    probe.remove();
    return colour;
  };

  const options = (frame, told) => {
    const axis = { stroke: ink("--dim"), grid: { stroke: ink("--line"), width: 1 }, ticks: { stroke: ink("--line"), width: 1 } };
    // In UTC, as every instant on the pages.
    const instants = (_, splits, axisAt, space, step) =>
      splits.map((at) => {
        const text = new Date(at * 1000).toISOString();
        return step >= 86400 || text.slice(11, 19) === "00:00:00" ? text.slice(5, 10) : text.slice(11, step < 60 ? 19 : 16);
      });
    const isBars = told.kind === "bars";
    return {
      width: Math.max(frame.clientWidth, 200),
      height: HEIGHT,
      cursor: { y: false, drag: { x: false, y: false } },
      legend: { live: true },
      scales: { y: { range: (_, least, most) => [Math.min(0, least), Math.max(1, most * 1.08)] } },
      tzDate: (at) => uPlot.tzDate(new Date(at * 1000), "Etc/UTC"),
      axes: [{ ...axis, space: 80, values: instants, incrs: [1, 5, 15, 30, 60, 300, 900, 1800, 3600, 10800, 21600, 43200, 86400, 172800, 604800, 2592000] }, { ...axis, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 1e6, 1e7], size: 54 }],
      series: [
        { label: "when", value: (_, at) => (at === null ? "–" : new Date(at * 1000).toISOString().slice(0, 16).replace("T", " ")) },
        ...told.series.map((one, at) => ({
          label: one.label,
          stroke: isBars ? ink("--brand") : ink(INKS[at % INKS.length]),
          fill: isBars ? ink("--brand") : undefined,
          dash: isBars ? undefined : DASHES[at % DASHES.length],
          width: isBars ? 0 : 2,
          points: { show: false },
          paths: isBars ? uPlot.paths.bars({ size: [0.72, 36] }) : uPlot.paths.stepped({ align: 1 }),
          value: (_, units) => (units === null || units === undefined ? "–" : units.toLocaleString("en")),
        })),
      ],
    };
  };

  const draw = (isNewLook) => {
    for (const frame of document.querySelectorAll(".chart")) {
      const source = document.getElementById(frame.dataset.from);
      if (!source || !window.uPlot) continue;
      const told = JSON.parse(source.dataset.chart);
      const figures = [told.x, ...told.series.map((one) => one.values)];
      const shape = told.series.map((one) => one.label).join();
      const last = charts.get(frame.id);
      if (last && last.frame === frame && last.shape === shape && !isNewLook) {
        if (last.text !== source.dataset.chart) last.plot.setData(figures);
        last.text = source.dataset.chart;
        continue;
      }
      if (last) last.plot.destroy();
      charts.set(frame.id, { frame, shape, text: source.dataset.chart, plot: new uPlot(options(frame, told), figures, frame) });
    }
  };

  const show = (isStale, status) => {
    for (const [name, isIt] of [["stale", status !== 401], ["logged-out", status === 401]]) {
      const notice = document.getElementById(name);
      if (notice) notice.hidden = !(isStale && isIt);
    }
    document.body.classList.toggle("is-stale", isStale);
  };

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const source = document.getElementById(button.dataset.copy);
    // Where the wire is not encrypted there is no clipboard: it is chosen, to be copied by hand.
    if (!navigator.clipboard) return getSelection().selectAllChildren(source);
    await navigator.clipboard.writeText(source.textContent);
    button.textContent = "Copied";
  });
  // What takes a while says so.
  const busy = (button) => {
    if (!button || !button.dataset.busy || button.dataset.idle) return;
    button.dataset.idle = button.textContent;
    button.textContent = button.dataset.busy;
    button.setAttribute("aria-busy", "true");
  };
  document.addEventListener("submit", (event) => busy(event.submitter));
  document.addEventListener("htmx:before:request", (event) => busy(event.target));
  document.addEventListener("htmx:finally:request", (event) => {
    const button = event.target;
    if (!button.dataset || !button.dataset.idle) return;
    button.textContent = button.dataset.idle;
    button.removeAttribute("aria-busy");
    delete button.dataset.idle;
    document.getElementById("outcome").focus();
  });
  document.addEventListener("htmx:config:request", (event) => {
    if (document.hidden) event.preventDefault();
  });
  document.addEventListener("htmx:error", () => show(true));
  document.addEventListener("htmx:response:error", (event) => show(true, event.detail.ctx?.response?.status));
  document.addEventListener("htmx:after:request", (event) => {
    if (event.detail.ctx.response.status < 400) show(false);
  });
  document.addEventListener("htmx:after:swap", () => draw(false));
  // What a link leads to is unfolded.
  const unfold = () => {
    const fold = document.getElementById(location.hash.slice(1))?.closest("details");
    if (fold) fold.open = true;
  };
  window.addEventListener("hashchange", unfold);
  document.addEventListener("DOMContentLoaded", () => {
    unfold();
    draw(false);
    // On a phone the menu is wider than the window. Not scrollIntoView: the next Tab would begin from there.
    const here = document.querySelector(".menu [aria-current]");
    if (here) here.parentElement.scrollLeft = here.offsetLeft - (here.parentElement.clientWidth - here.clientWidth) / 2;
  });
  // Where the address has a place on the page a browser heeds no autofocus, and takes the focus away as it goes there.
  window.addEventListener("load", () => requestAnimationFrame(() => document.querySelector("[aria-invalid]")?.focus()));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => draw(true));
  window.addEventListener("resize", () => {
    for (const { frame, plot } of charts.values()) plot.setSize({ width: Math.max(frame.clientWidth, 200), height: HEIGHT });
  });
})();
