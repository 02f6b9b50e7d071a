"use strict";
(() => {
  /* Curves of a training, while it goes on and after it: one drawing for each figure, and its last value in words. */
  const place = document.querySelector("[data-curves]");
  if (!place) return;
  const drawn = new Map();
  const ink = () => getComputedStyle(document.body).color;
  const width = () => Math.max(240, Math.min(460, place.clientWidth - 4));
  function draw(name, images, values) {
    const last = [...values].reverse().find((one) => one !== null);
    let one = drawn.get(name);
    if (!one) {
      const figure = document.createElement("figure"), words = document.createElement("figcaption");
      figure.append(words);
      place.append(figure);
      const axis = { stroke: ink, grid: { stroke: "#8886", width: 1 }, ticks: { stroke: "#8886" } };
      const chart = new window.uPlot({
        width: width(), height: 170, legend: { show: false }, cursor: { show: false }, scales: { x: { time: false } },
        axes: [{ ...axis, values: (_, ticks) => ticks.map((tick) => tick >= 1000 ? tick / 1000 + "k" : tick) }, { ...axis, size: 60 }],
        series: [{}, { stroke: "#2b7bba", width: 1.5, spanGaps: true }],
      }, [images, values], figure);
      chart.root.setAttribute("aria-hidden", "true");
      one = { chart, words };
      drawn.set(name, one);
    }
    one.words.textContent = name.replaceAll("_", " ") + ": " + (last === undefined ? "" : Number(last.toPrecision(4))) + " after " + images[images.length - 1].toLocaleString("en") + " images";
    one.chart.setData([images, values]);
  }
  async function follow() {
    for (;;) {
      const answer = await fetch(place.dataset.curves, { headers: { accept: "application/json" } }).catch(() => null);
      if (answer && answer.ok) {
        const found = await answer.json();
        if (found.images.length > 1) for (const [name, values] of Object.entries(found.curves)) draw(name, found.images, values);
      }
      if (!document.querySelector("[data-job]")) return;
      await new Promise((next) => setTimeout(next, 3000));
    }
  }
  window.addEventListener("resize", () => { for (const { chart } of drawn.values()) chart.setSize({ width: width(), height: 170 }); });
  follow();
})();
