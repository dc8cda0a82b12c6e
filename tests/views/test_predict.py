"""Predictions are locked once given, and a run without a reader does not fail."""

import pytest

from redislab.views.predictions import check, predict
from redislab.views.tables import Table


def test_without_a_reader_the_check_says_so_and_tells_the_answer():
    verdict = check(predict("How many?", unit="bytes"), 14, why="Count them.")
    assert verdict.outcome == "not answered"
    assert str(verdict) == "Not answered. The answer is 14 bytes. Count them."
    assert "Count them." in verdict._repr_mimebundle_()["text/html"]


@pytest.mark.parametrize(("guess", "outcome"), [(100, "right"), (149, "right"), (151, "wrong")])
def test_a_number_is_right_within_its_tolerance(guess, outcome):
    prediction = predict("How many?", tolerance=0.5)
    prediction.commit(guess)
    assert check(prediction, 100).outcome == outcome


def test_an_answer_is_locked_and_must_be_one_of_the_choices():
    prediction = predict("Which?", ["a", "b"])
    with pytest.raises(ValueError, match="none of the choices"):
        prediction.commit("c")
    prediction.commit("a")
    with pytest.raises(ValueError, match="already answered"):
        prediction.commit("b")
    assert check(prediction, "b").outcome == "wrong"
    assert prediction.recording.meta["guess"] == "a"
    with pytest.raises(ValueError, match="none of the choices"):
        check(prediction, "z")


def test_questions_that_cannot_be_asked_are_refused():
    with pytest.raises(ValueError, match="two different choices"):
        predict("Which?", ["a"])
    with pytest.raises(ValueError, match="tolerance"):
        predict("How many?", tolerance=-1)


def test_the_live_form_is_told_to_python():
    prediction = predict("Which?", ["a", "b"])
    prediction.receive({"type": "commit", "guess": "b"})
    assert prediction.guess == "b"
    bundle = prediction.bundle()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert bundle["text/plain"] == "Which?\n  - a\n  - b"


def test_tables_read_well_as_text_and_as_html():
    table = Table(("name", "count"), (("a<b", 1200), ("c", 7)))
    assert str(table) == "name  count\n----  -----\na<b   1,200\nc         7"
    assert "a&lt;b" in table._repr_html_()
    with pytest.raises(ValueError, match="a row of 1 cells"):
        Table(("a", "b"), ((1,),))


def test_no_module_hides_a_public_name():
    import redislab.views
    import redislab.views.predictions

    assert callable(redislab.views.predict)
    modules = set(redislab.views._HOMES.values())
    assert modules.isdisjoint(redislab.views.__all__)
