// A prediction: the reader commits to an answer before the run. Once given, the answer is locked.
// With a kernel it goes to Python. Without one it stays on the page, where the `check` that comes
// later waits for it (kind-check.js); the question's text is what ties the two together.
//
// meta: {question, choices, unit, tolerance, guess}. `choices` empty: the answer is a number.

export default function create({ html }) {
  return {
    player: false,
    events: false,
    mount(stage, recording, context) {
      const { meta } = recording;
      const answers = (window.redislabAnswers ??= new Map());
      const name = `rl-${Math.random().toString(36).slice(2)}`; // ties radio buttons, no more
      const choices = meta.choices.map((choice) => html(
        "label", { class: "rl-choice" },
        html("input", { type: "radio", name, value: choice }), html("span", {}, choice),
      ));
      const number = html("input", { type: "number", step: "any", required: true, "aria-label": meta.question });
      const commit = html("button", { type: "submit", class: "rl-commit" }, "Commit");
      const note = html("span", { class: "rl-quiet", role: "status" });
      const fields = html(
        "fieldset", {},
        html("legend", { class: "rl-question" }, meta.question),
        choices.length ? choices : html("label", { class: "rl-form" }, number, html("span", {}, meta.unit)),
      );
      const form = html("form", {
        onsubmit: (event) => {
          event.preventDefault();
          const guess = choices.length ? form.querySelector("input:checked")?.value : number.value;
          if (guess === undefined || guess === "") {
            note.textContent = "Choose first: a guess that may be wrong teaches more than none.";
            return;
          }
          lock(choices.length ? guess : Number(guess));
          if (context.live) context.send({ type: "commit", guess });
        },
      }, fields, html("div", { class: "rl-form" }, commit, note));

      function lock(guess) {
        fields.disabled = true;
        form.classList.add("rl-locked");
        commit.hidden = true;
        for (const input of form.querySelectorAll("input[type=radio]")) input.checked = input.value === guess;
        if (!choices.length) number.value = guess;
        note.textContent = "Your answer is locked. Run on and see.";
        answers.set(meta.question, guess);
        document.dispatchEvent(new CustomEvent("redislab:answer", { detail: meta.question }));
      }

      stage.append(form);
      if (meta.guess !== null) lock(meta.guess);
      return {
        show() {},
        receive: (message) => { if (message.type === "tell") note.textContent = message.text; },
      };
    },
  };
}
