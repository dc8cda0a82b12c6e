// The space-time diagram: each host is a line, time runs downward, a message is an arrow from where and
// when it was sent to where and when it arrived. An arrow that ends in a cross never arrived. Where
// nothing happens for long the lines are cut short, and the gap says how long it was.
//
// meta: {hosts}. state, one message or event: {kind, source, target, sent, delivered, text, tone, size,
// lost}. The player steps from one to the next; what is still to come is not drawn.

const TOP = 14; // px above the first arrow
const ROW = 19; // px between two arrows that leave at the same time
const STEP = 24; // px for the usual time of travel
const GAP = 40; // px for any silence
const TONES = { request: "blue", reply: "teal", data: "violet", error: "red", quiet: "muted" };

export default function create({ svg, html, format }) {
  const color = (tone) => `var(--rl-${TONES[tone] ?? "ink"})`;
  const short = (name) => name.replace(/^redis-/, "");
  const clock = (time) => `${time.toFixed(3)} s`;

  function sentence({ state }) {
    if (state.kind === "event") return `At ${clock(state.sent)}: ${[state.source, state.text].filter(Boolean).join(": ")}`;
    const way = `At ${clock(state.sent)}, ${state.source} to ${state.target}: ${state.text}`;
    const again = state.lost ? `; lost and sent again ${state.lost} time${state.lost === 1 ? "" : "s"}` : "";
    const size = state.size && state.tone !== "data" ? `, ${state.size.toLocaleString("en-US")} bytes` : "";
    return state.delivered === null ? `${way}${size}; it did not arrive${again}`
      : `${way}${size}; on the way for ${format.seconds(state.delivered - state.sent)}${again}`;
  }

  // Where every moment stands. Moments are those of sending and of arriving, in order of time; the room
  // between two of them grows with the time between them, up to a limit.
  function timeline(frames) {
    const moments = frames.flatMap(({ state }, at) => [
      { time: state.sent, at, what: "sent" },
      ...(state.kind === "message" && state.delivered !== null ? [{ time: state.delivered, at, what: "arrived" }] : []),
    ]).sort((a, b) => a.time - b.time || a.at - b.at);
    const travels = frames.filter(({ state }) => state.target && state.delivered !== null)
      .map(({ state }) => state.delivered - state.sent).sort((a, b) => a - b);
    const unit = travels[Math.floor(travels.length / 2)] || 0.001;
    const sent = new Map();
    const arrived = new Map();
    const gaps = [];
    let y = TOP;
    let before = moments[0].time;
    let lastSent = -Infinity;
    for (const { time, at, what } of moments) {
      const passed = time - before;
      const long = passed > unit * 3;
      const from = y;
      if (passed > 0) y += long ? GAP : Math.max((passed / unit) * STEP, 2);
      if (long) gaps.push({ y: (from + y) / 2, passed, time });
      if (what === "sent") {
        y = Math.max(y, lastSent + ROW);
        lastSent = y;
        sent.set(at, y);
      } else {
        // Messages that left together stand apart, and stay so: arrows of one journey are parallel.
        y = Math.max(y, sent.get(at) + Math.min((time - frames[at].state.sent) / unit, 2) * STEP * 0.8);
        arrived.set(at, y);
      }
      before = time;
    }
    return { sent, arrived, gaps, height: y + 26 };
  }

  return {
    player: true,
    events: false,
    mount(stage, recording, context) {
      const { player } = context;
      let { frames, meta } = recording;
      let width = 640;
      let line = timeline(frames);
      let opened = false;
      const heads = html("div", { class: "rl-hosts", "aria-hidden": "true" });
      const picture = svg("svg", { role: "img" });
      const scroll = html("div", { class: "rl-timeline", tabindex: "0", role: "group", "aria-label": "Diagram, scrolls" }, heads, picture);
      const note = html("p", { class: "rl-explain", "aria-live": "polite" });
      stage.append(scroll, note);

      const left = () => (width >= 480 ? 78 : 70);
      const xOf = (host) => {
        const at = Math.max(meta.hosts.indexOf(host), 0);
        const room = width - left() - 16;
        return left() + (room * (at + 0.5)) / meta.hosts.length;
      };

      // A host's line: solid while it runs, dotted in amber while it stands still, gone while it is down.
      function life(host, upto) {
        const parts = [];
        const x = xOf(host);
        let from = 0;
        let how = "runs";
        const draw = (to) => {
          if (how !== "down") {
            parts.push(svg("path", {
              d: `M${x},${from}V${to}`, "stroke-dasharray": how === "paused" ? "2 4" : null,
              style: `stroke: var(--rl-${how === "paused" ? "amber" : "line"}); stroke-width: 2`,
            }));
          }
          from = to;
        };
        frames.slice(0, upto + 1).forEach(({ state }, at) => {
          if (state.kind !== "event" || state.source !== host) return;
          const word = state.text.split(" ")[0];
          const next = { kill: "down", crash: "down", stop: "down", start: "runs", pause: "paused", resume: "runs" }[word];
          if (!next) return;
          draw(line.sent.get(at));
          how = next;
        });
        draw(line.height);
        return parts;
      }

      // A drawing and its words, which are laid over all drawings: a later arrow crosses out no earlier word.
      function arrow({ state }, at, current) {
        const y1 = line.sent.get(at);
        const tone = color(state.tone);
        const go = { onclick: () => { player.pause(); player.seek(at); }, class: "rl-pick" };
        if (state.kind === "event") {
          const x = state.source ? xOf(state.source) : left();
          const right = !state.source || x < width * 0.7;
          const room = right ? width - x - 20 : x - left() - 20;
          const sign = svg(
            "g", go,
            state.source ? svg("path", { d: `M${x},${y1 - 6}l6,6l-6,6l-6,-6z`, style: "fill: var(--rl-red)" })
              : svg("path", { d: `M${left()},${y1}H${width - 8}`, "stroke-dasharray": "3 4", style: "stroke: var(--rl-red); stroke-width: 1" }),
            svg("title", {}, sentence({ state })),
          );
          return [
            sign,
            svg("text", {
              ...go, x: state.source ? x + (right ? 10 : -10) : left() + 2, y: state.source ? y1 + 4 : y1 - 4,
              "text-anchor": right ? "start" : "end", class: "rl-halo rl-pick",
              style: `fill: var(--rl-red); font-size: 11px; ${current ? "font-weight: 600" : ""}`,
            }, fit(state.text, room)),
          ];
        }
        const [x1, whole] = [xOf(state.source), xOf(state.target)];
        const there = state.delivered !== null;
        const x2 = there ? whole : x1 + (whole - x1) * 0.6;
        const y2 = there ? line.arrived.get(at) : y1 + STEP * 0.6;
        const turn = Math.atan2(y2 - y1, x2 - x1);
        const head = (by) => `${x2 - 9 * Math.cos(turn + by)},${y2 - 9 * Math.sin(turn + by)}`;
        const drawing = svg(
          "g", go,
          svg("path", { d: `M${x1},${y1}L${x2},${y2}`, style: "stroke: transparent; stroke-width: 14" }),
          svg("path", {
            d: `M${x1},${y1}L${x2},${y2}`, "stroke-dasharray": there ? null : "4 4",
            style: `stroke: ${tone}; stroke-width: ${current ? 2.5 : 1.25}`,
          }),
          there ? svg("path", { d: `M${head(0.4)}L${x2},${y2}L${head(-0.4)}z`, style: `fill: ${tone}` })
            : svg("path", { d: `M${x2 - 5},${y2 - 5}l10,10M${x2 + 5},${y2 - 5}l-10,10`, style: "stroke: var(--rl-red); stroke-width: 2" }),
          svg("title", {}, sentence({ state })),
        );
        // The words begin where the message does: no two messages leave at the same height.
        return [
          drawing,
          svg("text", {
            ...go, x: x1 + (x2 > x1 ? 7 : -7), y: y1 - 3, "text-anchor": x2 > x1 ? "start" : "end", class: "rl-halo rl-pick",
            style: `fill: ${tone}; font-size: 11px; ${current ? "font-weight: 600" : ""}`,
          }, fit(state.text, x2 > x1 ? width - x1 - 24 : x1 - left() - 4)),
        ];
      }

      function fit(text, room) {
        const letters = Math.max(Math.floor(room / 7), 3);
        return text.length <= letters ? text : `${text.slice(0, letters - 1)}…`;
      }

      function draw(frame, index) {
        width = Math.max(scroll.clientWidth, 260); // less its scroll bar
        const last = Math.max(line.sent.get(index), line.arrived.get(index) ?? 0);
        const shown = frames.slice(0, index + 1);
        const arrows = shown.map((one, at) => arrow(one, at, at === index));
        // The clock where something begins, and how much later what follows is.
        const times = [];
        let above = -Infinity;
        let begun = null;
        shown.forEach(({ state }, at) => {
          const y = line.sent.get(at);
          const fresh = begun === null || line.gaps.some(({ time }) => time > begun && time <= state.sent);
          if (!fresh && y - above < 20) return;
          if (fresh) begun = state.sent;
          above = y;
          const text = fresh ? clock(state.sent) : `+${format.seconds(state.sent - begun)}`;
          times.push(svg("text", { x: left() - 10, y: y + 4, "text-anchor": "end", class: fresh ? null : "rl-small", style: "font-size: 11px" }, text));
        });
        heads.replaceChildren(...meta.hosts.map((host) => {
          const name = html("b", {}, width >= 480 ? host : short(host));
          name.style.left = `${xOf(host)}px`;
          return name;
        }));
        picture.setAttribute("viewBox", `0 0 ${width} ${line.height}`);
        picture.setAttribute("width", width);
        picture.setAttribute("height", line.height);
        picture.setAttribute("aria-label", `${meta.hosts.length} hosts: ${meta.hosts.join(", ")}. Step ${index + 1} of ${frames.length}. ${sentence(frame)}`);
        picture.replaceChildren(
          ...meta.hosts.flatMap((host) => life(host, index)),
          ...line.gaps.filter(({ y }) => y < last).flatMap(({ y, passed }) => [
            svg("rect", { x: left(), y: y - 7, width: width - left() - 8, height: 14, style: "fill: var(--rl-surface)" }),
            svg("text", { x: left() - 10, y: y + 4, "text-anchor": "end", class: "rl-small rl-inside", style: "font-style: italic" }, `⋮ ${format.seconds(passed)}`),
          ]),
          ...times,
          ...arrows.map(([drawing]) => drawing),
          ...arrows.map(([, words]) => words),
        );
        note.textContent = sentence(frame);
        const y = line.sent.get(index);
        // What opens at its end still begins with its beginning in view.
        if (!opened) opened = true;
        else if (y < scroll.scrollTop + 30 || y > scroll.scrollTop + scroll.clientHeight - 70) {
          scroll.scrollTop = y - scroll.clientHeight / 2;
        }
      }

      return {
        show: draw,
        update(grown) {
          ({ frames, meta } = grown);
          line = timeline(frames);
        },
      };
    },
  };
}
