// The replication backlog as the ring that it is: a piece of memory of fixed size, written around and
// around. Each byte of the stream has its place, its offset modulo the size. Everyone's place is marked:
// where the master writes next, and the next byte that each replica needs; an arc inside the ring spans
// what a replica lacks. What has been overwritten is gone, and a replica that needs it must be sent
// everything.
//
// state: {master, active, size, first, length, offset, replicas: [{name, offset, connected, cut,
// room}]}; all in bytes. `first` is the oldest byte kept, `length` how many are, `room` how many more
// may be written before a replica's next byte is overwritten (negative: it was, by so many).

const TURN = 2 * Math.PI;

export default function create({ svg, html, format }) {
  const exact = (value) => Math.round(value).toLocaleString("en-US");
  const short = (name) => name.split("-").at(-1);

  // What is no longer here may still wait in the output buffer of a connection that is not given up.
  function verdict(place) {
    if (place.room < 0) return place.connected ? ["waits in its output buffer", "amber"] : ["overwritten: needs everything", "red"];
    if (place.cut || !place.connected) return ["cut off, can still go on", "amber"];
    return ["follows", "teal"];
  }

  function words(state) {
    if (!state.active) return "No backlog yet: it is made for the first replica.";
    const kept = `The backlog of ${state.master} holds bytes ${exact(state.first)} to ${exact(state.first + state.length - 1)}, `
      + `${format.bytes(state.length)} of ${format.bytes(state.size)}; the next byte is ${exact(state.offset + 1)}`;
    return [kept, ...state.replicas.map((place) => `${place.name} needs byte ${exact(place.offset + 1)}: ${verdict(place)[0]}`
      + (place.room < 0 ? "" : `, ${exact(place.room)} bytes of room`))].join(". ");
  }

  function ring(state, cx, cy, radius) {
    const angle = (offset) => (((offset % state.size) + state.size) % state.size / state.size) * TURN - TURN / 4;
    const at = (turn, r) => [cx + r * Math.cos(turn), cy + r * Math.sin(turn)];
    const point = (turn, r) => at(turn, r).map((value) => value.toFixed(1)).join(",");
    const thick = 26;
    const arc = (from, share, style) => {
      if (share <= 0) return null;
      if (share >= 0.9999) return svg("circle", { cx, cy, r: radius, style: `fill: none; ${style}` });
      const end = from + share * TURN;
      return svg("path", { d: `M${point(from, radius)}A${radius},${radius} 0 ${share > 0.5 ? 1 : 0} 1 ${point(end, radius)}`, style: `fill: none; ${style}` });
    };
    const next = state.offset + 1;
    const write = angle(next);
    const [wx, wy] = at(write, radius + thick / 2 + 3);
    const parts = [
      svg("circle", { cx, cy, r: radius, style: `fill: none; stroke: var(--rl-panel); stroke-width: ${thick}` }),
      arc(angle(state.first), state.length / state.size, `stroke: color-mix(in srgb, var(--rl-teal) 45%, var(--rl-panel)); stroke-width: ${thick}`),
      svg("circle", { cx, cy, r: radius - thick / 2, style: "fill: none; stroke: var(--rl-line)" }),
      svg("circle", { cx, cy, r: radius + thick / 2, style: "fill: none; stroke: var(--rl-line)" }),
      // Where the master writes: a hand, and an arrow in the direction of writing.
      svg("path", { d: `M${point(write, radius - thick / 2 - 4)}L${point(write, radius + thick / 2 + 6)}`, style: "stroke: var(--rl-blue); stroke-width: 3" }),
      svg("path", {
        d: "M0,-5L9,0L0,5z", style: "fill: var(--rl-blue)",
        transform: `translate(${wx},${wy}) rotate(${((write + TURN / 4) * 360) / TURN})`,
      }),
    ];
    // What the replica that is furthest behind lacks: it grows until it bites its tail.
    const last = state.replicas.reduce((one, two) => (one && one.room <= two.room ? one : two), null);
    const isBehind = last && last.offset < state.offset && last.room >= 0;
    if (isBehind) {
      const inner = radius - thick / 2 - 5;
      const share = (state.offset - last.offset) / state.size;
      const style = `fill: none; stroke: var(--rl-${verdict(last)[1]}); stroke-width: 4`;
      const end = angle(last.offset + 1) + Math.min(share, 0.9999) * TURN;
      parts.push(svg("path", {
        d: `M${point(angle(last.offset + 1), inner)}A${inner},${inner} 0 ${share > 0.5 ? 1 : 0} 1 ${point(end, inner)}`, style,
      }));
    }
    // Replicas at nearly the same place share a label.
    const groups = [];
    for (const place of state.replicas) {
      const turn = angle(place.offset + 1);
      const near = groups.find((one) => Math.abs(one.turn - turn) < 0.12 && one.tone === verdict(place)[1]);
      if (near) near.names.push(short(place.name));
      else groups.push({ turn, names: [short(place.name)], tone: verdict(place)[1], lost: place.room < 0 && !place.connected });
    }
    for (const { turn, names, tone, lost } of groups) {
      const [dx, dy] = at(turn, radius);
      const [tx, ty] = at(turn, radius - thick / 2 - 20);
      const anchor = Math.cos(turn) > 0.35 ? "end" : Math.cos(turn) < -0.35 ? "start" : "middle";
      parts.push(
        lost
          ? svg("path", { d: `M${dx - 6},${dy - 6}l12,12M${dx + 6},${dy - 6}l-12,12`, style: "stroke: var(--rl-red); stroke-width: 3" })
          : svg("circle", { cx: dx, cy: dy, r: 6, style: `fill: var(--rl-${tone}); stroke: var(--rl-surface); stroke-width: 2` }),
        svg("text", { x: tx, y: ty + 4, "text-anchor": anchor, class: "rl-halo", style: `fill: var(--rl-${tone})` }, names.join(", ")),
      );
    }
    const turns = Math.floor(state.offset / state.size);
    parts.push(
      svg("text", { x: cx, y: cy - 4, "text-anchor": "middle", class: "rl-big" }, format.bytes(state.size)),
      svg("text", { x: cx, y: cy + 14, "text-anchor": "middle", class: "rl-small rl-inside" },
        turns ? `written around ${exact(turns)} time${turns === 1 ? "" : "s"}` : "not full yet"),
      isBehind ? svg("text", { x: cx, y: cy + 34, "text-anchor": "middle", style: `fill: var(--rl-${verdict(last)[1]})` },
        `${short(last.name)} lacks ${format.bytes(state.offset - last.offset)}`) : null,
    );
    return parts.filter(Boolean);
  }

  function facts(state, x, y, width) {
    const rows = [
      ["oldest byte kept", exact(state.first), "teal"],
      ["bytes kept", exact(state.length), "teal"],
      ["next byte to write", exact(state.offset + 1), "blue"],
    ];
    const parts = rows.flatMap(([name, value, tone], at) => [
      svg("circle", { cx: x + 5, cy: y + at * 20 - 4, r: 4, style: `fill: var(--rl-${tone})` }),
      svg("text", { x: x + 16, y: y + at * 20 }, name),
      svg("text", { x: x + width, y: y + at * 20, "text-anchor": "end" }, value),
    ]);
    let line = y + rows.length * 20 + 14;
    for (const place of state.replicas) {
      const [word, tone] = verdict(place);
      const room = Math.max(place.room, 0) / state.size;
      parts.push(
        svg("circle", { cx: x + 5, cy: line - 4, r: 4, style: `fill: var(--rl-${tone})` }),
        svg("text", { x: x + 16, y: line, style: "font-weight: 600" }, place.name),
        svg("text", { x: x + width, y: line, "text-anchor": "end", style: `fill: var(--rl-${tone})` }, word),
        svg("text", { x: x + 16, y: line + 17, class: "rl-small" }, `needs byte ${exact(place.offset + 1)}`),
        svg("text", { x: x + width, y: line + 17, "text-anchor": "end", class: "rl-small" },
          place.room < 0 ? `${exact(-place.room)} bytes too late` : `room: ${format.bytes(place.room)}`),
        svg("rect", { x: x + 16, y: line + 23, width: width - 16, height: 6, rx: 3, style: "fill: var(--rl-panel); stroke: var(--rl-line)" }),
        svg("rect", { x: x + 16, y: line + 23, width: (width - 16) * room, height: 6, rx: 3, class: "rl-ease", style: `fill: var(--rl-${tone})` }),
      );
      line += 50;
    }
    return { parts, bottom: line - 12 };
  }

  return {
    player: true,
    events: true,
    mount(stage, recording) {
      let width = 640;
      const picture = svg("svg", { role: "img" });
      const empty = html("p", { class: "rl-quiet" }, "No backlog yet: it is made for the first replica.");
      stage.append(empty);

      function draw({ state }) {
        if (!state.active || !state.size) {
          picture.replaceWith(empty);
          return;
        }
        if (!picture.isConnected) empty.replaceWith(picture);
        const wide = width >= 540;
        const radius = Math.min(118, width / 2 - 40);
        const center = wide ? radius + 44 : width / 2;
        const left = wide ? 2 * radius + 104 : 0;
        const { parts, bottom } = facts(state, left, wide ? 34 : 2 * radius + 84, width - left - 2);
        const height = Math.max(bottom, 2 * radius + 56);
        picture.setAttribute("viewBox", `0 0 ${width} ${height}`);
        picture.setAttribute("width", width);
        picture.setAttribute("height", height);
        picture.setAttribute("aria-label", words(state));
        picture.replaceChildren(...ring(state, center, radius + 28, radius), ...parts);
      }

      return {
        show: draw,
        resize(now) { width = Math.max(now, 280); },
      };
    },
  };
}
