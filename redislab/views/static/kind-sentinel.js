// A master, its replicas, and their Sentinels. Above, as of this moment: what each Sentinel thinks, and
// under them the servers, with who follows whom. Below, up to this moment and on one time axis: what
// was done to the lab, what the Sentinels told, and what the clients that write saw.
//
// state: {master, nodes: [as in kind-replication], sentinels: [{name, state, master, s_down, o_down,
// config_epoch, leader, leader_epoch, failover, others, quorum, tilt}], cuts: [[from, to]], delays: [[a, b,
// seconds]], writes: {acknowledged, failed, lost}}. meta: {writes: [{writer, since, until, outcome,
// count, node, detail, found}], world, scenario, code}; what is lost counts as acknowledged until it was
// found out. `scenario` is the run as JSON and `code` as a program, for a reader to take along.

const BOX = { least: 158, gap: 14, height: 94, between: 40, arc: 36 };
const MARGIN = 22; // px beside the lines of a box, together
const LEFT = 76; // px, where the time axis begins
const LANE = 14; // px for one line of labels
const LANES = 10;
// What is told of most, in the order of a failover; the rest are marks that say more when pointed at.
const TELLING = /^(\+sdown|\+odown|\+try-failover|\+elected-leader|\+selected-slave|\+promoted-slave|\+switch-master|-failover-abort.*|-odown|\+tilt)$/;

