// One Redis node, as INFO tells it: who is connected, what it keeps, what memory it takes, how fast
// it answers. The left part is the node now; the right part is how it came to be so, up to the
// moment that the player shows. What is still to come is not drawn: the reader is asked to guess.
//
// meta: {node, port}. state: {up, paused, cut, clients, blocked, keys, used, rss, peak, limit, ops,
// commands}; memory in bytes, `limit` is maxmemory (0: none), `ops` commands a second.

const DOTS_MAX = 14;

export default function create({ svg, html, format, ticks }) {
  function status(state) {
    if (!state.up) return ["down", "var(--rl-red)"];
    if (state.paused) return ["paused", "var(--rl-amber)"];
    if (state.cut) return ["cut off", "var(--rl-amber)"];
    return ["up", "var(--rl-teal)"];
  }

  // ---- the node now ----

  function clients(state, x, width) {
    const alive = state.up && !state.cut;
    const many = Math.min(state.clients, DOTS_MAX);
    const gap = Math.min(18, (width - 20) / DOTS_MAX);
    const start = x + width / 2 - ((many - 1) * gap) / 2;
    const parts = [];
    for (let at = 0; at < many; at += 1) {
      const cx = start + at * gap;
      parts.push(
        svg("path", {
          d: `M${cx},34 L${x + width / 2 + (cx - x - width / 2) * 0.55},62`,
          style: `stroke: var(--rl-${alive ? "blue" : "line"}); stroke-width: 1.5`,
          "stroke-dasharray": state.paused || !alive ? "2 3" : null,
        }),
        svg("circle", { cx, cy: 28, r: 5, style: `fill: var(--rl-${alive ? "blue" : "muted"})` }),
      );
    }
    const more = state.clients > DOTS_MAX ? `, ${DOTS_MAX} drawn` : "";
    parts.push(svg("text", { x: x + width / 2, y: 14, "text-anchor": "middle" },
      `${state.clients} client${state.clients === 1 ? "" : "s"} connected${more}`));
    return parts;
  }

  function node(state, meta, x, width) {
    const [word, color] = status(state);
    const faded = state.up ? 1 : 0.55;
    return [
      svg("rect", {
        x: x + 0.5, y: 62, width: width - 1, height: 86, rx: 8,
        style: `fill: var(--rl-panel); stroke: ${color}; stroke-width: 1.5`,
        "stroke-dasharray": state.up ? null : "5 4",
      }),
      svg("circle", { cx: x + 18, cy: 82, r: 5, style: `fill: ${color}` }),
      svg("text", { x: x + 30, y: 86, style: "font-weight: 600" }, meta.node ?? "redis"),
      svg("text", { x: x + width - 14, y: 86, "text-anchor": "end", style: `fill: ${color}` }, word),
      svg("text", { x: x + 16, y: 122, class: "rl-big", opacity: faded }, format.count(state.keys)),
      svg("text", { x: x + 16, y: 139, class: "rl-small rl-inside" }, state.keys === 1 ? "key" : "keys"),
      svg("text", { x: x + width / 2 + 8, y: 122, class: "rl-big", opacity: faded }, format.count(state.ops)),
      svg("text", { x: x + width / 2 + 8, y: 139, class: "rl-small rl-inside" }, "commands a second"),
    ];
  }

  // Three bars on one scale, so that they can be compared: what the keys take, the most they ever
  // took, and what the operating system has handed out.
  function memory(state, top, x, y, width) {
    const bars = [
      ["used", state.used, "var(--rl-blue)"],
      ["peak", state.peak, "var(--rl-amber)"],
      ["rss", state.rss, "var(--rl-muted)"],
    ];
    const room = width - 40 - 66;
    const scale = (value) => (top ? (value / top) * room : 0);
    const parts = [svg("text", { x, y, class: "rl-small" }, "memory")];
    bars.forEach(([name, value, color], at) => {
      const line = y + 8 + at * 20;
      parts.push(
        svg("text", { x, y: line + 11 }, name),
        svg("rect", { x: x + 40, y: line + 2, width: room, height: 10, rx: 2, style: "fill: var(--rl-panel)" }),
        svg("rect", { class: "rl-ease", x: x + 40, y: line + 2, width: Math.max(scale(value), 1), height: 10, rx: 2, style: `fill: ${color}` }),
        svg("text", { x: x + width, y: line + 11, "text-anchor": "end" }, format.bytes(value)),
      );
    });
    if (state.limit) {
      const at = x + 40 + Math.min(scale(state.limit), room);
      const anchor = scale(state.limit) < 90 ? "start" : "end";
      parts.push(svg("path", { d: `M${at},${y + 6}v62`, style: "stroke: var(--rl-red); stroke-width: 1.5" }),
        svg("text", { x: at, y: y + 80, "text-anchor": anchor, class: "rl-small" }, `maxmemory ${format.bytes(state.limit)}`));
    }
    return parts;
  }

  // ---- how it came to be so ----

  // INFO is asked now and then, so a value holds until the next answer: steps, not slopes. Where
  // nobody answered there is no value and no line. A rate is that of the time before the answer.
  function steps(past, name, px, py) {
    const rate = name === "ops";
    let d = "";
    let drawing = false;
    for (const { time, state } of past) {
      const x = px(time).toFixed(1);
      const y = py(state[name]).toFixed(1);
      if (drawing && state.up) d += rate ? `V${y}H${x}` : `H${x}V${y}`;
      else if (drawing) d += `H${x}`;
      else if (state.up) d += `M${x},${y}`;
      drawing = state.up;
    }
    return d;
  }

  function chart({ frames, upto, events, box, lines, label, show, base }) {
    const { x, y, width, height } = box;
    const zero = frames[0].time;
    const span = frames.at(-1).time - zero || 1;
    const top = Math.max(...frames.map(({ state }) => Math.max(...lines.map(([name]) => state[name]))), 1);
    const [left, right] = [x + 52, x + width - 40];
    const px = (time) => left + ((time - zero) / span) * (right - left);
    const py = (value) => y + height - (value / (top * 1.05)) * height;
    const parts = [svg("text", { x: left, y: y - 7, class: "rl-small" }, label)];
    for (const value of ticks(top, 3, base)) {
      parts.push(
        svg("path", { class: "rl-axis", d: `M${left},${py(value)}H${right}`, opacity: value ? 0.6 : 1 }),
        svg("text", { x: left - 6, y: py(value) + 4, "text-anchor": "end", class: "rl-small" }, show(value)),
      );
    }
    const past = frames.slice(0, upto + 1);
    const { time: now, state } = past.at(-1);
    for (const event of events) {
      if (event.time > now || event.time < zero) continue;
      parts.push(svg("path", {
        d: `M${px(event.time)},${y - 2}V${y + height}`, "stroke-dasharray": "2 3",
        style: "stroke: var(--rl-red); stroke-width: 1",
      }, svg("title", {}, event.kind)));
    }
    let labelsAbove = Infinity;
    const ends = lines
      .map(([name, word, color]) => ({ name, word, color, y: py(state[name]) }))
      .sort((a, b) => b.y - a.y);
    for (const { name, word, color, y: end } of ends) {
      parts.push(svg("path", { class: "rl-curve", style: `stroke: ${color}`, d: steps(past, name, px, py) }));
      if (!state.up) continue;
      parts.push(svg("circle", { cx: px(now), cy: end, r: 3, style: `fill: ${color}` }));
      // Labels stand at the curves' ends, pushed apart where the ends lie close together.
      labelsAbove = Math.min(end + 4, labelsAbove - 13);
      if (word) parts.push(svg("text", { x: px(now) + 7, y: labelsAbove, class: "rl-small", style: `fill: ${color}` }, word));
    }
    return parts;
  }

  return {
    player: true,
    events: true,
    mount(stage, recording) {
      let width = 640;
      const picture = svg("svg", { role: "img" });
      stage.append(picture);
      let { frames, meta, events } = recording;

      function draw({ state }, index) {
        const wide = width >= 560;
        const leftWidth = wide ? Math.min(270, width * 0.4) : width;
        const chartBox = (at) => ({
          x: wide ? leftWidth + 20 : -8,
          width: wide ? width - leftWidth - 20 : width + 8,
          y: (wide ? 22 : 284) + at * 84,
          height: 52,
        });
        const height = wide ? 256 : 284 + 3 * 84 - 20;
        const top = Math.max(...frames.map((one) => Math.max(one.state.used, one.state.rss, one.state.peak, one.state.limit)));
        const charts = [
          { lines: [["keys", "", "var(--rl-teal)"]], label: "keys", show: format.count },
          {
            lines: [["used", "used", "var(--rl-blue)"], ["peak", "peak", "var(--rl-amber)"]],
            label: "memory", show: format.bytes, base: 2,
          },
          { lines: [["ops", "", "var(--rl-blue)"]], label: "commands a second", show: format.count },
        ];
        picture.setAttribute("viewBox", `0 0 ${width} ${height}`);
        picture.setAttribute("width", width);
        picture.setAttribute("height", height);
        const [word] = status(state);
        picture.setAttribute("aria-label",
          `${meta.node ?? "redis"} is ${word}: ${state.clients} clients, ${state.keys.toLocaleString("en-US")} keys, `
          + `${format.bytes(state.used)} used, ${format.bytes(state.peak)} at the peak, `
          + `${format.count(state.ops)} commands a second`);
        picture.replaceChildren(
          ...clients(state, 0, leftWidth),
          ...node(state, meta, 0, leftWidth),
          ...memory(state, top, 0, 172, leftWidth),
          ...charts.flatMap((one, at) => chart({ ...one, frames, events, upto: index, box: chartBox(at) })),
        );
      }

      const empty = html("p", { class: "rl-quiet" }, "Nothing recorded yet.");
      if (!frames.length) stage.append(empty);
      return {
        show(frame, index) {
          empty.remove();
          draw(frame, index);
        },
        resize(now) { width = Math.max(now, 280); },
        update(grown) { ({ frames, meta, events } = grown); },
      };
    },
  };
}
