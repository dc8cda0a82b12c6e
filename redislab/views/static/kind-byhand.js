// A failover by hand. Above, the clock: for how long the client has had no write acknowledged. Under it
// the servers, each with what was seen of it when somebody looked last. Below, on one time axis: what
// was done, what each server was, and what became of the client's writes. Under all, the runs so far.
//
// state: {nodes: [{name, state, role, follows, seen: {at, offset, keys, link} | null}], client, began, fault,
// silent, downtime, acknowledged, failed, lost, over}; times in seconds of the lab's clock, `fault` and
// `silent` (since when no write was acknowledged) may be null. meta: {writes: [{writer, since, until,
// outcome, count, node, detail, found}], runs: [{number, heir, downtime, failed, lost, at}]}; what is
// lost counts as acknowledged until it was found out.

const BOX = { least: 178, gap: 14, height: 92 };
const LEFT = 82; // px, where the time axis begins
const LANE = 14; // px for one line of labels
const LANES = 8;
const TONES = { acknowledged: "teal", failed: "amber", lost: "red" };
const TICK_MS = 100; // how often the clock moves by itself

export default function create({ svg, html, format, ticks }) {
  const exact = (value) => Math.round(value).toLocaleString("en-US");
  const color = (name) => `var(--rl-${name})`;
  const seconds = (value) => `${value.toFixed(1)} s`;
  const fit = (text, room) => {
    const letters = Math.max(Math.floor(room / 6.1), 3);
    return text.length <= letters ? text : `${text.slice(0, letters - 1)}…`;
  };

  function condition(node) {
    if (node.state !== "running") return [node.state, "red"];
    return node.role === "master" ? ["master", "teal"] : [node.role || "starting", "blue"];
  }

  // ---- words ----

  function clockWords(state, now) {
    if (!state.client) return ["No client writes yet.", "muted"];
    if (state.silent !== null) return [`${seconds(now - state.silent)} without a write`, "red"];
    if (state.over) return [`over: ${seconds(state.downtime)} without a write`, state.lost ? "red" : "ink"];
    return state.downtime ? [`writes succeed, after ${seconds(state.downtime)} without`, "teal"] : ["writes succeed", "teal"];
  }

  const counts = (state) =>
    `${exact(state.acknowledged)} acknowledged, ${exact(state.failed)} failed, ${exact(state.lost)} found lost`;

  function seenLines(node, now) {
    if (!node.seen) return [["not looked at", "muted"]];
    const { offset, keys, link, at } = node.seen;
    return [
      [`offset ${exact(offset)}, ${exact(keys)} key${keys === 1 ? "" : "s"}`],
      [link ? `link to its master: ${link}` : "a master", link === "down" ? "amber" : "ink"],
      [now - at < 0.05 ? "as of now" : `as of ${seconds(now - at)} ago`, "muted"],
    ];
  }

  function words(state, now) {
    const servers = state.nodes.map((node) => [
      `${node.name}: ${condition(node)[0]}`, node.follows && `follows ${node.follows}`,
      ...seenLines(node, now).map(([text]) => text), node.name === state.client && "the client writes here",
    ].filter(Boolean).join(", "));
    return [clockWords(state, now)[0], ...servers, state.client && `Writes: ${counts(state)}`].filter(Boolean).join(". ");
  }

  // ---- the servers ----

  function layout(count, width, y) {
    const columns = Math.min(Math.max(1, Math.floor((width + BOX.gap) / (BOX.least + BOX.gap))), count);
    const size = Math.min(340, (width - (columns - 1) * BOX.gap) / columns);
    const place = (at) => ({
      x: (at % columns) * (size + BOX.gap), y: y + Math.floor(at / columns) * (BOX.height + BOX.gap), width: size,
    });
    return { place, end: y + Math.ceil(count / columns) * (BOX.height + BOX.gap) - BOX.gap };
  }

  function box(node, { x, y, width }, state, now, pick) {
    const [word, tone] = condition(node);
    const alive = node.state === "running";
    const isTarget = node.name === state.client;
    const lines = [
      ...seenLines(node, now),
      isTarget ? ["the client writes here", "violet"] : [node.follows ? `follows ${node.follows}` : "", "muted"],
    ];
    return svg(
      "g", { class: pick ? "rl-pick" : null, onclick: pick ? () => pick(node.name) : null },
      svg("rect", {
        x: x + 1, y: y + 1, width: width - 2, height: BOX.height - 2, rx: 8, "stroke-dasharray": alive ? null : "5 4",
        style: `fill: var(--rl-panel); stroke: ${color(isTarget ? "violet" : tone)}; stroke-width: ${isTarget ? 2.5 : 1.5}`,
      }),
      svg("circle", { cx: x + 14, cy: y + 18, r: 4.5, style: `fill: ${color(tone)}` }),
      svg("text", { x: x + 24, y: y + 22, style: "font-weight: 600" }, node.name),
      svg("text", { x: x + width - 10, y: y + 22, "text-anchor": "end", style: `fill: ${color(tone)}` }, word),
      ...lines.map(([text, shade], at) => svg("text", {
        x: x + 12, y: y + 41 + 14 * at, opacity: alive ? 1 : 0.75, style: `fill: ${color(shade ?? "ink")}; font-size: 11.5px`,
      }, fit(text, width - 22))),
    );
  }

  // ---- the time axis ----

  // A line of its own for each label that would cover another. Those of the whole run, so that nothing
  // moves while it is replayed.
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

  // A cut both ways is two events, "a -> b" and, as good as at the same time, "b -> a".
  function isBack(event, others) {
    const back = event.detail.split(" -> ").reverse().join(" -> ");
    return others.some((one) => one.kind === event.kind && event.time - one.time < 0.05 && one.detail === back);
  }

  const SAID = { promote: "replicaof no one", follow: "replicaof", point: "client to", restart: "start", kill: "kill -9" };

  function label(event) {
    if (event.kind === "cut") return `cut ${event.detail.replace(" -> ", " - ")}`;
    if (event.kind === "follow") return `${event.node}: replicaof ${event.detail.replace("to ", "")}`;
    if (event.kind === "promote") return `${event.node}: replicaof no one`;
    return [SAID[event.kind] ?? event.kind, event.node].filter(Boolean).join(" ");
  }

  // The stretches in which a server was one and the same thing.
  function reigns(frames, name) {
    const found = [];
    for (const { time, state } of frames) {
      const node = state.nodes.find((one) => one.name === name);
      const [word, tone] = node ? condition(node) : ["", "muted"];
      if (found.at(-1)?.word === word) found.at(-1).until = time;
      else {
        if (found.length) found.at(-1).until = time;
        found.push({ word, tone, since: time, until: time });
      }
    }
    return found;
  }

  function strips(y, width, { frames, events, upto, writes }) {
    const { began } = frames[upto].state;
    const mine = frames.filter(({ state }) => state.began === began);
    const now = frames[upto].time;
    const end = mine.at(-1).time;
    const span = end - began || 1;
    const right = width - 8;
    const px = (time) => LEFT + (Math.min(Math.max(time - began, 0), span) / span) * (right - LEFT);
    const past = (event) => event.time <= now + 1e-6;
    const parts = [];
    const rowName = (text, at) => svg("text", { x: 0, y: at, class: "rl-small" }, fit(text, LEFT - 4));
    const begin = y;

    y += 14;
    parts.push(svg("text", { x: 0, y, style: "font-weight: 600" }, "What was done"));
    y += 6;
    const seen = events.filter((event) => event.time >= began && event.time <= end + 1e-6);
    const told = seen.filter((event, at) => !isBack(event, seen.slice(0, at)));
    const marked = lanes(told.map((event) => ({ event, x: px(event.time), text: label(event) })), right);
    const under = y + marked.height + 4 + 18 * (mine[0].state.nodes.length + 1);
    const isFault = (event) => ["cut", "kill"].includes(event.kind);
    for (const { event, at, lane, flipped, x, text } of marked.placed.filter((item) => past(item.event))) {
      const tone = isFault(event) ? "red" : "blue";
      parts.push(
        svg("path", { d: `M${x},${y + lane * LANE + 2}V${under}`, "stroke-dasharray": "2 3", style: `stroke: ${color(tone)}; stroke-width: 1; opacity: 0.7` }),
        svg("text", { x: at, y: y + lane * LANE + 10, "text-anchor": flipped ? "end" : "start", class: "rl-halo", style: `fill: ${color(tone)}; font-size: 11px` }, text),
      );
    }
    y += marked.height + 4;

    // What each server was: a master is a thick bar, a replica a thin one, a dead one none.
    const shown = mine.filter(({ time }) => time <= now + 1e-6);
    for (const { name } of mine[0].state.nodes) {
      y += 18;
      parts.push(rowName(name, y), svg("path", { class: "rl-axis", d: `M${LEFT},${y - 4}H${right}` }));
      for (const { word, tone, since, until } of reigns(shown, name)) {
        if (tone === "red" || tone === "muted") continue;
        const height = word === "master" ? 10 : 4;
        parts.push(svg("rect", {
          x: px(since), y: y - 4 - height / 2, width: Math.max(px(until) - px(since), 1), height, rx: 2, style: `fill: ${color(tone)}`,
        }, svg("title", {}, `${name}: ${word}`)));
      }
    }

    y += 18;
    parts.push(rowName("the client", y), svg("path", { class: "rl-axis", d: `M${LEFT},${y - 4}H${right}` }));
    const drawn = writes.filter((one) => one.since >= began - 1e-6 && one.since <= Math.min(now, end) + 1e-6)
      .map((one) => ({ ...one, shown: one.found !== null && one.found > now + 1e-6 ? "acknowledged" : one.outcome }))
      .sort((a, b) => (a.shown === "lost") - (b.shown === "lost"));
    for (const one of drawn) {
      const from = px(one.since);
      const tall = one.shown === "failed" ? 6 : 14;
      parts.push(svg("rect", {
        x: from, y: y - 4 - tall / 2, width: Math.max(px(Math.min(one.until, now)) - from, 2), height: tall, style: `fill: ${color(TONES[one.shown])}`,
      }, svg("title", {}, `${one.count} ${one.shown}${one.node ? ` by ${one.node}` : ""}${one.shown === "failed" ? `: ${one.detail}` : ""}`)));
    }

    // The longest silence, measured.
    y += 16;
    const gap = silence(drawn, frames[upto].state, now);
    if (gap) {
      const [a, b] = [px(gap[0]), px(gap[1])];
      const text = `${seconds(gap[1] - gap[0])} down`;
      const middle = Math.min(Math.max((a + b) / 2, LEFT + 34), right - 34);
      parts.push(
        svg("path", { d: `M${a},${y - 6}v6h${b - a}v-6`, style: "stroke: var(--rl-red); stroke-width: 1.5; fill: none" }),
        svg("text", { x: middle, y: y + 13, "text-anchor": "middle", class: "rl-halo", style: "fill: var(--rl-red); font-size: 11.5px; font-weight: 600" }, text),
      );
    }
    y += 20;
    for (const value of ticks(span, width < 480 ? 3 : 6)) {
      const x = LEFT + (value / span) * (right - LEFT);
      parts.push(
        svg("path", { class: "rl-axis", d: `M${x},${y}v4` }),
        svg("text", { x, y: y + 15, "text-anchor": value ? "middle" : "start", class: "rl-small" }, `${Number(value.toFixed(3))} s`),
      );
    }
    parts.push(
      svg("path", { class: "rl-axis", d: `M${LEFT},${y}H${right}` }),
      svg("path", { d: `M${px(now)},${begin + 18}V${y}`, style: "stroke: var(--rl-ink); stroke-width: 1; opacity: 0.5" }),
    );
    y += 34;
    const key = legend(y, width);
    parts.push(...key.parts);
    y = key.end + 22;
    parts.push(svg("text", { x: 0, y, class: "rl-small" }, counts(frames[upto].state)));
    return { parts, end: y + 6 };
  }

  // Between the acknowledged writes that are furthest apart: as long as the state says it was.
  function silence(drawn, state, now) {
    if (!state.downtime) return null;
    const good = drawn.filter((one) => one.shown !== "failed").sort((a, b) => a.since - b.since);
    const pairs = good.map((one, at) => [one.until, good[at + 1]?.since ?? (state.over ? one.until : now)]);
    return pairs.reduce((best, one) => (one[1] - one[0] > best[1] - best[0] ? one : best), [0, 0]);
  }

  function legend(y, width) {
    const items = [["acknowledged", "teal", 14], ["failed", "amber", 6], ["acknowledged and lost", "red", 14]];
    let x = 0;
    let row = y;
    const parts = items.flatMap(([text, tone, tall]) => {
      const size = 24 + text.length * 6;
      if (x + size > width) [x, row] = [0, row + 16];
      const made = [
        svg("rect", { x, y: row - 4 - tall / 2, width: 14, height: tall, style: `fill: ${color(tone)}` }),
        svg("text", { x: x + 19, y: row, class: "rl-small" }, text),
      ];
      x += size + 10;
      return made;
    });
    return { parts, end: row };
  }

  // ---- the scoreboard ----

  function board(runs) {
    const cell = (text, isNumber) => html("td", { class: isNumber ? "rl-number" : null, style: isNumber ? "text-align: right" : null }, text);
    const head = [["run", true], ["promoted", false], ["without a write", true], ["failed", true], ["lost", true]];
    return html(
      "div", { class: "rl-scroll" },
      html(
        "table", {},
        html("thead", {}, html("tr", {}, head.map(([text, isNumber]) => html("th", { style: isNumber ? "text-align: right" : null }, text)))),
        html("tbody", {}, runs.map((run) => html(
          "tr", {}, cell(String(run.number), true), cell(run.heir), cell(seconds(run.downtime), true), cell(exact(run.failed), true), cell(exact(run.lost), true),
        ))),
      ),
    );
  }

  return {
    player: true,
    events: false,
    mount(stage, recording, context) {
      let width = 640;
      let { frames, events, meta } = recording;
      let shown = null; // {state, now, since}: what is on show, and since when on the page's own clock
      const clock = html("p", { class: "rl-handclock", role: "status", style: "font-size: 22px; font-weight: 600; margin: 0 0 0.5rem" });
      const picture = svg("svg", { role: "img" });
      const scores = html("div", {});
      stage.append(clock, picture, scores);
      const pick = context.live && context.send ? (target) => context.send({ type: "pick", target }) : null;

      function tell(now) {
        const [text, tone] = clockWords(shown.state, now);
        clock.textContent = text;
        clock.style.color = color(tone);
      }

      // In a notebook the clock goes on between two frames: the reader's time is what is counted.
      const timer = context.live ? setInterval(() => {
        if (shown === null || shown.index < frames.length - 1 || shown.state.silent === null) return;
        tell(shown.now + (performance.now() - shown.since) / 1000);
      }, TICK_MS) : null;

      return {
        show({ state, time }, index) {
          if (shown?.index !== index) shown = { state, now: time, index, since: performance.now() };
          tell(time);
          const { place, end } = layout(state.nodes.length, width, 0);
          const axis = state.client ? strips(end + 10, width, { frames, events, upto: index, writes: meta.writes ?? [] }) : { parts: [], end };
          picture.setAttribute("viewBox", `0 0 ${width} ${axis.end}`);
          picture.setAttribute("width", width);
          picture.setAttribute("height", axis.end);
          picture.setAttribute("aria-label", words(state, time));
          picture.replaceChildren(...state.nodes.map((node, at) => box(node, place(at), state, time, pick)), ...axis.parts);
          const runs = (meta.runs ?? []).filter((run) => run.at <= time + 1e-6);
          scores.replaceChildren(...(runs.length ? [board(runs)] : []));
        },
        resize(now) { width = Math.max(now, 240); },
        update(grown) { ({ frames, events, meta } = grown); },
        destroy() { if (timer !== null) clearInterval(timer); },
      };
    },
  };
}
