// Draws what views/charts.py describes, with Chart.js, in the colours of the theme.
"use strict";

const drawn = new Map();
const day = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric" });
const minute = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

function colour(tone) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--chart-${tone}`).trim();
}

function figure(value, axis) {
  if (value === null || value === undefined) return "–";
  if (axis.kind === "time") return minute.format(new Date(value * 1000));
  if (axis.share) return `${(100 * value).toLocaleString(undefined, { maximumFractionDigits: 2 })} %`;
  return Number(value).toLocaleString(undefined, { maximumSignificantDigits: 4 });
}

function points(series, spec, values) {
  return spec.x.kind === "category" ? [...values] : series.x.map((x, i) => ({ x, y: values[i] }));
}

function datasets(spec) {
  const made = [];
  for (const series of spec.series) {
    const tone = colour(series.tone);
    const base = {
      label: series.name, borderColor: tone, backgroundColor: tone, borderWidth: 2, pointRadius: 0, pointHitRadius: 8,
      stepped: series.stepped ? "before" : false, borderDash: series.dashed ? [6, 4] : [], tension: 0,
    };
    if (series.kind === "band") {
      made.push({ ...base, type: "line", data: points(series, spec, series.low), borderWidth: 0, hidden: false, edge: true });
      made.push({ ...base, type: "line", data: points(series, spec, series.y), borderWidth: 0, fill: "-1", backgroundColor: `${tone}33` });
    } else if (series.kind === "bars") {
      made.push({ ...base, type: "bar", data: points(series, spec, series.y), backgroundColor: `${tone}b3`, borderWidth: 1 });
    } else if (series.kind === "points") {
      made.push({ ...base, type: "scatter", data: points(series, spec, series.y), pointRadius: 4, showLine: false });
    } else {
      made.push({ ...base, type: "line", data: points(series, spec, series.y), spanGaps: false, pointRadius: series.x.length < 3 && !series.dashed ? 3 : 0 });
    }
  }
  return made;
}

function scale(axis, vertical) {
  const ink = colour("ink"), grid = colour("grid");
  const made = {
    type: axis.kind === "category" ? "category" : "linear",
    title: { display: Boolean(axis.label), text: axis.label, color: ink },
    ticks: { color: ink, maxTicksLimit: vertical ? 6 : 8, maxRotation: 0 },
    grid: { color: grid }, border: { color: grid },
  };
  if (axis.low !== null) made.min = axis.low;
  if (axis.high !== null) made.max = axis.high;
  if (axis.kind === "time") made.ticks.callback = (value) => day.format(new Date(value * 1000));
  else if (axis.share) made.ticks.callback = (value) => figure(value, axis);
  return made;
}

function draw(element) {
  const spec = JSON.parse(element.querySelector('script[type="application/json"]').textContent);
  const canvas = element.querySelector("canvas");
  const category = spec.x.kind === "category";
  drawn.set(element, new Chart(canvas, {
    data: { labels: category ? spec.series.reduce((most, each) => (each.x.length > most.length ? each.x : most), []) : undefined, datasets: datasets(spec) },
    options: {
      indexAxis: spec.sideways ? "y" : "x",
      animation: false, responsive: true, maintainAspectRatio: false, parsing: category ? undefined : true,
      interaction: { mode: category ? "index" : "nearest", intersect: false, axis: spec.sideways ? "y" : "x" },
      scales: spec.sideways
        ? { x: scale(spec.y, false), y: { ...scale(spec.x, true), ticks: { color: colour("ink"), autoSkip: false } } }
        : { x: scale(spec.x, false), y: scale(spec.y, true) },
      plugins: {
        legend: {
          display: spec.series.length > 1, position: "bottom",
          labels: { color: colour("ink"), boxWidth: 12, filter: (item, data) => !data.datasets[item.datasetIndex].edge },
        },
        tooltip: {
          callbacks: {
            title: (items) => (items.length ? (category ? items[0].label : figure(items[0].parsed.x, spec.x)) : ""),
            label: (item) => `${item.dataset.label}: ${figure(spec.sideways ? item.parsed.x : item.parsed.y, spec.y)}`,
          },
        },
      },
    },
  }));
}

function drawAll(root) {
  for (const [element, chart] of drawn) if (!element.isConnected) { chart.destroy(); drawn.delete(element); }
  for (const element of root.querySelectorAll("figure.chart")) if (!drawn.has(element)) draw(element);
}

function redraw() {
  for (const [element, chart] of [...drawn]) { chart.destroy(); drawn.delete(element); draw(element); }
}

document.addEventListener("leadgate:shown", (event) => drawAll(event.detail));
document.addEventListener("leadgate:theme", redraw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
