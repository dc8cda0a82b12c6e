// A state machine, drawn from its table. The states stand one below the other in the order of the table;
// an answer that leads to the next one is a straight arrow, one that leads back runs up a rail on
// the left, one that skips ahead down a rail on the right. A run walks through it.
//
// meta: {states: [name], edges: [[state, answer, next]], says: {state: words}}. state, one step of a
// run: {time, state, before, answer, detail}; an empty `state` is no run.

const GAP = 30; // px between two states

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
        const boxWidth = wide ? 236 : Math.min(158, width - 156);
        const boxHeight = wide ? 42 : 56; // narrow: what is sent may take two lines
        const x = wide ? 210 : 98;
        const right = Math.min(width - 8, x + boxWidth + (wide ? 134 : 66)); // the first rail ahead
        const top = (name) => states.indexOf(name) * (boxHeight + GAP) + 4;
        const at = (name) => states.indexOf(name);
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
          const [cx, y1, y2] = [x + boxWidth / 2, top(name) + boxHeight, top(next)];
          parts.push(
            svg("path", { d: `M${cx},${y1}V${y2 - 6}`, style: `stroke: ${tone(group)}; stroke-width: ${thick(group)}` }),
            head(cx, y2 - 1, 90, tone(group)),
          );
          const text = lines(group.map(([, answer]) => answer).join(", or "), right - cx - 14, 2);
          parts.push(...label(text, cx + 9, (y1 + y2) / 2 + (text.length > 1 ? -3 : 3), "start", tone(group)));
        });

        // Back and ahead, on rails: one for each state that is led to.
        const others = edges.filter(([state, , target]) => at(target) !== at(state) + 1);
        const rails = (back) => [...new Set(others.filter(([state, , target]) => (at(target) < at(state)) === back).map(([, , target]) => target))];
        for (const back of [true, false]) {
          rails(back).forEach((target, number) => {
            const group = others.filter(([state, , to]) => to === target && (at(to) < at(state)) === back);
            const side = back ? x : x + boxWidth;
            const rail = back ? 10 + number * 12 : right - number * 12;
            const end = top(target) + boxHeight / 2;
            const sources = [...new Set(group.map(([state]) => state))];
            const far = sources.reduce((one, two) => (Math.abs(at(two) - at(target)) > Math.abs(at(one) - at(target)) ? two : one));
            parts.push(
              svg("path", { d: `M${rail},${top(far) + boxHeight / 2}V${end}H${side + (back ? -7 : 7)}`, style: `fill: none; stroke: ${tone(group)}; stroke-width: ${thick(group)}` }),
              head(side + (back ? -1 : 1), end, back ? 0 : 180, tone(group)),
            );
            for (const source of sources) {
              const mine = group.filter(([state]) => state === source);
              const y = top(source) + boxHeight / 2;
              const text = lines(mine.map(([, answer]) => answer).join(", or "), Math.abs(side - rail) - 8, 4);
              parts.push(
                svg("path", { d: `M${side},${y}H${rail}`, style: `stroke: ${tone(mine)}; stroke-width: ${thick(mine)}` }),
                ...label(text.slice(0, 1), back ? side - 6 : side + 6, y - 4, back ? "end" : "start", tone(mine)),
                ...label(text.slice(1), back ? side - 6 : side + 6, y + 12, back ? "end" : "start", tone(mine)),
              );
            }
          });
        }

        for (const name of states) {
          const y = top(name);
          const current = name === here;
          const color = current ? "blue" : visited.has(name) ? "teal" : "line";
          parts.push(
            svg("rect", {
              x, y, width: boxWidth, height: boxHeight, rx: 8,
              style: `fill: ${current ? "color-mix(in srgb, var(--rl-blue) 14%, var(--rl-panel))" : "var(--rl-panel)"}; stroke: var(--rl-${color}); stroke-width: ${current ? 2.5 : 1.5}`,
            }),
            svg("text", { x: x + boxWidth / 2, y: y + (says[name] ? 17 : boxHeight / 2 + 5), "text-anchor": "middle", style: "font-weight: 600" }, name),
            ...lines(says[name] ?? "", boxWidth * (wide ? 0.93 : 1), 2).map((text, at) => svg("text", {
              x: x + boxWidth / 2, y: y + 33 + 13 * at, "text-anchor": "middle", class: "rl-small rl-inside",
              style: `font-family: var(--rl-mono); font-size: ${wide ? 10.5 : 9.5}px`,
            }, text)),
          );
        }
        const height = states.length * (boxHeight + GAP) - GAP + 8;
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
