// The book's own script, on every page: draws the charts that the page carries as data, with the
// site's one copy of plotly.js, in the colors of the chosen theme; keeps the outcome of an
// experiment covered until the reader has committed to a prediction; and lets a keyboard reach what
// scrolls sideways.

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

// On a phone: the title breaks into lines, the legend goes below the plot with a line for each curve,
// the margins shrink, and a finger scrolls the page. The box grows by what the legend takes.
const LETTERS_A_LINE = 34;
const LEGEND_LINE = 21; // px

function broken(text) {
  const lines = [""];
  for (const word of text.split(" ")) {
    if (lines.at(-1) && lines.at(-1).length + word.length >= LETTERS_A_LINE) lines.push("");
    lines[lines.length - 1] += (lines.at(-1) ? " " : "") + word;
  }
  return lines;
}

function narrow(layout, data, box) {
  if (window.innerWidth >= 600) return {};
  const named = data.filter((trace) => trace.name && trace.showlegend !== false);
  const legend = named.length > 1 ? named.length * LEGEND_LINE : 0;
  const title = broken(layout.title?.text ?? "");
  // Bars have words on their axis; plotly's own margin for them and a legend below cannot be had both.
  const words = layout.yaxis?.automargin ? layout.yaxis.ticktext ?? data.flatMap((trace) => trace.y) : [];
  const longest = Math.max(...words.flatMap((word) => String(word).split("<br>")).map((line) => line.length), 0);
  box.style.height = `${parseInt(box.style.height, 10) + legend}px`;
  return {
    dragmode: false,
    title: { ...layout.title, text: title.join("<br>"), font: { size: 14 }, x: 0, xref: "container" },
    legend: { orientation: "h", entrywidth: 1, entrywidthmode: "fraction", x: 0, xref: "container",
              xanchor: "left", y: 0, yref: "container", yanchor: "bottom" },
    yaxis: { ...layout.yaxis, automargin: false },
    margin: { l: words.length ? 12 + 7 * longest : 62, r: layout.yaxis2 ? 54 : 12,
              t: 24 + 20 * title.length, b: 52 + legend },
  };
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
    const look = { ...layout, ...narrow(layout, data, box), autosize: true, width: undefined };
    await Plotly.newPlot(plot, data, look, {
      responsive: true,
      displaylogo: false,
      displayModeBar: window.innerWidth >= 600, // on a phone the buttons would lie on the title
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

// ---- predictions -----------------------------------------------------------------------------

// The build tags the cell that asks, and the cells whose outputs would give the answer away. They
// are covered from here, so that a page whose scripts do not run hides nothing.
function coverOutcomes() {
  let coverUntilAnswered = () => {};
  for (const cell of document.querySelectorAll(".cell.tag_asks, .cell.tag_waits")) {
    if (cell.classList.contains("tag_asks")) coverUntilAnswered = coversFor(cell);
    else cell.querySelectorAll(":scope > .cell_output").forEach(coverUntilAnswered);
  }
}

// Returns what covers an output until the question of this cell is answered, or given up.
function coversFor(asking) {
  const covered = [];
  const uncover = () => {
    for (const output of covered.splice(0)) {
      output.classList.remove("lab-waits");
      output.querySelector(".lab-cover").remove();
    }
  };
  const heard = ({ detail }) => {
    if (detail === asking.querySelector(".rl-question")?.textContent) uncover();
  };
  document.addEventListener("redislab:answer", heard);
  document.addEventListener("redislab:shown", heard);
  return (output) => {
    const cover = document.createElement("div");
    cover.className = "lab-cover";
    cover.innerHTML = "<p>Covered until you have committed to a prediction above.</p>"
      + "<button type='button'>Uncover</button>";
    cover.querySelector("button").addEventListener("click", () => {
      uncover();
      output.tabIndex = -1; // the button is gone: a keyboard goes on from here
      output.focus();
    });
    output.classList.add("lab-waits");
    output.append(cover);
    covered.push(output);
  };
}

function scrollableByKeyboard() {
  // What scrolls sideways must be reachable without a mouse.
  for (const box of document.querySelectorAll(".bd-article pre, .bd-article table")) {
    if (box.scrollWidth > box.clientWidth + 1) box.tabIndex = 0;
  }
}

document.addEventListener("DOMContentLoaded", () => {
  coverOutcomes();
  scrollableByKeyboard();
  drawCharts();
});
