"""Every lesson runs from top to bottom in every world that it allows.

The runs are those of the website's build: one that was made from the same notebook, package and
versions is taken as it is, anything else is run here. In a world that the website does not show, a
lesson measures for a shorter time; `make notebooks` runs all of them in full.
"""

import pytest

from book.tools.execute import execute
from book.tools.lessons import lessons, worlds_here
from tests.tidy.tree import ROOT

RUNS = [(lesson, world) for lesson in lessons(ROOT) for world in worlds_here(lesson)]


@pytest.mark.notebook
@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("lesson", "world"), RUNS, ids=[f"{lesson.name}-{world}" for lesson, world in RUNS]
)
def test_runs_from_top_to_bottom(lesson, world):
    assert execute(ROOT, lesson, world, brief=world != lesson.world).error is None


@pytest.mark.parametrize("lesson", lessons(ROOT), ids=lambda lesson: lesson.name)
def test_runs_in_the_worlds_that_it_must(lesson):
    assert {"live", "redis"} <= set(lesson.worlds)
