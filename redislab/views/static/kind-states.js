// A state machine, drawn from its table. The states stand one below the other in the order of the table;
// an answer that leads to the next one is a straight arrow, one that leads back runs up a rail on
// the left, one that skips ahead down a rail on the right. A run walks through it.
//
// meta: {states: [name], edges: [[state, answer, next]], says: {state: words}}. state, one step of a
// run: {time, state, before, answer, detail}; an empty `state` is no run.

const GAP = 30; // px between two states; more where words need it
const LINES = 8; // of an answer's words, at most

export default function create({ svg, html, format }) {
  function sentence({ state }) {
    if (!state.state) return "";
    const because = state.answer ? `${state.answer}${state.detail ? ` (${state.detail})` : ""}` : state.detail;
    return `At ${state.time.toFixed(4)} s: ${because ? `${because}, so ` : ""}${state.before || "start"} → ${state.state}`;
  }

  return {
    player: true,
    events: false,
    mount(stage, recording) {
      let width = 640;
      let { frames, meta } = recording;
      const picture = svg("svg", { role: "img" });
      const note = html("p", { class: "rl-explain", "aria-live": "polite" });
      stage.append(picture, note);

      const fit = (text, room) => {
        const letters = Math.max(Math.floor(room / 5.9), 3);
        return text.length <= letters ? text : `${text.slice(0, letters - 1)}…`;
      };

      // Words in as many lines as they need; the last one that there is room for is cut.
      function lines(text, room, most) {
        const letters = Math.max(Math.floor(room / 5.9), 3);
        const found = [""];
        for (const word of text.split(" ")) {
          const longer = found.at(-1) ? `${found.at(-1)} ${word}` : word;
          if (longer.length <= letters || !found.at(-1) || found.length === most) found[found.length - 1] = longer;
          else found.push(word);
        }
        return found.map((line) => fit(line, room));
      }

      const label = (found, x, y, anchor, color) => found.map((text, line) => svg("text", {
        x, y: y + 12 * line, "text-anchor": anchor, class: "rl-halo", style: `font-size: 11px; fill: ${color}`,
      }, text));

      function draw(frame, index) {
        const { states, edges, says } = meta;
        const wide = width >= 520;
        const boxWidth = wide ? 236 : Math.min(158, width - 168);
        const x = wide ? 210 : 110;
        const right = Math.min(width - 8, x + boxWidth + (wide ? 134 : 66)); // the first rail ahead
        const at = (name) => states.indexOf(name);
        const words = (group) => group.map(([, answer]) => answer).join(", or ");
        const others = edges.filter(([state, , target]) => at(target) !== at(state) + 1);
        const rails = (back) => [...new Set(others.filter(([state, , target]) => (at(target) < at(state)) === back).map(([, , target]) => target))];
        const railAt = (back, number) => (back ? 10 + number * 12 : right - number * 12);
        const roomTo = (back, number) => Math.abs((back ? x : x + boxWidth) - railAt(back, number)) - 12;

        // A state is as high as its words; the gap under it has room for the words on its arrows.
        const saying = states.map((name) => lines(says[name] ?? "", boxWidth * (wide ? 0.88 : 0.96), 4));
        const heights = saying.map((found) => (wide ? 29 : 30) + 13 * Math.max(found.length, wide ? 1 : 2));
        const onward = (name) => lines(words(edges.filter(([state, , target]) => state === name && at(target) === at(name) + 1)), railAt(false, rails(false).length - 1) - (x + boxWidth / 2) - 18, 4);
        const aside = (name) => Math.max(0, ...[true, false].flatMap((back) => rails(back).map((target, number) => {
          const mine = others.filter(([state, , to]) => state === name && to === target && (at(to) < at(state)) === back);
          return mine.length ? lines(words(mine), roomTo(back, number), LINES).length : 0;
        })));
        const gaps = states.map((name, place) => Math.max(GAP, 12 * onward(name).length + 8, 12 * aside(name) + 20 - heights[place]));
        const tops = states.map((_, place) => 4 + heights.slice(0, place).reduce((sum, one, n) => sum + one + gaps[n], 0));
        const top = (name) => tops[at(name)];
        const middle = (name) => top(name) + heights[at(name)] / 2;
        const walked = new Set(frames.slice(0, index + 1).map(({ state }) => `${state.before}/${state.answer}`));
        const visited = new Set(frames.slice(0, index + 1).map(({ state }) => state.state));
        const here = frame.state.state;
        const tone = (group) => (group.some(([state, answer]) => walked.has(`${state}/${answer}`)) ? "var(--rl-blue)" : "var(--rl-muted)");
        const thick = (group) => (tone(group) === "var(--rl-blue)" ? 2.25 : 1.25);
        const parts = [];
        const head = (px, py, turn, color) => svg("path", { d: "M0,0L-8,-4L-8,4z", transform: `translate(${px},${py}) rotate(${turn})`, style: `fill: ${color}` });

        // Straight down.
        states.forEach((name, place) => {
          const next = states[place + 1];
          const group = edges.filter(([state, , target]) => state === name && target === next);
          if (!group.length) return;
          const [cx, y1, y2] = [x + boxWidth / 2, top(name) + heights[place], top(next)];
          parts.push(
            svg("path", { d: `M${cx},${y1}V${y2 - 6}`, style: `stroke: ${tone(group)}; stroke-width: ${thick(group)}` }),
            head(cx, y2 - 1, 90, tone(group)),
          );
          const text = onward(name);
          parts.push(...label(text, cx + 9, (y1 + y2) / 2 + 9 - 6 * text.length, "start", tone(group)));
        });

        // Back and ahead, on rails: one for each state that is led to.
        for (const back of [true, false]) {
          rails(back).forEach((target, number) => {
            const group = others.filter(([state, , to]) => to === target && (at(to) < at(state)) === back);
            const side = back ? x : x + boxWidth;
            const rail = railAt(back, number);
            const end = middle(target);
            const sources = [...new Set(group.map(([state]) => state))];
            const far = sources.reduce((one, two) => (Math.abs(at(two) - at(target)) > Math.abs(at(one) - at(target)) ? two : one));
            parts.push(
              svg("path", { d: `M${rail},${middle(far)}V${end}H${side + (back ? -7 : 7)}`, style: `fill: none; stroke: ${tone(group)}; stroke-width: ${thick(group)}` }),
              head(side + (back ? -1 : 1), end, back ? 0 : 180, tone(group)),
            );
            for (const source of sources) {
              const mine = group.filter(([state]) => state === source);
              const y = middle(source);
              const text = lines(words(mine), roomTo(back, number), LINES);
              parts.push(
                svg("path", { d: `M${side},${y}H${rail}`, style: `stroke: ${tone(mine)}; stroke-width: ${thick(mine)}` }),
                ...label(text.slice(0, 1), back ? side - 6 : side + 6, y - 4, back ? "end" : "start", tone(mine)),
                ...label(text.slice(1), back ? side - 6 : side + 6, y + 12, back ? "end" : "start", tone(mine)),
              );
            }
          });
        }

        for (const [place, name] of states.entries()) {
          const y = top(name);
          const current = name === here;
          const color = current ? "blue" : visited.has(name) ? "teal" : "line";
          parts.push(
            svg("rect", {
              x, y, width: boxWidth, height: heights[place], rx: 8,
              style: `fill: ${current ? "color-mix(in srgb, var(--rl-blue) 14%, var(--rl-panel))" : "var(--rl-panel)"}; stroke: var(--rl-${color}); stroke-width: ${current ? 2.5 : 1.5}`,
            }),
            svg("text", { x: x + boxWidth / 2, y: y + (says[name] ? 17 : heights[place] / 2 + 5), "text-anchor": "middle", style: "font-weight: 600" }, name),
            ...saying[place].map((text, line) => svg("text", {
              x: x + boxWidth / 2, y: y + 33 + 13 * line, "text-anchor": "middle", class: "rl-small rl-inside",
              style: `font-family: var(--rl-mono); font-size: ${wide ? 10.5 : 9.5}px`,
            }, text)),
          );
        }
        const height = Math.max(tops.at(-1) + heights.at(-1) + 4, middle(states.at(-1)) + 12 * aside(states.at(-1)) + 6);
        picture.setAttribute("viewBox", `0 0 ${width} ${height}`);
        picture.setAttribute("width", width);
        picture.setAttribute("height", height);
        const table = `${states.length} states: ${states.join(", ")}.`;
        picture.setAttribute("aria-label", here ? `${table} Step ${index + 1} of ${frames.length}. ${sentence(frame)}` : table);
        picture.replaceChildren(...parts.filter(Boolean));
        note.hidden = !here;
        note.textContent = sentence(frame);
      }

      return {
        show: draw,
        resize(now) { width = Math.max(now, 280); },
        update(grown) { ({ frames, meta } = grown); },
      };
    },
  };
}
