// The book's own script, on every page: draws the charts that the page carries as data, with the
// site's one copy of plotly.js, in the colors of the chosen theme; and mends two habits of the
// theme that a keyboard or a screen reader would trip over.

const HERE = document.currentScript.src;
const PLOTLY = new URL("../assets/plotly.min.js", HERE).href;

function colors() {
  const style = getComputedStyle(document.documentElement);
  const read = (name) => style.getPropertyValue(name).trim();
  return { ink: read("--lab-ink"), grid: read("--lab-grid"), paper: read("--pst-color-background") };
}

// The parts of a layout that follow the theme. Axes are found by name: xaxis, yaxis2, ...
function themed(layout) {
  const { ink, grid, paper } = colors();
  const changes = {
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    "font.color": ink,
    "legend.bgcolor": "rgba(0,0,0,0)",
    "modebar.bgcolor": "rgba(0,0,0,0)",
    "modebar.color": ink,
    "modebar.activecolor": ink,
    "hoverlabel.bgcolor": paper,
    "hoverlabel.font.color": ink,
  };
  const axes = Object.keys(layout).filter((name) => /^[xy]axis\d*$/.test(name));
  for (const axis of new Set([...axes, "xaxis", "yaxis"])) {
    changes[`${axis}.gridcolor`] = grid;
    changes[`${axis}.zerolinecolor`] = grid;
    changes[`${axis}.linecolor`] = grid;
  }
  return changes;
}

function narrow(layout) {
  // On a phone the legend goes below the plot and the margins shrink, and a finger scrolls the page.
  if (window.innerWidth >= 600) return {};
  return { dragmode: false, legend: { ...layout.legend, orientation: "h", x: 0, y: -0.25, yanchor: "top" },
           margin: { l: 48, r: 12, t: 64, b: 48 } };
}

async function loadPlotly() {
  if (window.Plotly) return window.Plotly;
  await new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = PLOTLY;
    script.onload = resolve;
    script.onerror = () => reject(new Error(`cannot load ${PLOTLY}`));
    document.head.append(script);
  });
  return window.Plotly;
}

async function drawCharts() {
  const boxes = [...document.querySelectorAll(".lab-chart")];
  if (!boxes.length) return;
  const Plotly = await loadPlotly();
  for (const box of boxes) {
    const { data, layout } = JSON.parse(box.querySelector("script").textContent);
    const plot = document.createElement("div");
    plot.style.height = "100%";
    box.append(plot);
    const look = { ...layout, ...narrow(layout), autosize: true, width: undefined };
    await Plotly.newPlot(plot, data, look, {
      responsive: true,
      displaylogo: false,
      modeBarButtons: [["toImage", "resetScale2d"]],
    });
    await Plotly.relayout(plot, themed(layout));
    box.dataset.drawn = "yes";
  }
  new MutationObserver(() => {
    for (const box of boxes) {
      const plot = box.querySelector(".js-plotly-plot");
      Plotly.relayout(plot, themed(plot.layout));
    }
  }).observe(document.documentElement, { attributeFilter: ["data-theme"] });
}

function scrollableByKeyboard() {
  // What scrolls sideways must be reachable without a mouse.
  for (const box of document.querySelectorAll(".bd-article pre, .bd-article table")) {
    if (box.scrollWidth > box.clientWidth + 1) box.tabIndex = 0;
  }
}

document.addEventListener("DOMContentLoaded", () => {
  scrollableByKeyboard();
  drawCharts();
});
