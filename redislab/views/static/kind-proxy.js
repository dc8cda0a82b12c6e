// Clients, proxies and shards. Above, as of this moment: who is how, and how many requests a second go
// which way. Below, up to this moment and on one time axis: what was done to the lab; for each shard
// its requests a second, and the times in which it was ejected; what the clients saw, counted in
// stretches of time, each error in a color of its own.
//
// state: {proxies: [{name, state, clients, ejections, rate}], shards: [{name, state, keys, weight, ejected:
// [proxy], rate, failures}], links: [[proxy, shard, rate]], answered, failed, cuts: [[from, to]], delays:
// [[a, b, seconds]]}. meta: {bucket: seconds, loads: [{name, kind, buckets: [[number, answered, [[error,
// count]]]]}], errors: [text], world}.

const BOX = { gap: 10, least: 100, most: 210, between: 34 };
const SMALL = 140; // px: a box that is narrower has one line more
const LEFT = 62; // px, where the time axis begins
const LANE = 14;
const LANES = 6;
const ROW = 30; // px for the curve of one shard
const BARS = 62; // px for what one client saw
const BAR_LEAST = 3; // px for one stretch of time
const ERROR_TONES = ["red", "amber", "violet", "blue"];

export default function create({ svg, html, format, path }) {
  const exact = (value) => Math.round(value).toLocaleString("en-US");
  const color = (name) => `var(--rl-${name})`;
  const many = (count, word) => `${exact(count)} ${word}${count === 1 ? "" : "s"}`;
  const perSecond = (rate) => `${format.count(rate)}/s`;
  const fit = (text, room) => {
    const letters = Math.max(Math.floor(room / 5.9), 3);
    return text.length <= letters ? text : `${text.slice(0, letters - 1)}…`;
  };
  const isCut = (state, a, b) => state.cuts.some((pair) => pair.includes(a) && pair.includes(b));
  const isEjection = (event) => event.kind === "eject" || event.kind === "return";

  function stateOf(node) {
    if (node.ejected?.length) return ["ejected", "amber"];
    if (node.state === "running") return ["up", "teal"];
    if (node.state === "paused") return ["paused", "amber"];
    return [node.state === "silent" ? "no answer" : node.state, "red"];
  }

  function network(state) {
    const cuts = state.cuts.map(([a, b]) => {
      const both = state.cuts.some(([c, d]) => c === b && d === a);
      return both ? (a < b ? `${a} - ${b}` : null) : `${a} → ${b}`;
    }).filter(Boolean);
    const delays = state.delays.map(([a, b, seconds]) => `${a} - ${b} +${format.seconds(seconds)}`);
    return [cuts.length ? `Cut: ${cuts.join(", ")}.` : "", delays.length ? `Slow: ${delays.join(", ")}.` : ""].filter(Boolean).join(" ");
  }

  function words(state) {
    const proxies = state.proxies.map((one) => `${one.name}: ${stateOf(one)[0]}, ${many(one.clients, "client")}, ${perSecond(one.rate)}, ${many(one.ejections, "ejection")}`);
    const shards = state.shards.map((one) => [`${one.name}: ${one.state === "running" ? "up" : one.state}`, one.ejected.length && `ejected by ${one.ejected.join(", ")}`,
      many(one.keys, "key"), perSecond(one.rate), many(one.failures, "failure")].filter(Boolean).join(", "));
    return [...proxies, ...shards, network(state).replace(/\.$/, ""), `The clients saw ${many(state.answered, "answer")} and ${many(state.failed, "error")}`].filter(Boolean).join(". ");
  }

  // ---- the boxes ----

  function layout(names, width, y) {
    const most = Math.max(1, Math.floor((width + BOX.gap) / (BOX.least + BOX.gap)));
    const columns = Math.min(most, names.length);
    const size = Math.min(BOX.most, (width - (columns - 1) * BOX.gap) / columns);
    const height = size < SMALL ? 78 : 62;
    const left = (width - columns * size - (columns - 1) * BOX.gap) / 2;
    const places = new Map(names.map((name, at) => [name, {
      x: left + (at % columns) * (size + BOX.gap), y: y + Math.floor(at / columns) * (height + BOX.gap), width: size, height,
    }]));
    const rows = Math.ceil(names.length / columns);
    return { places, rows, end: y + rows * (height + BOX.gap) - BOX.gap };
  }

  function box(name, { x, y, width, height }, [word, tone], lines, alive, pick) {
    const small = width < SMALL;
    return svg(
      "g", { class: pick ? "rl-pick" : null, onclick: pick ? () => pick(name) : null },
      svg("rect", {
        x: x + 0.5, y: y + 0.5, width: width - 1, height: height - 1, rx: 8, "stroke-dasharray": alive ? null : "5 4",
        style: `fill: var(--rl-panel); stroke: ${color(tone)}; stroke-width: 1.5`,
      }),
      svg("circle", { cx: x + 13, cy: y + 16, r: 4.5, style: `fill: ${color(tone)}` }),
      svg("text", { x: x + 22, y: y + 20, style: "font-weight: 600" }, fit(name, width - 26)),
      ...(small ? [] : [svg("text", { x: x + width - 9, y: y + 20, "text-anchor": "end", style: `fill: ${color(tone)}` }, word)]),
      ...[...(small ? [[word, tone]] : []), ...lines].map(([text, shade], at) => svg("text", {
        x: x + 11, y: y + 38 + 15 * at, style: `fill: ${color(shade ?? "ink")}; font-size: 11.5px`,
      }, fit(text, width - 18))),
    );
  }

  // How much goes from one box to another: the wider the more.
  function flow([from, to], rate, most, { cut, ejected, down, pick, target }) {
    const [x1, y1, x2, y2] = [from.x + from.width / 2, from.y + from.height, to.x + to.width / 2, to.y];
    const d = `M${x1},${y1}L${x2},${y2}`;
    const tone = cut || down ? "red" : ejected ? "amber" : "teal";
    const [x, y] = [(x1 + x2) / 2, (y1 + y2) / 2];
    return svg(
      "g", { class: pick ? "rl-pick" : null, onclick: pick ? () => pick(target) : null },
      svg("path", { d, "stroke-dasharray": cut || ejected || down ? "4 5" : null, style: `stroke: ${color(tone)}; stroke-width: ${1.25 + (most ? (4 * rate) / most : 0)}; fill: none` }),
      ...(cut ? [
        svg("circle", { cx: x, cy: y, r: 8, style: "fill: var(--rl-surface)" }),
        svg("path", { d: `M${x - 5},${y - 5}l10,10M${x + 5},${y - 5}l-10,10`, style: "stroke: var(--rl-red); stroke-width: 2.5" }),
      ] : []),
      pick ? svg("path", { d, style: "stroke: transparent; stroke-width: 18; fill: none" }) : null,
    );
  }

  function topology(state, meta, width, pick) {
    const clients = layout(["client"], width, 0);
    const proxies = layout(state.proxies.map((one) => one.name), width, clients.end + BOX.between);
    const shards = layout(state.shards.map((one) => one.name), width, proxies.end + BOX.between);
    const total = state.proxies.reduce((sum, one) => sum + one.rate, 0);
    const most = Math.max(...state.links.map(([, , rate]) => rate), 0);
    const parts = [];
    if (proxies.rows === 1) {
      for (const one of state.proxies) {
        parts.push(flow([clients.places.get("client"), proxies.places.get(one.name)], one.rate, total, {
          cut: isCut(state, "client", one.name), down: one.state !== "running", pick, target: `client - ${one.name}`,
        }));
        if (shards.rows > 1) continue;
        for (const shard of state.shards) {
          const rate = state.links.find(([proxy, name]) => proxy === one.name && name === shard.name)?.[2] ?? 0;
          parts.push(flow([proxies.places.get(one.name), shards.places.get(shard.name)], rate, most, {
            cut: isCut(state, one.name, shard.name), ejected: shard.ejected.includes(one.name), down: shard.state !== "running", pick, target: `${shard.name} - ${one.name}`,
          }));
        }
      }
    }
    const loads = (meta.loads ?? []).length;
    parts.push(box("client", clients.places.get("client"), [loads ? `${loads} asking` : "quiet", "ink"], [
      [many(state.answered, "answer")], [many(state.failed, "error"), state.failed ? "red" : "muted"],
    ], true, null));
    for (const one of state.proxies) {
      parts.push(box(one.name, proxies.places.get(one.name), stateOf(one), [
        [`${perSecond(one.rate)}, ${many(one.clients, "client")}`], [many(one.ejections, "ejection"), one.ejections ? "ink" : "muted"],
      ], one.state === "running", pick));
    }
    for (const one of state.shards) {
      const [word, tone] = stateOf(one);
      const said = one.ejected.length && one.state !== "running" ? `${one.state}, ejected` : word;
      parts.push(box(one.name, shards.places.get(one.name), [said, tone === "amber" && one.state !== "running" && one.state !== "paused" ? "red" : tone], [
        [shards.places.get(one.name).width < SMALL ? `${format.count(one.keys)} keys` : `${exact(one.keys)} keys, ${perSecond(one.rate)}`],
        shards.places.get(one.name).width < SMALL ? [perSecond(one.rate)] : [`${many(one.failures, "failure")}${one.weight === 1 ? "" : `, weight ${one.weight}`}`, one.failures ? "ink" : "muted"],
      ], one.state === "running", pick));
    }
    return { parts, end: shards.end };
  }

  // ---- the time axis ----

  function lanes(items, right) {
    const ends = [];
    const placed = [];
    for (const item of items) {
      const size = item.text.length * 5.9 + 10;
      const flipped = item.x + size > right && item.x >= size;
      const from = flipped ? item.x - size : Math.max(0, Math.min(item.x, right - size));
      let lane = ends.findIndex((end) => end <= from);
      if (lane < 0) lane = ends.length;
      if (lane >= LANES) continue;
      ends[lane] = from + size;
      placed.push({ ...item, lane, flipped, at: flipped ? from + size - 5 : from + 5 });
    }
    return { placed, height: Math.max(ends.length, 1) * LANE };
  }

  // A cut both ways is two events, one right after the other.
  function oneForBothWays(events) {
    const ways = (event) => event.detail.split(" -> ");
    const back = (one, other) => one.kind === other.kind && Math.abs(one.time - other.time) < 0.01
      && ways(one).length === 2 && ways(one).reverse().join(" -> ") === other.detail;
    return events.filter((event, at) => !events.slice(0, at).some((other) => back(event, other)))
      .map((event) => (events.some((other) => back(event, other)) ? { ...event, detail: ways(event).join(" - ") } : event));
  }

  const heading = (text, y) => svg("text", { x: 0, y, style: "font-weight: 600" }, text);
  const rowName = (text, y) => svg("text", { x: 0, y, class: "rl-small" }, fit(text, LEFT - 4));
  const doneTone = (kind) => (/^(start|resume|heal)$/.test(kind) ? "teal" : "red");

  function strips(top, width, { frames, events, upto, meta }) {
    const zero = frames[0].time;
    const now = frames[upto].time;
    const span = frames.at(-1).time - zero || 1;
    const right = width - 8;
    const px = (time) => LEFT + (Math.min(Math.max(time - zero, 0), span) / span) * (right - LEFT);
    const seen = events.filter((event) => event.time >= zero && event.time <= frames.at(-1).time);
    const past = (event) => event.time <= now;
    const title = (event) => svg("title", {}, [format.seconds(event.time), event.node, event.kind, event.detail].filter(Boolean).join(" · "));
    const axis = (at) => svg("path", { class: "rl-axis", d: `M${LEFT},${at}H${right}` });
    const parts = [];
    let y = top + 14;

    parts.push(heading("Faults and repairs", y));
    y += 6;
    const faults = seen.filter((event) => !isEjection(event));
    const marked = lanes(oneForBothWays(faults).map((event) => ({ event, x: px(event.time), text: [event.kind, event.node || event.detail].filter(Boolean).join(" ") })), right);
    parts.push(axis(y + marked.height + 3));
    for (const event of faults.filter(past)) {
      parts.push(svg("path", { d: `M${px(event.time)},${y}V${y + marked.height + 3}`, style: `stroke: ${color(doneTone(event.kind))}; stroke-width: 1.5` }, title(event)));
    }
    for (const { event, at, lane, flipped, text } of marked.placed.filter((item) => past(item.event))) {
      parts.push(svg("text", { x: at, y: y + lane * LANE + 10, "text-anchor": flipped ? "end" : "start", class: "rl-halo", style: `fill: ${color(doneTone(event.kind))}; font-size: 11px` }, text));
    }
    y += marked.height + 24;

    // Each shard's requests, and over it the times in which it was ejected.
    const begin = y;
    const top1 = Math.max(1, ...frames.flatMap(({ state }) => state.shards.map((one) => one.rate)));
    parts.push(heading("Requests a second to each shard", y), svg("text", { x: right, y, "text-anchor": "end", class: "rl-small" }, `up to ${perSecond(top1)}`));
    y += 8;
    for (const { name } of frames[upto].state.shards) {
      const spans = ejections(name, seen, frames.at(-1).time);
      for (const [from, to, who] of spans.filter(([from]) => from <= now)) {
        parts.push(svg("rect", { x: px(from), y, width: Math.max(px(Math.min(to, now)) - px(from), 2), height: ROW, style: "fill: color-mix(in srgb, var(--rl-amber) 28%, transparent)" },
          svg("title", {}, `${name} is left out by ${who}, ${format.seconds(from)} to ${format.seconds(to)}`)));
      }
      const curve = frames.slice(0, upto + 1).map(({ time, state }) => [px(time), y + ROW - (ROW - 3) * ((state.shards.find((one) => one.name === name)?.rate ?? 0) / top1)]);
      parts.push(axis(y + ROW), rowName(name, y + ROW / 2 + 8), svg("path", { class: "rl-curve", d: path(curve), style: "stroke: var(--rl-teal)" }));
      const first = spans.find(([from, to]) => from <= now && px(to) - px(from) > 46);
      if (first) parts.push(svg("text", { x: px(first[0]) + 4, y: y + 11, class: "rl-halo", style: "fill: var(--rl-amber); font-size: 11px" }, "ejected"));
      y += ROW + 7;
    }
    y += 16;

    // What the clients saw: bars of as many stretches of time as there is room for.
    parts.push(heading("What the clients see", y));
    y += 8;
    const { loads = [], errors = [], bucket = 1 } = meta;
    const step = Math.max(bucket, Math.ceil(((span * BAR_LEAST) / (right - LEFT)) / bucket) * bucket);
    const used = new Set();
    for (const { name, buckets } of loads) {
      const bars = new Map();
      for (const [number, answered, failed] of buckets) {
        const since = Math.floor((number * bucket) / step) * step;
        if (since + step < zero || since > now) continue;
        const bar = bars.get(since) ?? { answered: 0, failed: new Map() };
        bar.answered += answered;
        for (const [error, count] of failed) bar.failed.set(error, (bar.failed.get(error) ?? 0) + count);
        bars.set(since, bar);
      }
      const sum = (bar) => bar.answered + [...bar.failed.values()].reduce((all, count) => all + count, 0);
      const most = Math.max(1, ...[...bars.values()].map(sum));
      parts.push(axis(y + BARS), rowName(name, y + BARS / 2 - 4), rowName(`≤ ${perSecond(most / step)}`, y + BARS / 2 + 10));
      for (const [since, bar] of bars) {
        const [x, size] = [px(since), Math.max(px(since + step) - px(since) - 0.75, 1)];
        let base = y + BARS;
        const said = svg("title", {}, `${format.seconds(since)}: ${exact(bar.answered)} answered${[...bar.failed].map(([error, count]) => `, ${count} × ${errors[error]}`).join("")}`);
        const tall = (count) => (count / most) * BARS;
        const stack = [[bar.answered, "teal"], ...[...bar.failed].sort((a, b) => a[0] - b[0]).map(([error, count]) => [count, ERROR_TONES[error % ERROR_TONES.length], error])];
        const group = svg("g", {}, said);
        for (const [count, tone, error] of stack) {
          if (!count) continue;
          if (error !== undefined) used.add(error);
          // An error among many answers must not be too thin to be seen.
          const height = Math.min(BARS, error === undefined ? tall(count) : Math.max(tall(count), 4));
          const from = Math.max(base - height, y);
          group.append(svg("rect", { x, y: from, width: size, height: base - from, style: `fill: ${color(tone)}; opacity: ${error === undefined ? 0.75 : 1}` }));
          base = from;
        }
        parts.push(group);
      }
      y += BARS + 8;
    }
    if (!loads.length) {
      parts.push(svg("text", { x: 0, y: y + 10, class: "rl-small" }, "nobody asks"));
      y += 16;
    }

    // The line of now, and the ends of the axis.
    parts.unshift(svg("path", { d: `M${px(now)},${top + 20}V${y}`, style: "stroke: var(--rl-ink); stroke-width: 1; opacity: 0.5" }));
    y += 12;
    parts.push(svg("text", { x: LEFT, y, class: "rl-small" }, format.seconds(zero)), svg("text", { x: right, y, "text-anchor": "end", class: "rl-small" }, format.seconds(zero + span)));
    const shown = [["teal", "answered"], ...[...used].sort().map((error) => [ERROR_TONES[error % ERROR_TONES.length], errors[error]])];
    for (const [tone, text] of loads.length ? shown : []) {
      y += 17;
      parts.push(svg("rect", { x: 0, y: y - 9, width: 10, height: 10, style: `fill: ${color(tone)}` }), svg("text", { x: 16, y, style: "font-size: 11.5px" }, fit(text, width - 20)));
    }
    return { parts, end: y + 8, begin };
  }

  // [since, until, proxy] of each time that a shard was left out.
  function ejections(name, events, end) {
    return events.filter((event) => event.kind === "eject" && event.detail.startsWith(`${name} `)).map((event) => {
      const back = events.find((one) => one.kind === "return" && one.node === event.node && one.time > event.time && one.detail.startsWith(`${name} `));
      return [event.time, back?.time ?? end, event.node];
    });
  }

  return {
    player: true,
    events: true,
    mount(stage, recording, context) {
      let width = 640;
      let { frames, events, meta } = recording;
      const picture = svg("svg", { role: "img" });
      const note = html("p", { class: "rl-explain", "aria-live": "polite" });
      stage.append(picture, note);
      const pick = context.live && context.send ? (target) => context.send({ type: "pick", target }) : null;

      return {
        show({ state }, index) {
          const above = topology(state, meta, width, pick);
          const axis = strips(above.end + 14, width, { frames, events, upto: index, meta });
          picture.setAttribute("viewBox", `0 0 ${width} ${axis.end}`);
          picture.setAttribute("width", width);
          picture.setAttribute("height", axis.end);
          picture.setAttribute("aria-label", words(state));
          picture.replaceChildren(...above.parts, ...axis.parts);
          note.textContent = network(state);
          note.hidden = !note.textContent;
        },
        resize(now) { width = Math.max(now, 260); },
        update(grown) { ({ frames, events, meta } = grown); },
      };
    },
  };
}