export default function create({ svg, html, format, download, copy }) {
  const exact = (value) => Math.round(value).toLocaleString("en-US");
  const color = (name) => `var(--rl-${name})`;
  // Blue is the way of a failover, red what broke; what is well again is teal.
  const tellTone = (kind) => (kind.startsWith("-failover") ? "red" : kind.startsWith("-") ? "teal" : "blue");
  const doneTone = (kind) => (/^(start|resume|heal)$/.test(kind) ? "teal" : "red");
  const isTold = (event) => /^[+-]|^voted$/.test(event.kind);
  const fit = (text, room) => {
    const letters = Math.max(Math.floor(room / 5.7), 3);
    return text.length <= letters ? text : `${text.slice(0, letters - 1)}…`;
  };

  function stateOf(node, role) {
    if (node.state === "running") return [role || "starting", "teal"];
    if (node.state === "paused") return ["paused", "amber"];
    return [node.state === "silent" ? "no answer" : node.state, "red"];
  }

  const isCut = (state, a, b) => state.cuts.some((pair) => pair.includes(a) && pair.includes(b));

  // ---- words ----

  function opinion(one) {
    const down = one.o_down ? ["s_down, o_down", "red"] : one.s_down ? ["s_down", "amber"] : ["up", "teal"];
    return one.tilt ? [`${down[0]}, in TILT`, "violet"] : down;
  }

  const vote = (one) => (one.leader ? `voted ${one.leader} in ${one.leader_epoch}` : "no vote");

  function linkWord(node, state) {
    if (isCut(state, node.name, node.follows)) return node.link === "up" ? "cut, not noticed yet" : "cut";
    return node.syncing ? "full resynchronization" : `link ${node.link}`;
  }

  // On a phone a box has room for the name of the master and some fourteen letters.
  const SHORT = { "cut, not noticed yet": "cut, unnoticed", "full resynchronization": "full resync" };
  function linkLine(node, state, room) {
    const [long, word] = [`${node.follows}: ${linkWord(node, state)}`, SHORT[linkWord(node, state)]];
    return word && fit(long, room) !== long ? `${node.follows}: ${word}` : long;
  }

  const behind = (node) => (node.behind === null ? "" : node.behind === 0 ? "in step" : `${exact(node.behind)} bytes behind`);

  // Cuts both ways are one; so are a delay's.
  function network(state) {
    const cuts = state.cuts.map(([a, b]) => {
      const both = state.cuts.some(([c, d]) => c === b && d === a);
      return both ? (a < b ? `${a} - ${b}` : null) : `${a} → ${b}`;
    }).filter(Boolean);
    const delays = state.delays.map(([a, b, seconds]) => `${a} - ${b} +${format.seconds(seconds)}`);
    return [cuts.length ? `Cut: ${cuts.join(", ")}.` : "", delays.length ? `Slow: ${delays.join(", ")}.` : ""].filter(Boolean).join(" ");
  }

  function client({ acknowledged, failed, lost }) {
    return `${exact(acknowledged)} acknowledged, ${exact(failed)} failed, ${exact(lost)} found lost`;
  }

  function words(state) {
    const sentinels = state.sentinels.map((one) => [
      `${one.name}: ${stateOf(one, "running")[0]}`, `names ${one.master || "nobody"}, ${opinion(one)[0]}`,
      `epoch ${one.config_epoch}`, vote(one), one.failover && `failover ${one.failover}`,
    ].filter(Boolean).join(", "));
    const servers = state.nodes.map((node) => [
      `${node.name}: ${stateOf(node, node.role)[0]}`, `offset ${exact(node.offset)}`,
      node.follows && `follows ${node.follows}, ${linkWord(node, state)}`, node.follows && behind(node),
    ].filter(Boolean).join(", "));
    return [`The Sentinels name ${state.master || "nobody"}`, ...sentinels, ...servers, network(state).replace(/\.$/, ""),
      `Writes: ${client(state.writes)}`].filter(Boolean).join(". ");
  }

  // ---- the boxes ----

  // Rows of boxes, as many in one as there is room for.
  function layout(names, width, y) {
    const most = Math.max(1, Math.floor((width + BOX.gap) / (BOX.least + BOX.gap)));
    const columns = Math.min(most, names.length);
    const size = Math.min(250, (width - (columns - 1) * BOX.gap) / columns);
    const left = (width - columns * size - (columns - 1) * BOX.gap) / 2;
    const places = new Map(names.map((name, at) => [name, {
      x: left + (at % columns) * (size + BOX.gap), y: y + Math.floor(at / columns) * (BOX.height + BOX.gap), width: size,
    }]));
    const rows = Math.ceil(names.length / columns);
    return { places, rows, end: y + rows * (BOX.height + BOX.gap) - BOX.gap };
  }

  function box(one, { x, y, width }, [word, tone], strong, lines, pick) {
    const alive = one.state === "running";
    const room = width - MARGIN;
    return svg(
      "g", { class: pick ? "rl-pick" : null, onclick: pick ? () => pick(one.name) : null },
      svg("rect", {
        x: x + 0.5, y: y + 0.5, width: width - 1, height: BOX.height - 1, rx: 8, "stroke-dasharray": alive ? null : "5 4",
        style: `fill: var(--rl-panel); stroke: ${color(strong ?? tone)}; stroke-width: ${strong ? 2.5 : 1.5}`,
      }),
      svg("circle", { cx: x + 14, cy: y + 18, r: 4.5, style: `fill: ${color(tone)}` }),
      svg("text", { x: x + 24, y: y + 22, style: "font-weight: 600" }, one.name),
      svg("text", { x: x + width - 10, y: y + 22, "text-anchor": "end", style: `fill: ${color(tone)}` }, word),
      ...lines.map(([text, shade], at) => svg("text", {
        x: x + 12, y: y + 41 + 14 * at, opacity: alive ? 1 : 0.6, style: `fill: ${color(shade ?? "ink")}; font-size: 11.5px`,
      }, fit(text, room))),
    );
  }

  const sentinelBox = (one, place, pick) => box(one, place, stateOf(one, one.failover ? "leader" : "Sentinel"), one.failover ? "blue" : null, [
    [`names ${one.master || "nobody"}, epoch ${one.config_epoch}`],
    [`master ${opinion(one)[0]}`, opinion(one)[1]],
    [vote(one), "muted"],
    [one.failover ? `failover: ${one.failover}` : `quorum ${one.quorum} of ${one.others + 1}`, one.failover ? "blue" : "muted"],
  ], pick);

  const serverBox = (node, place, state, pick) => box(node, place, stateOf(node, node.role), node.name === state.master ? stateOf(node, node.role)[1] : null, [
    [`offset ${exact(node.offset)}`],
    [`${exact(node.keys)} key${node.keys === 1 ? "" : "s"}`, "muted"],
    ...(node.follows ? [
      [linkLine(node, state, place.width - MARGIN), isCut(state, node.name, node.follows) ? "red" : node.link === "up" ? "teal" : "amber"],
      [behind(node)],
    ] : []),
  ], pick);

  // A line, with a cross on it where it is cut.
  function line(d, [x, y], tone, { cut, dash, pick, target }) {
    return svg(
      "g", { class: pick ? "rl-pick" : null, onclick: pick ? () => pick(target) : null },
      svg("path", { d, "stroke-dasharray": cut ? "4 5" : dash, style: `stroke: ${color(cut ? "red" : tone)}; stroke-width: ${dash ? 1.25 : 2}; fill: none` }),
      ...(cut ? [
        svg("circle", { cx: x, cy: y, r: 8, style: "fill: var(--rl-surface)" }),
        svg("path", { d: `M${x - 5},${y - 5}l10,10M${x + 5},${y - 5}l-10,10`, style: "stroke: var(--rl-red); stroke-width: 2.5" }),
      ] : []),
      pick ? svg("path", { d, style: "stroke: transparent; stroke-width: 18; fill: none" }) : null,
    );
  }

  // Whom a Sentinel names, and who follows whom. Only where boxes stand in one row are there lines.
  function namings(state, up, down, pick) {
    return state.sentinels.filter((one) => down.places.has(one.master)).map((one) => {
      const [from, to] = [up.places.get(one.name), down.places.get(one.master)];
      const [x1, y1, x2, y2] = [from.x + from.width / 2, from.y + BOX.height, to.x + to.width / 2, to.y];
      return line(`M${x1},${y1}L${x2},${y2}`, [(x1 + x2) / 2, (y1 + y2) / 2], opinion(one)[1], {
        dash: "2 3", cut: isCut(state, one.name, one.master), pick, target: `${one.name} - ${one.master}`,
      });
    });
  }

  function followings(state, { places }, pick) {
    return state.nodes.filter((node) => places.has(node.follows)).map((node) => {
      const [from, to] = [places.get(node.follows), places.get(node.name)];
      const [x1, x2, y] = [from.x + from.width / 2, to.x + to.width / 2, to.y + BOX.height];
      const down = node.state !== "running" || node.link !== "up";
      return line(`M${x1},${y}C${x1},${y + BOX.arc} ${x2},${y + BOX.arc} ${x2},${y}`, [(x1 + x2) / 2, y + BOX.arc * 0.75],
        node.syncing ? "blue" : down ? "amber" : "teal",
        { dash: down ? "5 4" : null, cut: isCut(state, node.name, node.follows), pick, target: `${node.follows} - ${node.name}` });
    });
  }

  // ---- the time axis ----

  // A line of its own for each label that would cover another; in order, so that what follows quickly
  // reads from top to bottom. Those of the whole run, so that nothing moves while it is replayed.
  function lanes(items, right) {
    const ends = [];
    const placed = [];
    for (const item of items) {
      const size = item.text.length * 5.9 + 10;
      // To the right of its mark; else to the left; else where there is room.
      const flipped = item.x + size > right && item.x >= size;
      const from = flipped ? item.x - size : Math.max(0, Math.min(item.x, right - size));
      const to = from + size;
      let lane = ends.findIndex((end) => end <= from);
      if (lane < 0) lane = ends.length;
      if (lane >= LANES) continue;
      ends[lane] = to;
      placed.push({ ...item, lane, flipped, at: flipped ? to - 5 : from + 5 });
    }
    return { placed, height: Math.max(ends.length, 1) * LANE };
  }

  // A cut both ways is two events at the same time, "a -> b" and "b -> a".
  function oneForBothWays(events) {
    const ways = (event) => event.detail.split(" -> ");
    const back = (one, other) => one.kind === other.kind && one.time === other.time
      && ways(one).length === 2 && ways(one).reverse().join(" -> ") === other.detail;
    return events.filter((event, at) => !events.slice(0, at).some((other) => back(event, other)))
      .map((event) => (events.some((other) => back(event, other)) ? { ...event, detail: ways(event).join(" - ") } : event));
  }

  const label = ({ at, text, lane, flipped }, y, tone) => svg("text", {
    x: at, y: y + lane * LANE + 10, "text-anchor": flipped ? "end" : "start", class: "rl-halo",
    style: `fill: ${color(tone)}; font-size: 11px`,
  }, text);

  const heading = (text, y) => svg("text", { x: 0, y, style: "font-weight: 600" }, text);
  const rowName = (text, y) => svg("text", { x: 0, y, class: "rl-small" }, fit(text, LEFT - 4));

  function strips(y, width, { frames, events, upto, writes, sentinels }) {
    const zero = frames[0].time;
    const now = frames[upto].time;
    const span = frames.at(-1).time - zero || 1;
    const right = width - 8;
    const px = (time) => LEFT + (Math.min(Math.max(time - zero, 0), span) / span) * (right - LEFT);
    const seen = events.filter((event) => event.time >= zero && event.time <= frames.at(-1).time);
    const past = (event) => event.time <= now;
    const title = (event) => svg("title", {}, [format.seconds(event.time), event.node, event.kind, event.detail].filter(Boolean).join(" · "));
    const parts = [];
    const axis = (at) => svg("path", { class: "rl-axis", d: `M${LEFT},${at}H${right}` });
    const begin = y;

    // What was done to the lab.
    y += 14;
    parts.push(heading("Faults and repairs", y));
    y += 6;
    const faults = seen.filter((event) => !isTold(event));
    const marked = lanes(oneForBothWays(faults).map((event) => ({
      event, x: px(event.time), text: [event.kind, event.node || event.detail].filter(Boolean).join(" "),
    })), right);
    parts.push(axis(y + marked.height + 3));
    parts.push(
      ...faults.filter(past).map((event) => svg("path", { d: `M${px(event.time)},${y}V${y + marked.height + 3}`, style: `stroke: ${color(doneTone(event.kind))}; stroke-width: 1.5` }, title(event))),
      ...marked.placed.filter(({ event }) => past(event)).map((item) => label(item, y, doneTone(item.event.kind))),
    );
    y += marked.height + 22;

    // What the Sentinels told: labels for what is told first, a mark on its own line for everything.
    parts.push(heading("What the Sentinels tell", y));
    y += 6;
    const told = seen.filter(isTold);
    const latest = new Map();
    const first = told.filter((event) => {
      if (!TELLING.test(event.kind) || (event.kind === "+sdown" && !event.detail.startsWith("master"))) return false;
      if (event.time - (latest.get(event.kind) ?? -Infinity) < span / 6) return false;
      return latest.set(event.kind, event.time);
    });
    const named = lanes(first.map((event) => ({ event, x: px(event.time), text: `${event.kind} ${event.node}` })), right);
    const under = y + named.height + 4 + sentinels.length * 15;
    for (const item of named.placed.filter(({ event }) => past(event))) {
      parts.push(svg("path", { d: `M${item.x},${y + item.lane * LANE + 2}V${under}`, "stroke-dasharray": "2 3", style: "stroke: var(--rl-muted); stroke-width: 1" }, title(item.event)), label(item, y, tellTone(item.event.kind)));
    }
    y += named.height + 4;
    for (const { name } of sentinels) {
      y += 15;
      parts.push(rowName(name, y), axis(y - 4), ...told.filter((event) => event.node === name && past(event)).map((event) => svg("circle", {
        cx: px(event.time), cy: y - 4, r: 3, style: `fill: ${color(event.kind.startsWith("-") || TELLING.test(event.kind) ? tellTone(event.kind) : "muted")}`,
      }, title(event))));
    }
    y += 22;

    // What the clients saw.
    parts.push(heading("What the clients see", y));
    const writers = [...new Set(writes.map((one) => one.writer))];
    const tones = { acknowledged: "teal", failed: "amber", lost: "red" };
    for (const name of writers) {
      y += 18;
      parts.push(rowName(name, y));
      const mine = writes.filter((one) => one.writer === name && one.since <= now)
        .map((one) => ({ ...one, shown: one.found !== null && one.found > now ? "acknowledged" : one.outcome }))
        .sort((a, b) => (a.shown === "lost") - (b.shown === "lost"));
      for (const one of mine) {
        const from = px(one.since);
        parts.push(svg("rect", {
          x: from, y: y - 10, width: Math.max(px(Math.min(one.until, now)) - from, 2), height: 12, style: `fill: ${color(tones[one.shown])}`,
        }, svg("title", {}, `${one.count} ${one.shown}${one.node ? ` by ${one.node}` : ""}${one.shown === "acknowledged" || !one.detail ? "" : `: ${one.detail}`}`)));
      }
    }
    y += 17;
    const counts = frames[upto].state.writes;
    parts.push(svg("text", { x: 0, y, class: "rl-small" }, writers.length ? client(counts) : "nobody writes"));
    y += 10;

    // Under all else, so that it crosses no word.
    parts.unshift(svg("path", { d: `M${px(now)},${begin + 16}V${y}`, style: "stroke: var(--rl-ink); stroke-width: 1; opacity: 0.5" }));
    parts.push(
      svg("text", { x: LEFT, y: y + 12, class: "rl-small" }, format.seconds(zero)),
      svg("text", { x: right, y: y + 12, "text-anchor": "end", class: "rl-small" }, format.seconds(zero + span)),
    );
    return { parts, end: y + 18 };
  }

  // ---- what a reader takes along ----

  // Under the player: on from the slider's time, the run as a file, the run as a program.
  function toolbar(context, meta) {
    const said = html("span", { class: "rl-said", role: "status" });
    const say = (text) => { said.textContent = text; };
    const button = (label, title, onclick) => html("button", { type: "button", title, onclick }, label);
    const forks = context.live && context.send && meta().world === "sim";
    const { player } = context;

    function fork() {
      say("Playing the run again up to here …");
      context.send({ type: "fork", time: player.zero + player.clock });
    }
    function save() {
      download("scenario.json", meta().scenario);
      say("Saved as scenario.json.");
    }
    async function take() {
      const lines = meta().code.split("\n").length - 1;
      say(await copy(meta().code) ? `Copied ${lines} lines of Python.` : "This browser does not let the page copy.");
    }
    // The field of a file looks different everywhere: it is hidden, and a button opens it.
    const file = html("input", {
      type: "file", accept: ".json,application/json", hidden: true, tabindex: "-1", "aria-label": "Scenario to import",
      onchange: async () => {
        const [chosen] = file.files;
        if (!chosen) return;
        say("Playing the scenario …");
        context.send({ type: "load", text: await chosen.text() });
        file.value = ""; // so that the same file may be chosen again
      },
    });
    return {
      say,
      bar: html("div", { class: "rl-tools", role: "group", "aria-label": "Scenario", hidden: !meta().scenario },
        forks ? button("Fork from here", "Go on from the slider's time with a new lab of the same past", fork) : null,
        button("Export scenario", "Seed and actions of this run, as JSON", save),
        forks ? [button("Import scenario", "Show the run of a file that was exported", () => file.click()), file] : null,
        button("Copy as code", "A Python program that does the same", take),
        said),
    };
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
      const tools = toolbar(context, () => meta);

      return {
        tools: tools.bar,
        receive(message) { if (message.type === "tell") tools.say(message.text); },
        show({ state }, index) {
          const up = layout(state.sentinels.map((one) => one.name), width, 0);
          const flat = up.rows === 1;
          const down = layout(state.nodes.map((node) => node.name), width, up.end + (flat ? BOX.between : BOX.gap));
          const lined = flat && down.rows === 1 && down.places.size > 1;
          const axis = strips(down.end + (lined ? BOX.arc : 8), width, { frames, events, upto: index, writes: meta.writes ?? [], sentinels: state.sentinels });
          picture.setAttribute("viewBox", `0 0 ${width} ${axis.end}`);
          picture.setAttribute("width", width);
          picture.setAttribute("height", axis.end);
          picture.setAttribute("aria-label", words(state));
          picture.replaceChildren(
            ...(lined ? [...namings(state, up, down, pick), ...followings(state, down, pick)] : []),
            ...state.sentinels.map((one) => sentinelBox(one, up.places.get(one.name), pick)),
            ...state.nodes.map((node) => serverBox(node, down.places.get(node.name), state, pick)),
            ...axis.parts,
          );
          note.textContent = network(state);
          note.hidden = !note.textContent;
        },
        resize(now) { width = Math.max(now, 240); },
        update(grown) {
          ({ frames, events, meta } = grown);
          tools.bar.hidden = !meta.scenario;
        },
      };
    },
  };
}
