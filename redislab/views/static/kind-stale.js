// The stale-read meter. On the left the share of reads that were out of date in this run so far, with a
// mark where the law says it should be; below it the latest reads, one mark each. On the right the share
// over time, with the lag that was set.
//
// meta: {replica}. state: {lag, rate, expected, share, total, reads, stale, age, oldest, recent}; lag and
// ages in seconds, shares from 0 to 1, `recent` a 0 (fresh) or 1 (stale) for each read.

export default function create({ svg, html, format }) {
  const percent = (share) => `${(share * 100).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`;

  function words(state, meta) {
    return `${meta.replica} is ${format.seconds(state.lag)} late; each key is written ${state.rate} times a second. `
      + `${state.stale} of ${state.reads} reads were stale, ${percent(state.total)}; the law says ${percent(state.expected)}. `
      + (state.stale ? `Half of the stale reads were out of date for less than ${format.seconds(state.age)}, all for less than ${format.seconds(state.oldest)}.` : "");
  }

  // A half circle from 0 on the left to 100 % on the right.
  function gauge(state, cx, cy, radius) {
    const at = (share, r) => {
      const turn = Math.PI * (1 + share);
      return `${(cx + r * Math.cos(turn)).toFixed(1)},${(cy + r * Math.sin(turn)).toFixed(1)}`;
    };
    const arc = (share, style) => svg("path", { d: `M${at(0, radius)}A${radius},${radius} 0 0 1 ${at(share, radius)}`, style: `fill: none; stroke-width: 20; ${style}` });
    return [
      arc(1, "stroke: var(--rl-panel)"),
      state.total > 0 ? arc(Math.min(state.total, 1), "stroke: var(--rl-amber)") : null,
      svg("path", { d: `M${at(state.expected, radius - 14)}L${at(state.expected, radius + 14)}`, style: "stroke: var(--rl-ink); stroke-width: 2" }),
      svg("text", { x: cx, y: cy - 16, "text-anchor": "middle", class: "rl-big" }, percent(state.total)),
      svg("text", { x: cx, y: cy + 2, "text-anchor": "middle", class: "rl-small rl-inside" }, `stale · ${percent(state.expected)} expected`),
      svg("text", { x: cx - radius, y: cy + 14, "text-anchor": "middle", class: "rl-small" }, "0 %"),
      svg("text", { x: cx + radius, y: cy + 14, "text-anchor": "middle", class: "rl-small" }, "100 %"),
    ].filter(Boolean);
  }

  // A stale read is a tall mark and a fresh one a short one: color alone would not tell all readers.
  function mark(isStale, x, y) {
    const height = isStale ? 9 : 4;
    return svg("rect", {
      x, y: y + 9 - height, width: 5, height, rx: 1.5, style: `fill: var(--rl-${isStale ? "amber" : "teal"})`,
    });
  }

  function dots(recent, x, y, width) {
    const many = Math.min(recent.length, 2 * Math.floor(width / 7));
    const row = Math.ceil(many / 2);
    const word = (at, text) => svg("text", { x: x + at, y: y + 37, class: "rl-small" }, text);
    return [
      ...[...recent.slice(-many)].map((one, at) => mark(one === "1", x + (at % row) * 7, y + (at < row ? 0 : 12))),
      word(0, "the latest reads:"), mark(true, x + 94, y + 28), word(103, "stale"), mark(false, x + 138, y + 28), word(147, "fresh"),
    ];
  }

  return {
    player: true,
    events: true,
    mount(stage, recording) {
      let width = 640;
      let { frames, meta, events } = recording;
      const picture = svg("svg", { role: "img" });
      const empty = html("p", { class: "rl-quiet" }, "Nothing measured yet. Choose a lag and measure.");
      stage.append(frames.length ? picture : empty);

      function chart(index, x, y, wide, height) {
        const zero = frames[0].time;
        const span = frames.at(-1).time - zero || 1;
        const [left, right] = [x + 40, x + wide - 14];
        const px = (time) => left + ((time - zero) / span) * (right - left);
        const py = (share) => y + height - share * height;
        const past = frames.slice(0, index + 1);
        const curve = (name) => past.map(({ time, state }, at) => {
          const fresh = at === 0 || past[at - 1].state.lag !== state.lag || past[at - 1].state.rate !== state.rate;
          return `${fresh ? "M" : "L"}${px(time).toFixed(1)},${py(state[name]).toFixed(1)}`;
        }).join("");
        const now = past.at(-1);
        const parts = [0, 0.5, 1].flatMap((share) => [
          svg("path", { class: "rl-axis", d: `M${left},${py(share)}H${right}`, opacity: share ? 0.6 : 1 }),
          svg("text", { x: left - 6, y: py(share) + 4, "text-anchor": "end", class: "rl-small" }, percent(share)),
        ]);
        let before = -Infinity;
        for (const event of events.filter((one) => one.time <= now.time)) {
          const at = Math.max(px(event.time), left);
          parts.push(svg("path", { d: `M${at},${y - 4}V${y + height}`, "stroke-dasharray": "2 3", style: "stroke: var(--rl-muted)" }));
          if (at - before > 46) {
            parts.push(svg("text", { x: at + 3, y: y - 6, class: "rl-small" }, event.detail));
            before = at;
          }
        }
        parts.push(
          svg("path", { class: "rl-curve", d: curve("expected"), "stroke-dasharray": "4 4", style: "stroke: var(--rl-muted)" }),
          svg("path", { class: "rl-curve", d: curve("share"), style: "stroke: var(--rl-amber)" }),
          svg("circle", { cx: px(now.time), cy: py(now.state.share), r: 3, style: "fill: var(--rl-amber)" }),
          svg("text", { x: left, y: y + height + 16, class: "rl-small" }, "stale reads at each lag; dashed: expected"),
        );
        return parts;
      }

      function draw({ state }, index) {
        const wide = width >= 520;
        const leftWidth = wide ? 250 : width;
        const radius = Math.min(96, leftWidth / 2 - 26);
        const cx = leftWidth / 2;
        const top = radius + 16;
        const facts = [
          ["lag", format.seconds(state.lag)],
          ["stale reads", `${state.stale.toLocaleString("en-US")} of ${state.reads.toLocaleString("en-US")}`],
          ["out of date for (median)", state.stale ? format.seconds(state.age) : "–"],
        ];
        const below = top + 34;
        const height = wide ? below + 122 : below + 122 + 170;
        picture.setAttribute("viewBox", `0 0 ${width} ${height}`);
        picture.setAttribute("width", width);
        picture.setAttribute("height", height);
        picture.setAttribute("aria-label", words(state, meta));
        picture.replaceChildren(
          ...gauge(state, cx, top, radius),
          ...dots(state.recent, 8, below, leftWidth - 16),
          ...facts.flatMap(([name, value], at) => [
            svg("text", { x: 8, y: below + 64 + at * 18 }, name),
            svg("text", { x: leftWidth - 8, y: below + 64 + at * 18, "text-anchor": "end", style: "font-weight: 600" }, value),
          ]),
          ...(wide ? chart(index, leftWidth + 16, 26, width - leftWidth - 16, height - 66)
            : chart(index, 0, below + 144, width, 110)),
        );
      }

      return {
        show(frame, index) {
          if (!picture.isConnected) empty.replaceWith(picture);
          draw(frame, index);
        },
        resize(now) { width = Math.max(now, 280); },
        update(grown) { ({ frames, meta, events } = grown); },
      };
    },
  };
}
