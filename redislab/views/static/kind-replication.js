// A master and its replicas: who follows whom, where each stands in the stream, and what the network
// and the operating system do to them. Above the nodes as they are at this moment; below how far
// behind each replica was, up to this moment.
//
// state: {master, nodes: [{name, state, role, offset, keys, follows, link, syncing, behind, lag}],
// cuts: [[from, to]], delays: [[a, b, seconds]]}. Offsets and `behind` are bytes of the stream.

const BOX = { height: 66, gap: 24, rows: 86, width: 190 };
const LIST = { height: 86, gap: 10, indent: 18 };

export default function create({ svg, html, format, ticks }) {
  const exact = (value) => Math.round(value).toLocaleString("en-US");
  const color = (name) => `var(--rl-${name})`;

  function stateOf(node) {
    if (node.state === "running") return [node.role || "starting", "teal"];
    if (node.state === "paused") return ["paused", "amber"];
    return [node.state === "silent" ? "no answer" : node.state, "red"];
  }

  // What lies between a replica and its master: a word for it, a color, and how it is drawn.
  function linkOf(node, state) {
    const joins = ([a, b]) => [a, b].includes(node.name) && [a, b].includes(node.follows);
    const cuts = state.cuts.filter(joins);
    const delay = state.delays.find(joins);
    const slow = delay && delay[2] > 0 ? ` · +${format.seconds(delay[2])}` : "";
    if (cuts.length) {
      const way = cuts.length > 1 ? "cut" : `cut ${cuts[0][0] === node.name ? "upward" : "downward"}`;
      return { word: node.link === "up" ? `${way}, not noticed yet` : way, color: "red", cut: true };
    }
    if (node.state !== "running") return { word: "", color: "muted", dash: "2 4" };
    if (node.syncing) return { word: "full resynchronization", color: "blue", width: 5 };
    if (node.link === "up") return { word: `up${slow}`, color: "teal" };
    return { word: `down${slow}`, color: "amber", dash: "5 4" };
  }

  // A process that is gone is neither behind nor in step.
  const behind = (node) => (["killed", "crashed", "stopped"].includes(node.state) ? ""
    : node.behind === null ? "behind: unknown" : node.behind === 0 ? "in step" : `${exact(node.behind)} bytes behind`);

  function lagOf(node) {
    return node.lag === null ? "" : `heard of ${node.lag} s ago`;
  }

  function words(state) {
    return state.nodes.map((node) => {
      const how = stateOf(node)[0];
      if (!node.follows) return `${node.name}: ${how}, offset ${exact(node.offset)}, ${exact(node.keys)} keys`;
      const { word } = linkOf(node, state);
      return [`${node.name}: ${how}`, `follows ${node.follows}`, word && `link ${word}`, behind(node), lagOf(node)]
        .filter(Boolean).join(", ");
    }).join(". ");
  }

  // ---- where the nodes stand ----

  function depthOf(node, byName, seen = new Set()) {
    const master = byName.get(node.follows);
    if (!master || seen.has(node.name)) return 0;
    return 1 + depthOf(master, byName, seen.add(node.name));
  }

  // Wide: rows by depth, the master on top. Narrow, or with many replicas: a list, indented by depth.
  function layout(nodes, width) {
    const byName = new Map(nodes.map((node) => [node.name, node]));
    const rows = [];
    for (const node of nodes) (rows[depthOf(node, byName)] ??= []).push(node);
    const most = Math.max(...rows.map((row) => row.length));
    const boxWidth = Math.min(BOX.width, (width - (most - 1) * BOX.gap) / most);
    const places = new Map();
    if (boxWidth >= 150 && width >= 480) {
      rows.forEach((row, at) => {
        const left = (width - row.length * boxWidth - (row.length - 1) * BOX.gap) / 2;
        row.forEach((node, place) => places.set(node.name, {
          x: left + place * (boxWidth + BOX.gap), y: at * (BOX.height + BOX.rows), width: boxWidth, height: BOX.height,
        }));
      });
      return { places, height: rows.length * (BOX.height + BOX.rows) - BOX.rows, listed: false };
    }
    let y = 0;
    const put = (node, depth) => {
      const height = node.follows ? LIST.height : BOX.height;
      places.set(node.name, { x: depth * LIST.indent, y, width: width - depth * LIST.indent, height });
      y += height + LIST.gap;
      for (const one of nodes) if (one.follows === node.name && !places.has(one.name)) put(one, depth + 1);
    };
    for (const node of nodes) if (!places.has(node.name) && !byName.has(node.follows)) put(node, 0);
    for (const node of nodes) if (!places.has(node.name)) put(node, 0); // they follow each other in a ring
    return { places, height: y - LIST.gap, listed: true };
  }

  // ---- the parts of the picture ----

  function box(node, place, state, pick, listed) {
    const [word, tone] = stateOf(node);
    const alive = node.state === "running";
    const { x, y, width, height } = place;
    const link = node.follows ? linkOf(node, state) : null;
    const told = listed && link
      ? svg("text", { x: x + 12, y: y + 75, style: `fill: ${color(link.color)}` },
        [behind(node), link.word].filter(Boolean).join(" · "))
      : null;
    return svg(
      "g", { class: pick ? "rl-pick" : null, onclick: pick ? () => pick(node.name) : null },
      svg("rect", {
        x: x + 0.5, y: y + 0.5, width: width - 1, height: height - 1, rx: 8,
        style: `fill: var(--rl-panel); stroke: ${color(tone)}; stroke-width: ${node.role === "master" ? 2.5 : 1.5}`,
        "stroke-dasharray": alive ? null : "5 4",
      }),
      svg("circle", { cx: x + 14, cy: y + 18, r: 4.5, style: `fill: ${color(tone)}` }),
      svg("text", { x: x + 24, y: y + 22, style: "font-weight: 600" }, node.name),
      svg("text", { x: x + width - 10, y: y + 22, "text-anchor": "end", style: `fill: ${color(tone)}` }, word),
      svg("text", { x: x + 12, y: y + 41, opacity: alive ? 1 : 0.6 }, `offset ${exact(node.offset)}`),
      svg("text", { x: x + 12, y: y + 57, class: "rl-small rl-inside", opacity: alive ? 1 : 0.6 },
        `${exact(node.keys)} key${node.keys === 1 ? "" : "s"}`),
      told,
    );
  }

  function line(node, state, from, to, pick, listed) {
    const link = linkOf(node, state);
    const stroke = {
      style: `stroke: ${color(link.color)}; stroke-width: ${link.width ?? 2}; fill: none`,
      "stroke-dasharray": link.dash ?? (link.cut ? "4 5" : null),
    };
    const wide = { style: "stroke: transparent; stroke-width: 18; fill: none" }; // what a finger can hit
    const parts = [];
    let d;
    let middle;
    if (listed) {
      d = `M${from.x + 8},${from.y + from.height}V${to.y + 22}H${to.x}`;
      middle = [from.x + 8, to.y + 10];
    } else {
      // It ends above the words that stand on the replica's box.
      const [x1, y1, x2, y2] = [from.x + from.width / 2, from.y + from.height, to.x + to.width / 2, to.y - 38];
      d = `M${x1},${y1}L${x2},${y2}`;
      middle = [(x1 + x2) / 2, (y1 + y2) / 2];
    }
    parts.push(svg("path", { d, ...stroke }));
    if (link.cut) {
      const [x, y] = middle;
      parts.push(
        svg("circle", { cx: x, cy: y, r: 8, style: "fill: var(--rl-surface)" }),
        svg("path", { d: `M${x - 5},${y - 5}l10,10M${x + 5},${y - 5}l-10,10`, style: "stroke: var(--rl-red); stroke-width: 2.5" }),
      );
    }
    if (!listed) {
      const x = to.x + to.width / 2;
      const label = (text, at, extra) => text && parts.push(svg("text", {
        x, y: to.y - at, "text-anchor": "middle", class: "rl-halo", ...extra,
      }, text));
      label(behind(node), 24, { style: "font-weight: 600" });
      label([link.word, lagOf(node)].filter(Boolean).join(" · "), 9, { style: `fill: ${color(link.color)}; font-size: 11px` });
    }
    if (pick) parts.push(svg("path", { d, ...wide }));
    return svg("g", { class: pick ? "rl-pick" : null, onclick: pick ? () => pick(`${node.follows} - ${node.name}`) : null }, ...parts);
  }

  // How far behind a replica was, one strip for each, all on one scale.
  function strip(name, y, width, { frames, upto, events, top, span, zero }) {
    const [left, right, height] = [8, width - 76, 34];
    const px = (time) => left + ((time - zero) / span) * (right - left);
    const py = (value) => y + height - (value / top) * height;
    const past = frames.slice(0, upto + 1);
    const now = past.at(-1);
    let d = "";
    let drawing = false;
    for (const { time, state } of past) {
      const value = state.nodes.find((node) => node.name === name)?.behind ?? null;
      if (drawing) d += `H${px(time).toFixed(1)}`;
      if (value !== null) d += `${drawing ? "V" : `M${px(time).toFixed(1)},`}${py(value).toFixed(1)}`;
      drawing = value !== null;
    }
    const last = now.state.nodes.find((node) => node.name === name)?.behind ?? null;
    return [
      svg("text", { x: left, y: y - 5, class: "rl-small" }, `${name}: bytes behind`),
      svg("path", { class: "rl-axis", d: `M${left},${y + height}H${right}` }),
      svg("path", { class: "rl-axis", d: `M${left},${y}H${right}`, opacity: 0.5 }),
      svg("text", { x: right + 6, y: y + 4, class: "rl-small" }, format.bytes(top)),
      svg("text", { x: right + 6, y: y + height + 4, class: "rl-small" }, "0"),
      ...events.filter((event) => event.time <= now.time && event.time >= zero).map((event) => svg("path", {
        d: `M${px(event.time)},${y - 2}V${y + height}`, "stroke-dasharray": "2 3", style: "stroke: var(--rl-red); stroke-width: 1",
      }, svg("title", {}, `${event.kind} ${event.detail}`))),
      svg("path", { class: "rl-curve", d, style: "stroke: var(--rl-blue)" }),
      last === null ? null : svg("circle", { cx: px(now.time), cy: py(last), r: 3, style: "fill: var(--rl-blue)" }),
    ].filter(Boolean);
  }

  // The time under the strips: where they begin and where they end.
  function clock(y, width, { zero, span }) {
    const at = (x, anchor, time) => svg("text", { x, y, "text-anchor": anchor, class: "rl-small" }, format.seconds(time));
    return [at(8, "start", zero), at(width - 76, "end", zero + span)];
  }

  return {
    player: true,
    events: true,
    mount(stage, recording, context) {
      let width = 640;
      let { frames, events } = recording;
      const picture = svg("svg", { role: "img" });
      const empty = html("p", { class: "rl-quiet" }, "Nothing recorded yet.");
      stage.append(frames.length ? picture : empty);
      const pick = context.live && context.send ? (target) => context.send({ type: "pick", target }) : null;

      function draw({ state }, index) {
        const nodes = state.nodes;
        const { places, height, listed } = layout(nodes, width);
        const links = nodes.filter((node) => places.has(node.follows));
        const replicas = [...new Set(frames.flatMap((one) => one.state.nodes.filter((n) => n.follows).map((n) => n.name)))];
        const most = Math.max(...frames.flatMap((one) => one.state.nodes.map((node) => node.behind ?? 0)), 1);
        const zero = frames[0].time;
        const step = ticks(most, 2, 2)[1];
        const scale = {
          frames, upto: index, events, zero, span: frames.at(-1).time - zero || 1, top: Math.ceil(most / step) * step,
        };
        const below = height + 34;
        const under = below + replicas.length * 58; // where the time is written
        const whole = replicas.length ? under + 2 : height + 2;
        picture.setAttribute("viewBox", `0 0 ${width} ${whole}`);
        picture.setAttribute("width", width);
        picture.setAttribute("height", whole);
        picture.setAttribute("aria-label", words(state));
        picture.replaceChildren(
          ...links.map((node) => line(node, state, places.get(node.follows), places.get(node.name), pick, listed)),
          ...nodes.map((node) => box(node, places.get(node.name), state, pick, listed)),
          ...replicas.flatMap((name, at) => strip(name, below + at * 58, width, scale)),
          ...(replicas.length ? clock(under - 8, width, scale) : []),
        );
      }

      return {
        show(frame, index) {
          if (!picture.isConnected) empty.replaceWith(picture);
          draw(frame, index);
        },
        resize(now) { width = Math.max(now, 280); },
        update(grown) { ({ frames, events } = grown); },
      };
    },
  };
}
