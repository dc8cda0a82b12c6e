"""Benchmark recordings and charts, from results made by hand."""

import pytest

from redislab.benchmark.histogram import Histogram
from redislab.benchmark.results import Result, Window
from redislab.benchmark.settings import settings_for
from redislab.views import figures
from redislab.views.benchmark import RunsRecorder, coarse_buckets, label_of, runs_recording
from redislab.views.static import recording_html


def result(clients: int = 50) -> Result:
    windows = tuple(
        Window(at * 0.5, 0.5, 4, Histogram.of([100, 200, 200, 5000], digits=2)) for at in range(3)
    )
    whole = Histogram.of([100, 200, 200, 5000] * 3, digits=2)
    return Result(settings_for("SET", clients=clients), 12, 1.5, whole, windows)


def test_buckets_are_tenths_of_a_power_of_ten():
    assert coarse_buckets(Histogram.of([100, 100, 1000])) == [(20, 2), (30, 1)]


def test_runs_follow_each_other_and_stand_side_by_side():
    recording = runs_recording([result(), result(200)])
    assert [frame.time for frame in recording.frames] == [0.5, 1.0, 1.5, 2.0, 2.5, 3.0]
    last = recording.frames[-1].state
    assert (last["run"], last["requests"], last["errors"]) == (1, 12, 0)
    assert last["rps"] == 8.0
    assert label_of(settings_for("SET", clients=1)) == "SET, 1 client"
    assert [run["label"] for run in recording.meta["runs"]] == [
        "SET, 50 clients",
        "SET, 200 clients",
    ]
    assert "SET, 200 clients" in recording_html(recording)
    with pytest.raises(ValueError, match="begin"):
        RunsRecorder().add(result().windows[0])


def test_every_figure_has_a_title_and_words():
    runs = {"one": result(), "two": result(200)}
    plans = {"mine": figures.plan_capacity(peak_qps=2e7, node_qps=1e5, data_bytes=7e13,
                                           node_bytes=6.4e10)}  # fmt: skip
    drawn = [
        figures.throughput(runs),
        figures.latency(runs),
        figures.littles_law(runs),
        figures.sweep(list(runs.values()), "clients"),
        figures.waiting(runs),
        figures.capacity(plans),
    ]
    for figure in drawn:
        assert figure.layout.title.text
        assert len(figure.layout.meta["alt"]) > 20
        assert "http" not in figure.to_json()


def test_the_latency_curve_rises_and_ends_at_the_maximum():
    curve = figures.latency_curve(result())
    assert [ms for _, ms in curve] == sorted(ms for _, ms in curve)
    assert curve[-1][1] == pytest.approx(5.0, rel=0.02)


def test_a_logarithmic_axis_is_marked_where_people_count():
    wide = figures._log_axis([0.1, 900.0])
    assert wide["ticktext"] == ["0.1", "1", "10", "100", "1000"]
    short = figures._log_axis([0.4, 0.0, 1.2])
    assert short["ticktext"] == ["0.1", "0.2", "0.5", "1", "2", "5", "10", "20", "50"]


def test_the_words_of_a_figure_say_how_many_waited():
    window = Window(0.0, 0.5, 4, Histogram.of([100] * 4, digits=2), waiting=17)
    one = Result(settings_for("GET"), 4, 0.5, window.histogram, (window,))
    assert "open loop: at most 17" in figures.waiting({"open loop": one}).layout.meta["alt"]


def test_a_plan_is_as_large_as_its_largest_need():
    plan = figures.plan_capacity(
        peak_qps=1e6, node_qps=1e5, data_bytes=1e12, node_bytes=1e11, headroom=0.5
    )
    assert plan.needs == {"requests at the peak": 20, "data in memory": 20}
    assert plan.nodes == 20
    with pytest.raises(ValueError, match="headroom"):
        figures.plan_capacity(peak_qps=1, node_qps=1, data_bytes=1, node_bytes=1, headroom=0)
