"""Predictions: the reader commits to an answer before the run, and is told afterwards.

In a notebook with a kernel the committed answer comes back to Python and `check` compares it.  On a
page without one the same form runs in the browser, and the output of `check` waits for it there.
Where nobody answers (a run by papermill), `check` says "not answered" and nothing fails.

    guess = predict("How many bytes does PING take on the wire?", unit="bytes")
    ...
    check(guess, 14, why="*1, $4 and PING, each with its CRLF: 4 + 4 + 6 bytes.")
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from redislab.views.display import View
from redislab.views.fallback import fallback_for
from redislab.views.recording import Json, Recorder, Recording
from redislab.views.static import recording_html

Answer: TypeAlias = str | float
Outcome = Literal["right", "wrong", "not answered"]


@dataclass(frozen=True)
class Question:
    """What is asked: one of `choices`, or a number in `unit` when there are none.

    A number counts as right within `tolerance` of the answer, as a share of it (0.5: up to half
    of it more or less).
    """

    text: str
    choices: tuple[str, ...] = ()
    unit: str = ""
    tolerance: float = 0.0

    def accept(self, answer: Answer) -> Answer:
        """The answer as it will be compared; raises ValueError for one that cannot be given."""
        if self.choices:
            if answer not in self.choices:
                raise ValueError(f"{answer!r} is none of the choices {self.choices}")
            return answer
        try:
            return float(answer)
        except ValueError:
            raise ValueError(f"{answer!r} is not a number") from None

    def judge(self, guess: Answer | None, answer: Answer) -> Outcome:
        """Compare a guess with the answer; None is a reader who did not guess."""
        if guess is None:
            return "not answered"
        truth = self.accept(answer)
        if isinstance(truth, str):
            return "right" if guess == truth else "wrong"
        return "right" if abs(float(guess) - truth) <= abs(truth) * self.tolerance else "wrong"

    def show(self, answer: Answer) -> str:
        """An answer in words."""
        if isinstance(answer, str):
            return answer
        number = f"{answer:,.0f}" if float(answer).is_integer() else f"{answer:,.4g}"
        return f"{number} {self.unit}".strip()


@dataclass(frozen=True)
class Verdict:
    """How a prediction turned out; displays itself."""

    question: Question
    guess: Answer | None
    answer: Answer
    why: str
    outcome: Outcome

    def __str__(self) -> str:
        head = f"The answer is {self.question.show(self.answer)}."
        if self.guess is None:
            return f"Not answered. {head} {self.why}".strip()
        word = "right" if self.outcome == "right" else "not quite"
        return f"You said {self.question.show(self.guess)}: {word}. {head} {self.why}".strip()

    @property
    def recording(self) -> Recording:
        """The verdict for a page; one that waits for the page's reader if nobody answered."""
        meta = _meta(self.question, self.guess)
        meta |= {
            "answer": self.answer,
            "shown": self.question.show(self.answer),
            "why": self.why,
            "outcome": self.outcome,
        }
        return Recording("check", "Check your prediction", meta=meta)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/plain": str(self), "text/html": recording_html(self.recording)}


class Prediction(View):
    """A question and the reader's answer to it, which is locked once it is given."""

    def __init__(self, question: Question) -> None:
        self.question = question
        self.guess: Answer | None = None
        super().__init__(
            Recorder(
                "predict",
                "Predict",
                now=lambda: 0.0,
                sample=dict,
                meta=_meta(question, None),
            )
        )

    def commit(self, guess: Answer) -> None:
        """Answer.  Raises ValueError for an answer that cannot be given or for a second one."""
        if self.guess is not None:
            raise ValueError(f"already answered: {self.question.show(self.guess)}")
        self.guess = self.question.accept(guess)
        self.recorder.set_meta(guess=self.guess)

    def controls(self) -> list[Any]:
        """None: the drawing is the form."""
        return []

    def receive(self, message: dict[str, Any]) -> None:
        """Take the reader's answer from the form."""
        try:
            self.commit(message["guess"])
        except ValueError as error:
            self.tell(str(error))

    def text(self) -> str:
        """The question and its choices, for a terminal."""
        lines = [self.question.text, *(f"  - {choice}" for choice in self.question.choices)]
        return "\n".join(lines)


def predict(
    question: str,
    choices: Sequence[str] = (),
    *,
    unit: str = "",
    tolerance: float = 0.0,
) -> Prediction:
    """Ask the reader: one of `choices`, or a number in `unit` right within `tolerance` (a share).

    Raises ValueError for a single choice, for a choice named twice and for a negative tolerance.
    """
    if len(choices) == 1 or len(set(choices)) != len(choices):
        raise ValueError("give two different choices at least, or none for a number")
    if tolerance < 0:
        raise ValueError("the tolerance is a share of the answer, zero or more")
    return Prediction(Question(question, tuple(choices), unit, tolerance))


def check(prediction: Prediction, answer: Answer, why: str = "") -> Verdict:
    """Tell the reader how the prediction turned out, and why it is so.

    Raises ValueError for an answer that is none of the choices.
    """
    question = prediction.question
    truth = question.accept(answer)
    outcome = question.judge(prediction.guess, truth)
    return Verdict(question, prediction.guess, truth, why, outcome)


def _meta(question: Question, guess: Answer | None) -> dict[str, Json]:
    return {
        "question": question.text,
        "choices": list(question.choices),
        "unit": question.unit,
        "tolerance": question.tolerance,
        "guess": guess,
    }


@fallback_for("predict")
def _predict_fallback(recording: Recording) -> str:
    choices = recording.meta["choices"]
    items = choices if isinstance(choices, list) else []
    listed = "".join(f"<li>{html.escape(str(choice))}</li>" for choice in items)
    question = html.escape(str(recording.meta["question"]))
    return f"<p>{question}</p>" + (f"<ul>{listed}</ul>" if listed else "")


@fallback_for("check")
def _check_fallback(recording: Recording) -> str:
    meta = recording.meta
    return (
        f"<details><summary>{html.escape(str(meta['question']))}</summary>"
        f"<p><b>{html.escape(str(meta['shown']))}</b></p>"
        f"<p>{html.escape(str(meta['why']))}</p></details>"
    )
