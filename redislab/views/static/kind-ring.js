// A hash ring beside modulo hashing, one frame for each change. The circle is all hashes, from 0 at the
// top clockwise to 2^32; a node has points on it, and an arc has the color of the node at its end,
// which owns the keys on it. Keys are dots inside. What changed hands in this step is red: arcs on an
// outer circle, keys by a ring around them. Beside it how many of all keys moved, how many each node
// has, and where the drawn keys are if the node is the hash modulo the number of nodes.
//
// meta: {names: [every node that there ever was], points: {"A 4": [hash]}, keys: [[key, hash]], sample:
// how many keys are counted, hash}. state: {step, nodes: [{name, weight, points: "A 4", share, keys,
// modulo, fair}], before: [[name, "A 4"]], owners: [name of each drawn key's node], modulo: [likewise], ring_moved:
// [place of a drawn key], modulo_moved: [likewise], moved: {ring, modulo, from: [name], to: [name]} or null, looked:
// {key, hash, point, node, modulo} or null}.

const WHOLE = 2 ** 32;
const COLORS = [
  "var(--rl-blue)", "var(--rl-amber)", "var(--rl-teal)", "var(--rl-violet)", "light-dark(#b0307f, #ff8ccf)",
  "light-dark(#5c7310, #b7d354)", "light-dark(#7a4a2b, #d9a37c)", "light-dark(#48606f, #a9c0cf)",
];
const NAMED_POINTS = 16; // up to so many points have their node's name beside them
const NAMED_KEYS = 10; // and so many keys, or keys that moved, theirs
const BAND = 13; // px
const MARGIN = 44; // px around the circle, for names

