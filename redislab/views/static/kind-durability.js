// Writes on their way to the disk. Three places, one below the other: the server's memory, the page
// cache of the operating system, the disk; each bar ends at the latest write that has got there.
// What a bar lacks against the first one is what the fault beside it would take. After the fault all
// three end where the server found itself when it came back.
//
// meta: {mode, fault}. state: {acknowledged, cached, stored, over, lost}, numbers of writes.

export default function create({ svg, html, format, ticks }) {
  const exact = (value) => Math.round(value).toLocaleString("en-US");
  const PLACES = [
    ["acknowledged", "acknowledged: in the server's memory", "blue"],
    ["cached", "in a file: in the page cache", "violet"],
    ["stored", "on the disk", "teal"],
  ];

  function words(state, meta) {
    if (state.over) return `After the ${meta.fault} the server came back with ${exact(state.acknowledged)} writes; ${exact(state.lost)} acknowledged writes are lost.`;
    return `${exact(state.acknowledged)} writes acknowledged, ${exact(state.cached)} in the page cache, ${exact(state.stored)} on the disk. `
      + `Now a kill -9 would lose ${exact(state.acknowledged - state.cached)}, a power failure up to ${exact(state.acknowledged - state.stored)}.`;
  }

  return {
    player: true,
    events: true,
    mount(stage, recording) {
      let width = 640;
      let { frames, meta, events } = recording;
      const picture = svg("svg", { role: "img" });
      stage.append(picture);

      function bars(state, top, whole) {
        const room = whole - 76;
        return PLACES.flatMap(([name, label, tone], at) => {
          const y = top + at * 44;
          const missing = state.acknowledged - state[name];
          const risk = state.over || !missing ? "" : name === "cached" ? ` · kill -9 would take ${exact(missing)}` : ` · a power failure would take up to ${exact(missing)}`;
          const share = (value) => (most ? (value / most) * room : 0);
          return [
            svg("text", { x: 0, y: y - 5, style: "font-size: 12px" }, label,
              svg("tspan", { style: "fill: var(--rl-red)" }, width >= 420 ? risk : "")),
            svg("rect", { x: 0, y, width: room, height: 16, rx: 3, style: "fill: var(--rl-panel)" }),
            missing > 0 && !state.over ? svg("rect", {
              x: share(state[name]), y, width: share(missing), height: 16, rx: 3,
              style: "fill: color-mix(in srgb, var(--rl-red) 35%, transparent)",
            }) : null,
            state.lost ? svg("rect", {
              x: share(state[name]), y: y + 0.5, width: share(state.lost), height: 15, rx: 3,
              "stroke-dasharray": "3 3", style: "fill: none; stroke: var(--rl-red)",
            }) : null,
            svg("rect", { class: "rl-ease", x: 0, y, width: Math.max(share(state[name]), 1), height: 16, rx: 3, style: `fill: var(--rl-${tone})` }),
            svg("text", { x: whole, y: y + 12, "text-anchor": "end", style: "font-weight: 600" }, exact(state[name])),
          ];
        });
      }

      let most = 1;
      function chart(index, top) {
        const [left, right, height] = [44, width - 12, 110];
        const zero = frames[0].time;
        const span = frames.at(-1).time - zero || 1;
        const px = (time) => left + ((time - zero) / span) * (right - left);
        const py = (value) => top + height - (value / most) * height;
        const past = frames.slice(0, index + 1);
        const now = past.at(-1);
        const parts = ticks(most, 2).flatMap((value) => [
          svg("path", { class: "rl-axis", d: `M${left},${py(value)}H${right}`, opacity: value ? 0.6 : 1 }),
          svg("text", { x: left - 6, y: py(value) + 4, "text-anchor": "end", class: "rl-small" }, format.count(value)),
        ]);
        for (const event of events.filter((one) => one.time <= now.time && one.time >= zero && one.kind !== "start")) {
          parts.push(
            svg("path", { d: `M${px(event.time)},${top - 4}V${top + height}`, style: "stroke: var(--rl-red); stroke-width: 1.5" }),
            svg("text", { x: px(event.time) + 4, y: top - 8, "text-anchor": "end", class: "rl-small", style: "fill: var(--rl-red)" }, event.kind === "crash" ? "power failure" : event.kind),
          );
        }
        for (const [name, , tone] of PLACES) {
          let d = "";
          past.forEach(({ time, state }, at) => {
            if (state.over) d += `M${px(time).toFixed(1)},${py(state[name]).toFixed(1)}h0.1`;
            else d += at ? `H${px(time).toFixed(1)}V${py(state[name]).toFixed(1)}` : `M${px(time).toFixed(1)},${py(state[name]).toFixed(1)}`;
          });
          parts.push(svg("path", { class: "rl-curve", d, style: `stroke: var(--rl-${tone})` }));
          parts.push(svg("circle", { cx: px(now.time), cy: py(now.state[name]), r: 3.5, style: `fill: var(--rl-${tone})` }));
        }
        parts.push(
          svg("text", { x: 0, y: top - 8, class: "rl-small" }, "number of the latest write in each place"),
          svg("text", { x: left, y: top + height + 15, class: "rl-small" }, format.seconds(zero)),
          svg("text", { x: right, y: top + height + 15, "text-anchor": "end", class: "rl-small" }, format.seconds(zero + span)),
        );
        return parts;
      }

      function draw({ state }, index) {
        most = Math.max(...frames.map((frame) => frame.state.acknowledged), 1);
        const height = 24 + 3 * 44 + 42 + 110 + 22;
        picture.setAttribute("viewBox", `0 0 ${width} ${height}`);
        picture.setAttribute("width", width);
        picture.setAttribute("height", height);
        picture.setAttribute("aria-label", words(state, meta));
        const verdict = state.over
          ? svg("text", { x: 0, y: 24 + 3 * 44 - 8, style: `font-weight: 600; fill: var(--rl-${state.lost ? "red" : "teal"})` },
            state.lost ? `lost: ${exact(state.lost)} acknowledged writes` : "nothing is lost")
          : null;
        picture.replaceChildren(...[...bars(state, 20, width), verdict, ...chart(index, 24 + 3 * 44 + 34)].filter(Boolean));
      }

      return {
        show: draw,
        resize(now) { width = Math.max(now, 280); },
        update(grown) { ({ frames, meta, events } = grown); },
      };
    },
  };
}
