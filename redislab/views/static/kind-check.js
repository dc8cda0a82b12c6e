// How a prediction turned out. If Python knows the reader's answer this shows the verdict; if not
// (the page was made without a reader) it waits for the answer given on this page (kind-predict.js).
// A reader who gives up is told; the page hears of it, too.
//
// meta: {question, choices, unit, tolerance, guess, answer, shown, why, outcome}.

export default function create({ html }) {
  const right = (meta, guess) => (meta.choices.length
    ? guess === meta.answer
    : Math.abs(guess - meta.answer) <= Math.abs(meta.answer) * meta.tolerance);

  return {
    player: false,
    events: false,
    mount(stage, recording) {
      const { meta } = recording;
      const answers = (window.redislabAnswers ??= new Map());
      const verdict = html("div", { class: "rl-verdict", role: "status" });
      stage.append(html("p", { class: "rl-question rl-quiet" }, meta.question), verdict);

      const answer = () => [
        html("p", { class: "rl-why" }, "The answer: ", html("b", {}, meta.shown)),
        meta.why ? html("p", { class: "rl-why" }, meta.why) : null,
      ].filter(Boolean);

      function tell(guess) {
        const good = right(meta, guess);
        const said = meta.unit ? `${guess} ${meta.unit}` : String(guess);
        verdict.replaceChildren(
          html("p", { class: "rl-why" }, `You said ${said}: `,
            html("b", { class: good ? "rl-right" : "rl-wrong" }, good ? "right" : "not quite"), "."),
          ...answer(),
        );
      }

      const waiting = () => verdict.replaceChildren(
        html("p", { class: "rl-why" }, "You have not committed to an answer yet: go back up and guess. "),
        html("button", {
          type: "button",
          onclick: () => {
            verdict.replaceChildren(...answer());
            document.dispatchEvent(new CustomEvent("redislab:shown", { detail: meta.question }));
          },
        }, "Show the answer"),
      );
      const listen = () => { if (answers.has(meta.question)) tell(answers.get(meta.question)); };

      if (meta.guess !== null) tell(meta.guess);
      else if (answers.has(meta.question)) listen();
      else waiting();
      document.addEventListener("redislab:answer", listen);
      return { show() {}, destroy: () => document.removeEventListener("redislab:answer", listen) };
    },
  };
}