export default function create({ svg, html }) {
  const exact = (value) => Math.round(value).toLocaleString("en-US");
  const percent = (share) => `${(100 * share).toFixed(1)} %`;
  const listed = (names) => (names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`);
  const fit = (text, room) => {
    const letters = Math.max(Math.floor(room / 6.2), 3);
    return text.length <= letters ? text : `${text.slice(0, letters - 1)}…`;
  };

  // The points of nodes as [hash, name], around the circle. Where two are the same, the first one's counts.
  function around(nodes, points) {
    return nodes.flatMap(([name, list]) => (points[list] ?? []).map((at) => [at, name])).sort((a, b) => a[0] - b[0]);
  }

  // Arcs [from, to, owner], those of one owner that follow each other joined; `to` may be beyond 2^32.
  function arcs(circle) {
    if (!circle.length) return [];
    const found = [];
    let from = circle.at(-1)[0] - WHOLE;
    for (const [at, name] of circle) {
      if (found.length && found.at(-1)[2] === name) found.at(-1)[1] = at;
      else if (at > from) found.push([from, at, name]);
      from = at;
    }
    return found;
  }

  function ownerOf(circle, hash) {
    let [low, high] = [0, circle.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (circle[middle][0] < hash) low = middle + 1;
      else high = middle;
    }
    return circle[low % circle.length]?.[1];
  }

  // The arcs that have another owner than before.
  function changed(before, now) {
    if (!before.length || !now.length) return [];
    const ends = [...new Set([...before, ...now].map(([at]) => at))].sort((a, b) => a - b);
    const found = [];
    let from = ends.at(-1) - WHOLE;
    for (const at of ends) {
      if (ownerOf(before, at) !== ownerOf(now, at)) {
        if (found.length && found.at(-1)[1] === from) found.at(-1)[1] = at;
        else found.push([from, at]);
      }
      from = at;
    }
    return found;
  }

  const angle = (hash) => (hash / WHOLE) * 2 * Math.PI - Math.PI / 2;

  function arcPath(cx, cy, r, from, to) {
    const [a, b] = [angle(from), angle(to)];
    const xy = (at) => `${(cx + r * Math.cos(at)).toFixed(2)},${(cy + r * Math.sin(at)).toFixed(2)}`;
    // A whole circle has no two ends: half of it, and the other half.
    if (b - a > 2 * Math.PI - 1e-6) {
      const half = (a + b) / 2;
      return `M${xy(a)}A${r},${r} 0 0 1 ${xy(half)}A${r},${r} 0 0 1 ${xy(b)}`;
    }
    return `M${xy(a)}A${r},${r} 0 ${b - a > Math.PI ? 1 : 0} 1 ${xy(b)}`;
  }

  const anchor = (x, cx) => (Math.abs(x - cx) < 14 ? "middle" : x > cx ? "start" : "end");

  const many = (count, word) => `${exact(count)} ${word}${count === 1 ? "" : "s"}`;

  function words(state, meta) {
    const nodes = state.nodes.map((node) => `${node.name}: ${many(meta.points[node.points]?.length ?? 0, "point")}, `
      + `${percent(node.keys / meta.sample)} of the keys, by modulo ${percent(node.modulo / meta.sample)}`);
    return [sentence(state, meta).replace(/\.$/, ""), ...nodes, looked(state)].filter(Boolean).join(". ");
  }

  function looked({ looked: found }) {
    return found ? `${found.key} hashes to ${exact(found.hash)}; the next point is ${exact(found.point)}, of ${found.node}; by modulo it is on ${found.modulo}` : "";
  }

  function sentence(state, meta) {
    if (state.looked && !state.moved) return "";
    if (!state.moved) return `${state.step}: ${listed(state.nodes.map((node) => node.name))}.`;
    const { from, to } = state.moved;
    // Where all go to one node, or all come from one, that is what the ring is for.
    const way = (from.length === 1 ? ` from ${from[0]}` : "") + (to.length === 1 ? ` to ${to[0]}` : "");
    return `${state.step}: on the ring ${exact(state.moved.ring)} of ${exact(meta.sample)} keys moved (${percent(state.moved.ring / meta.sample)}${way && `, all${way}`}), `
      + `by modulo ${exact(state.moved.modulo)} (${percent(state.moved.modulo / meta.sample)}).`;
  }

  return {
    player: true,
    events: false,
    mount(stage, recording) {
      let width = 640;
      let { meta } = recording;
      const picture = svg("svg", { role: "img" });
      const note = html("p", { class: "rl-explain", "aria-live": "polite" });
      stage.append(picture, note);

      const tone = (name) => COLORS[meta.names.indexOf(name) % COLORS.length];

      function circle(state, size) {
        const [cx, cy, r] = [size / 2, size / 2, size / 2 - MARGIN];
        const now = around(state.nodes.map((node) => [node.name, node.points]), meta.points);
        const before = around(state.before, meta.points);
        const at = (hash, radius) => [cx + radius * Math.cos(angle(hash)), cy + radius * Math.sin(angle(hash))];
        const parts = [svg("circle", { cx, cy, r, style: `fill: none; stroke: var(--rl-line); stroke-width: ${BAND}` })];

        // Arcs by owner: one path for each node.
        const mine = new Map();
        for (const [from, to, name] of arcs(now)) mine.set(name, (mine.get(name) ?? "") + arcPath(cx, cy, r, from, to));
        for (const [name, d] of mine) parts.push(svg("path", { d, style: `fill: none; stroke: ${tone(name)}; stroke-width: ${BAND}` }, svg("title", {}, `the keys of ${name}`)));

        if (state.moved) {
          const d = changed(before, now).map(([from, to]) => arcPath(cx, cy, r + BAND / 2 + 6, from, to)).join("");
          if (d) parts.push(svg("path", { d, style: "fill: none; stroke: var(--rl-red); stroke-width: 4" }, svg("title", {}, "these hashes have another node than before")));
        }

        // Zero, where the circle closes.
        parts.push(svg("path", { d: `M${cx},${cy - r + BAND / 2}v-${BAND}`, style: "stroke: var(--rl-ink); stroke-width: 1" }),
          svg("text", { x: cx, y: 11, "text-anchor": "middle", class: "rl-small" }, "0 = 2³²"));

        // Points: with names while there are few.
        if (now.length <= NAMED_POINTS) {
          for (const [hash, name] of now) {
            const [x, y] = at(hash, r);
            const [tx, ty] = at(hash, r + BAND / 2 + 16);
            parts.push(
              svg("circle", { cx: x, cy: y, r: 7, style: `fill: var(--rl-surface); stroke: ${tone(name)}; stroke-width: 3.5` }, svg("title", {}, `${name} at ${exact(hash)}`)),
              svg("text", { x: tx, y: ty + 4, "text-anchor": anchor(tx, cx), class: "rl-halo", style: `font-weight: 600; fill: ${tone(name)}` }, fit(name, MARGIN + 8)),
            );
          }
        } else {
          const d = now.map(([hash]) => {
            const [[x1, y1], [x2, y2]] = [at(hash, r - BAND / 2), at(hash, r + BAND / 2)];
            return `M${x1.toFixed(1)},${y1.toFixed(1)}L${x2.toFixed(1)},${y2.toFixed(1)}`;
          }).join("");
          parts.push(svg("path", { d, style: `stroke: var(--rl-surface); stroke-width: ${now.length > 200 ? 0.5 : 1}` }));
        }

        // Keys: which have a name beside them, follows from how many there are.
        const moved = new Set(state.moved ? state.ring_moved : []);
        const isNamed = (place) => meta.keys.length <= NAMED_KEYS || (moved.size <= NAMED_KEYS && moved.has(place));
        const inner = r - BAND / 2 - 13;
        const taken = state.moved || state.looked ? [[cx - 56, cy - 20, cx + 56, cy + 38]] : [];
        const isFree = ([left, top, right, bottom]) => !taken.some((one) => left < one[2] && right > one[0] && top < one[3] && bottom > one[1]);
        meta.keys.forEach(([key, hash], place) => {
          const [x, y] = at(hash, inner);
          const said = svg("title", {}, `${key}: hash ${exact(hash)}, on ${state.owners[place]}${moved.has(place) ? ", moved" : ""}`);
          parts.push(svg("circle", {
            cx: x, cy: y, r: moved.has(place) ? 6 : 4.5,
            style: `fill: ${tone(state.owners[place])}; stroke: ${moved.has(place) ? "var(--rl-red)" : "none"}; stroke-width: 2.5`,
          }, said));
          if (!isNamed(place)) return;
          const [tx, ty] = at(hash, inner - 12);
          const inward = { start: "end", end: "start", middle: "middle" }[anchor(tx, cx)];
          const text = fit(key, inner * 0.7);
          const room = text.length * 6;
          const left = { start: tx, end: tx - room, middle: tx - room / 2 }[inward];
          const box = [left, ty - 6, left + room, ty + 6];
          if (!isFree(box)) return; // its name is in its tooltip
          taken.push(box);
          parts.push(svg("text", { x: tx, y: ty + 4, "text-anchor": inward, class: "rl-small" }, text));
        });

        // A key that was asked for: from its hash clockwise to the point that owns it.
        if (state.looked) {
          const { hash, point, key } = state.looked;
          const reach = point >= hash ? point : point + WHOLE;
          const [[x1, y1], [x2, y2]] = [at(hash, 0.28 * r), at(hash, inner - 8)];
          const [px, py] = at(point, inner - 8);
          const [qx, qy] = at(point, r - BAND / 2);
          parts.push(
            svg("path", { d: `M${x1},${y1}L${x2},${y2}${arcPath(cx, cy, inner - 8, hash, reach).replace("M", "L")}M${px},${py}L${qx},${qy}`, style: "fill: none; stroke: var(--rl-ink); stroke-width: 2" }),
            svg("circle", { cx: qx, cy: qy, r: 3.5, style: "fill: var(--rl-ink)" }),
            svg("text", { x: cx, y: cy + 34, "text-anchor": "middle", class: "rl-halo" }, fit(`${key} → ${state.looked.node}`, 1.3 * inner)),
          );
        }
        if (state.moved) {
          parts.push(
            svg("text", { x: cx, y: cy + 2, "text-anchor": "middle", class: "rl-big rl-halo", style: `fill: var(--rl-${state.moved.ring ? "red" : "muted"})` }, percent(state.moved.ring / meta.sample)),
            svg("text", { x: cx, y: cy + 18, "text-anchor": "middle", class: "rl-small" }, "of the keys moved"),
          );
        } else {
          parts.push(svg("text", { x: cx, y: cy + 4, "text-anchor": "middle", class: "rl-small" }, many(now.length, "point")));
        }
        return parts;
      }

      const heading = (text, x, y) => svg("text", { x, y, style: "font-weight: 600" }, text);

      function bar(x, y, room, share, color, mark, label) {
        const most = room - 50;
        return [
          svg("rect", { x, y, width: most, height: 12, rx: 2, style: "fill: var(--rl-panel)" }),
          svg("rect", { class: "rl-ease", x, y, width: Math.max(most * Math.min(share, 1), share > 0 ? 1 : 0), height: 12, rx: 2, style: `fill: ${color}` }),
          mark === null ? null : svg("path", { d: `M${x + most * mark},${y - 2}v16`, style: "stroke: var(--rl-ink); stroke-width: 1.5" }, svg("title", {}, `fair: ${percent(mark)}`)),
          svg("text", { x: x + room, y: y + 10, "text-anchor": "end", style: "font-size: 11.5px" }, label),
        ];
      }

      // The figures beside the circle, or under it; returns parts and where they end.
      function panel(state, x, top, room) {
        const parts = [];
        const label = Math.min(86, Math.max(54, ...state.nodes.map(({ name }) => name.length * 6.6 + 20)));
        const named = (name, y) => [
          svg("circle", { cx: x + 5, cy: y + 6, r: 5, style: `fill: ${tone(name)}` }),
          svg("text", { x: x + 15, y: y + 10 }, fit(name, label - 16)),
        ];
        let y = top + 12;
        parts.push(heading("Keys that moved in this step", x, y));
        y += 10;
        for (const [name, count] of [["ring", state.moved?.ring], ["modulo", state.moved?.modulo]]) {
          parts.push(svg("text", { x, y: y + 10 }, name), ...bar(x + label, y, room - label, (count ?? 0) / meta.sample, "var(--rl-red)", null, state.moved ? percent(count / meta.sample) : "–"));
          y += 19;
        }
        y += 16;
        parts.push(heading("Keys on each node: ring", x, y), svg("text", { x: x + room, y, "text-anchor": "end", class: "rl-small" }, room > 250 ? "| fair share" : "| fair"));
        y += 10;
        for (const node of state.nodes) {
          parts.push(...named(node.name, y), ...bar(x + label, y, room - label, node.keys / meta.sample, tone(node.name), node.fair, percent(node.keys / meta.sample)));
          y += 19;
        }
        y += 16;
        const total = state.nodes.reduce((sum, node) => sum + node.weight, 0);
        parts.push(heading(`The same keys by hash mod ${total}`, x, y));
        y += 10;
        const moved = new Set(state.moved ? state.modulo_moved : []);
        const across = Math.max(1, Math.floor((room - label) / 14));
        for (const { name } of state.nodes) {
          parts.push(...named(name, y));
          const here = meta.keys.map(([key], place) => [key, place]).filter(([, place]) => state.modulo[place] === name);
          here.forEach(([key, place], at) => parts.push(svg("circle", {
            cx: x + label + 6 + (at % across) * 14, cy: y + 6 + Math.floor(at / across) * 14, r: 4.5,
            style: `fill: ${tone(name)}; stroke: ${moved.has(place) ? "var(--rl-red)" : "none"}; stroke-width: 2.5`,
          }, svg("title", {}, `${key}: on ${name}${moved.has(place) ? ", moved" : ""}`))));
          y += 5 + 14 * Math.max(1, Math.ceil(here.length / across));
        }
        if (state.moved) {
          y += 12;
          parts.push(svg("circle", { cx: x + 6, cy: y - 4, r: 4.5, style: "fill: none; stroke: var(--rl-red); stroke-width: 2.5" }), svg("text", { x: x + 16, y, class: "rl-small" }, "moved in this step"));
        }
        return { parts, end: y + 8 };
      }

      function draw({ state }) {
        const wide = width >= 560;
        const size = Math.min(wide ? width * 0.54 : width, 440);
        const left = wide ? 0 : (width - size) / 2;
        const beside = wide ? panel(state, size + 16, 8, width - size - 16) : panel(state, 0, size + 10, width);
        const height = Math.max(size, beside.end);
        picture.setAttribute("viewBox", `0 0 ${width} ${height}`);
        picture.setAttribute("width", width);
        picture.setAttribute("height", height);
        picture.setAttribute("aria-label", words(state, meta));
        picture.replaceChildren(
          svg("g", { transform: `translate(${left},0)` }, ...circle(state, size)),
          ...beside.parts.filter(Boolean),
        );
        note.textContent = [sentence(state, meta), looked(state) && `${looked(state)}.`].filter(Boolean).join(" ");
      }

      return {
        show: draw,
        resize(now) { width = Math.max(now, 260); },
        update(grown) { ({ meta } = grown); },
      };
    },
  };
}
