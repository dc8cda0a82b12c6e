// Benchmark runs as they happen: throughput over time, latency percentiles over time, the histogram
// of all latencies so far, and the runs side by side.
//
// meta: {runs: [{label}], buckets_a_decade}. state: {run, elapsed, rps, requests, errors, mean, p50, p95,
// p99, max, histogram: [[bucket, count]], total: {rps, p50, p95, p99, max}}. Latencies in ms; a
// bucket b holds latencies from 10^(b/n) us on, n buckets a decade; `total` is the run so far.

const COLORS = ["blue", "teal", "amber", "violet"];
const PERCENTILES = [["p50", "blue"], ["p95", "amber"], ["p99", "violet"]];

export default function create({ svg, html, format, ticks, path }) {
  const color = (run) => `var(--rl-${COLORS[run % COLORS.length]})`;
  const ms = (value) => format.seconds(value / 1000);

  // The frames of each run up to (and with) frame `upto`.
  function byRun(frames, upto) {
    const runs = new Map();
    for (const { state } of frames.slice(0, upto + 1)) {
      if (!runs.has(state.run)) runs.set(state.run, []);
      runs.get(state.run).push(state);
    }
    return runs;
  }

  const heading = (box, text) => svg("text", { x: box.x, y: box.y - 8, class: "rl-small" }, text);

  function axes(box, px, py, xs, ys, xText, yText) {
    return [
      ...ys.map((value) => svg("path", { class: "rl-axis", d: `M${box.x},${py(value)}h${box.width}`, opacity: 0.6 })),
      ...ys.map((value) => svg("text", { x: box.x - 6, y: py(value) + 4, "text-anchor": "end", class: "rl-small" }, yText(value))),
      ...xs.map((value) => svg("text", { x: px(value), y: box.y + box.height + 15, "text-anchor": "middle", class: "rl-small" }, xText(value))),
      svg("path", { class: "rl-axis", d: `M${box.x},${box.y + box.height}h${box.width}` }),
    ];
  }

  // All runs from their own beginning, so that they can be compared.
  function throughput(box, runs, all, current) {
    const longest = Math.max(...all.map((state) => state.elapsed), 0.1);
    const top = Math.max(...all.map((state) => state.rps), 1) * 1.08;
    const px = (elapsed) => box.x + (elapsed / longest) * box.width;
    const py = (rps) => box.y + box.height - (rps / top) * box.height;
    const parts = [heading(box, "requests a second"),
      ...axes(box, px, py, ticks(longest, 5), ticks(top, 4), (s) => `${Number(s.toFixed(2))} s`, format.count)];
    // Labels stand above the curves' ends; one that would lie on another goes above that one.
    let above = Infinity;
    const byHeight = [...runs].sort(([, a], [, b]) => a.at(-1).rps - b.at(-1).rps);
    for (const [run, states] of byHeight) {
      const last = states.at(-1);
      above = Math.min(py(last.rps) - 7, above - 13);
      parts.push(
        svg("path", {
          class: "rl-curve", style: `stroke: ${color(run)}`, opacity: run === current ? 1 : 0.55,
          d: path([[px(0), py(states[0].rps)], ...states.map((state) => [px(state.elapsed), py(state.rps)])]),
        }),
        svg("circle", { cx: px(last.elapsed), cy: py(last.rps), r: 3, style: `fill: ${color(run)}` }),
        svg("text", { x: px(last.elapsed) - 6, y: above, "text-anchor": "end", class: "rl-small", style: `fill: ${color(run)}` }, `run ${run + 1}`),
      );
    }
    return parts;
  }

  const decades = (low, high) => {
    const values = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power += 1) values.push(10 ** power);
    return values;
  };

  // Latencies differ by powers of ten, so their axis counts powers of ten.
  function percentiles(box, states, all) {
    const seen = all.flatMap((state) => [state.p50, state.p99]).filter((value) => value > 0);
    const marks = decades(Math.min(...seen, 1), Math.max(...seen, 1));
    const [low, high] = [Math.log10(marks[0]), Math.log10(marks.at(-1)) || 1];
    const longest = Math.max(...all.map((state) => state.elapsed), 0.1);
    const px = (elapsed) => box.x + (elapsed / longest) * box.width;
    const py = (value) => box.y + box.height - ((Math.log10(Math.max(value, marks[0])) - low) / (high - low || 1)) * box.height;
    const parts = [heading(box, "latency in each window"),
      ...axes(box, px, py, ticks(longest, 4), marks, (s) => `${Number(s.toFixed(2))} s`, ms)];
    let above = Infinity;
    for (const [name, hue] of PERCENTILES) {
      const stroke = `var(--rl-${hue})`;
      const end = py(states.at(-1)[name]);
      above = Math.min(end + 4, above - 13);
      parts.push(
        svg("path", { class: "rl-curve", style: `stroke: ${stroke}`, d: path(states.map((state) => [px(state.elapsed), py(state[name])])) }),
        svg("circle", { cx: px(states.at(-1).elapsed), cy: end, r: 3, style: `fill: ${stroke}` }),
        svg("text", { x: px(states.at(-1).elapsed) + 7, y: above, class: "rl-small", style: `fill: ${stroke}` }, name),
      );
    }
    return parts;
  }

  function histogram(box, state, all, perDecade, run) {
    const used = all.flatMap((one) => [one.histogram[0]?.[0], one.histogram.at(-1)?.[0]]).filter((at) => at !== undefined);
    const first = Math.floor(Math.min(...used, 20) / perDecade) * perDecade;
    const last = Math.ceil((Math.max(...used, 30) + 1) / perDecade) * perDecade;
    const slot = box.width / (last - first);
    const top = Math.max(...state.histogram.map(([, count]) => count), 1);
    const px = (bucket) => box.x + (bucket - first) * slot;
    const marks = [];
    for (let bucket = first; bucket <= last; bucket += perDecade) marks.push(bucket);
    const parts = [heading(box, "all latencies of this run so far"),
      ...axes(box, px, () => 0, marks, [], (bucket) => ms(10 ** (bucket / perDecade) / 1000))];
    for (const [bucket, count] of state.histogram) {
      const height = Math.max((count / top) * box.height, 1);
      parts.push(svg("rect", {
        x: px(bucket) + 0.5, y: box.y + box.height - height, width: Math.max(slot - 1, 1), height, style: `fill: ${color(run)}`,
      }, svg("title", {}, `${count.toLocaleString("en-US")} requests from ${ms(10 ** (bucket / perDecade) / 1000)}`)));
    }
    for (const [name, anchor, shift] of [["p50", "end", -4], ["p99", "start", 4]]) {
      const x = px(Math.log10(Math.max(state.total[name] * 1000, 1)) * perDecade);
      parts.push(
        svg("path", { d: `M${x},${box.y + 6}V${box.y + box.height}`, "stroke-dasharray": "3 3", style: "stroke: var(--rl-ink)" }),
        svg("text", { x: x + shift, y: box.y + 12, "text-anchor": anchor, class: "rl-small" }, `${name} ${ms(state.total[name])}`),
      );
    }
    return parts;
  }

  function table(runs, meta, current) {
    const head = ["run", "", "requests/s", "p50", "p95", "p99", "max", "errors"];
    const rows = [...runs].map(([run, states]) => {
      const { total, errors } = states.at(-1);
      const cells = [total.rps, total.p50, total.p95, total.p99, total.max];
      const texts = cells.map((value, at) => (at ? ms(value) : Math.round(value).toLocaleString("en-US")));
      return html(
        "tr", { style: run === current ? "font-weight: 600" : null },
        html("td", { style: `color: ${color(run)}` }, String(run + 1)),
        html("td", {}, meta.runs[run]?.label ?? ""),
        [...texts, String(errors)].map((text) => html("td", { class: "rl-number" }, text)),
      );
    });
    return html("table", {},
      html("thead", {}, html("tr", {}, head.map((text, at) => html("th", { class: at > 1 ? "rl-number" : null, scope: "col" }, text)))),
      html("tbody", {}, rows));
  }

  return {
    player: true,
    events: false,
    mount(stage, recording) {
      let width = 640;
      let { frames, meta } = recording;
      const picture = svg("svg", { role: "img" });
      const side = html("div", { class: "rl-scroll", tabindex: "0", role: "region", "aria-label": "Runs side by side" });
      const empty = html("p", { class: "rl-quiet" }, "No run yet.");
      stage.append(picture, side);
      if (!frames.length) stage.append(empty);

      function draw({ state }, index) {
        const wide = width >= 560;
        const runs = byRun(frames, index);
        const all = frames.map((frame) => frame.state);
        const states = runs.get(state.run);
        const half = wide ? (width - 150) / 2 : width - 92;
        const boxes = {
          throughput: { x: 52, y: 22, width: width - 92, height: 130 },
          percentiles: { x: 52, y: 204, width: half, height: 110 },
          histogram: wide
            ? { x: 52 + half + 70, y: 204, width: half, height: 110 }
            : { x: 52, y: 366, width: half, height: 110 },
        };
        const height = (wide ? 340 : 502);
        picture.setAttribute("viewBox", `0 0 ${width} ${height}`);
        picture.setAttribute("width", width);
        picture.setAttribute("height", height);
        picture.setAttribute("aria-label", `Run ${state.run + 1}, ${format.seconds(state.elapsed)} in: `
          + `${format.count(state.total.rps)} requests a second, median ${ms(state.total.p50)}, `
          + `99th percentile ${ms(state.total.p99)}, ${state.errors} errors`);
        picture.replaceChildren(
          ...throughput(boxes.throughput, runs, all, state.run),
          ...percentiles(boxes.percentiles, states, all),
          ...histogram(boxes.histogram, state, all, meta.buckets_a_decade, state.run),
        );
        side.replaceChildren(table(runs, meta, state.run));
      }
      return {
        show(frame, index) {
          empty.remove();
          draw(frame, index);
        },
        resize(now) { width = Math.max(now, 280); },
        update(grown) { ({ frames, meta } = grown); },
      };
    },
  };
}
