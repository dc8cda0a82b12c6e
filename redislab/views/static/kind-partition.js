// A partition: who is on side A and who on side B, four questions about it, and what came of it. Nothing
// of that is shown before the reader has committed to an answer to each; the answers stay on the page,
// and with a kernel they go to Python as well.
//
// meta: {questions: [[key, words]], choices, voters, quorum, min_replicas, rounds: [{sides: {host: side},
// master, foretold: {key: choice}, answers, outcome, said: {side: words}, lost: [words], total}]}; answers, outcome and
// lost are null before they are there. state: {round, cut, master, hosts: [{name, kind, word, tone}]};
// `round` counts from 1.

export default function create({ html }) {
  const SIDES = ["A", "B"];

  return {
    player: true,
    events: false,
    mount(stage, recording, context) {
      let { frames, meta } = recording;
      const given = new Map(); // round -> the reader's answers, on a page without a kernel
      const tabs = html("div", { class: "rl-tabs", role: "group", "aria-label": "Partitions" });
      const sides = html("div", { class: "rl-sides" });
      const asks = html("form", { class: "rl-asks" });
      const tells = html("div", { class: "rl-tells", "aria-live": "polite" });
      const note = html("p", { class: "rl-quiet", role: "status" });
      stage.append(tabs, sides, asks, tells, note);
      let asked = ""; // what the form was made for: it is not made anew under the reader's hands
      let shown = 0; // the round on show

      const answersOf = (number) => meta.rounds[number - 1].answers ?? given.get(number) ?? null;
      const firstFrame = (number) => Math.max(0, frames.findIndex(({ state }) => state.round === number));
      const lastFrame = (number) => frames.findLastIndex(({ state }) => state.round === number);
      // What a reader wants to see who has answered: the end of the cut.
      const endOfCut = (number) => {
        const found = frames.findLastIndex(({ state }) => state.round === number && state.cut);
        return found < 0 ? lastFrame(number) : found;
      };

      // ---- the rounds ----

      function drawTabs() {
        tabs.hidden = meta.rounds.length < 2;
        tabs.replaceChildren(...meta.rounds.map((_, at) => html("button", {
          type: "button", "aria-pressed": String(at + 1 === shown),
          onclick: () => { context.player.pause(); context.player.seek(answersOf(at + 1) ? endOfCut(at + 1) : firstFrame(at + 1)); },
        }, `Partition ${at + 1}`)));
      }

      // ---- the sides ----

      function hostLine({ name, kind, word, tone }, told) {
        return html("li", {},
          html("i", { style: `background: var(--rl-${told ? tone : "muted"})`, "aria-hidden": "true" }),
          html("b", {}, name), html("span", {}, told ? word : name === meta.rounds[shown - 1].master ? "master" : kind));
      }

      function drawSides({ state }, told) {
        sides.classList.toggle("rl-cut", told && state.cut);
        sides.replaceChildren(...SIDES.map((side) => html("section", { "aria-label": `Side ${side}` },
          html("h4", {}, `Side ${side}`),
          html("ul", {}, state.hosts.filter(({ name }) => meta.rounds[shown - 1].sides[name] === side).map((host) => hostLine(host, told))))));
      }

      // ---- the questions ----

      function drawForm(number) {
        const answers = answersOf(number);
        const key = `${number}/${JSON.stringify(answers)}/${JSON.stringify(meta.rounds[number - 1].sides)}`;
        if (key === asked) return;
        asked = key;
        asks.hidden = answers !== null;
        note.textContent = "";
        const fields = meta.questions.map(([name, words]) => html("label", {}, html("span", {}, words), html(
          "select", { name, required: true },
          html("option", { value: "" }, "choose"), meta.choices.map((choice) => html("option", { value: choice }, choice)),
        )));
        asks.replaceChildren(
          html("p", { class: "rl-why" }, `${meta.voters} Sentinels, quorum ${meta.quorum}${meta.min_replicas ? `, min-replicas-to-write ${meta.min_replicas}` : ""}. Nothing crosses from one side to the other. What comes of it?`),
          ...fields, html("button", { type: "submit", class: "rl-commit" }, "Commit"),
        );
      }

      asks.addEventListener("submit", (event) => {
        event.preventDefault();
        const answers = Object.fromEntries(new FormData(asks));
        if (context.live) { context.send({ type: "commit", answers }); return; }
        given.set(shown, answers);
        context.player.pause();
        context.player.seek(endOfCut(shown));
      });

      // ---- what came of it ----

      function drawTable(number, ended) {
        const { foretold, outcome, said, lost, total } = meta.rounds[number - 1];
        const answers = answersOf(number);
        tells.hidden = answers === null;
        if (!answers) return;
        const mark = (name) => (answers[name] === (outcome && ended ? outcome : foretold)[name] ? "rl-right" : "rl-wrong");
        const happened = (name) => (outcome ? (ended ? outcome[name] : "…") : "not cut yet");
        const parts = [html("div", { class: "rl-scroll" }, html("table", {},
          html("thead", {}, html("tr", {}, ["", "you said", "by the rules", "what happened"].map((text) => html("th", {}, text)))),
          html("tbody", {}, meta.questions.map(([name, words]) => html("tr", {},
            html("th", { scope: "row" }, words), html("td", {}, html("b", { class: mark(name) }, answers[name])),
            html("td", {}, foretold[name]), html("td", {}, happened(name)))))))];
        if (outcome && ended) {
          parts.push(...SIDES.map((side) => html("p", { class: "rl-why" }, `SENTINEL CKQUORUM on side ${side}: `,
            said[side] ? html("code", {}, said[side]) : "nobody to ask")));
        }
        if (lost && ended) {
          parts.push(html("p", { class: "rl-why" }, html("b", { class: total ? "rl-wrong" : "rl-right" }, `${total} acknowledged write${total === 1 ? "" : "s"} lost`), " when the network was whole again."));
          if (total) {
            parts.push(html("details", {}, html("summary", {}, "Which, and how"),
              html("ul", { class: "rl-lost" }, lost.map((words) => html("li", {}, words))),
              total > lost.length ? html("p", { class: "rl-quiet" }, `and ${total - lost.length} more`) : null));
          }
        }
        tells.replaceChildren(...parts);
      }

      return {
        show(frame, index) {
          shown = frame.state.round;
          const told = answersOf(shown) !== null;
          const ended = index >= endOfCut(shown);
          drawTabs();
          drawSides(frame, told);
          drawForm(shown);
          drawTable(shown, ended);
        },
        update(grown) { ({ frames, meta } = grown); },
        receive(message) { if (message.type === "tell") note.textContent = message.text; },
      };
    },
  };
}
