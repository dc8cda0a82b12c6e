"""Recordings: plain data that turns into JSON and back."""

import pytest

from redislab.views.recording import Frame, Recorder, Recording
from redislab.views.static import for_site, page_html, recording_html
from redislab.worlds.base import Event


def sample() -> Recording:
    return Recording(
        "server",
        "One <node>",
        (Frame(0.0, {"keys": 1, "up": True}), Frame(1.5, {"keys": 2, "up": True})),
        (Event(1.0, "redis-6379", "kill", "</script>"),),
        {"node": "redis-6379"},
    )


def test_a_recording_survives_json_and_is_the_same_text_each_time():
    one = sample()
    again = Recording.from_json(one.to_json())
    assert again == one
    assert again.to_json() == one.to_json()
    assert one.seconds == 1.5


@pytest.mark.parametrize("text", ["[]", '{"version": 99}', '{"version": 1, "kind": "server"}'])
def test_what_is_no_recording_is_refused(text):
    with pytest.raises(ValueError, match="not a redislab recording"):
        Recording.from_json(text)


def test_a_full_recorder_keeps_its_ends_and_halves_its_detail():
    clock = iter(range(100))
    recorder = Recorder("server", "t", now=lambda: next(clock), sample=dict, frames_max=10)
    for _ in range(10):
        recorder.sample()
    recorder.set_meta(open=6)
    recorder.sample()
    times = [frame.time for frame in recorder.recording.frames]
    assert times == [0, 2, 4, 6, 8, 10]
    assert times[recorder.meta["open"]] == 6


def test_time_does_not_run_backwards():
    recorder = Recorder("server", "t", now=lambda: 0.0, sample=dict)
    recorder.add(Frame(2.0, {}))
    with pytest.raises(ValueError, match="after one at"):
        recorder.add(Frame(1.0, {}))


def test_a_fragment_carries_its_data_safely_and_reads_without_scripts():
    fragment = recording_html(sample())
    data = fragment.partition('<script type="application/json">')[2].partition("</script>")[0]
    assert Recording.from_json(data) == sample()  # the event's "</script>" did not end the script
    assert 'aria-label="One &lt;node&gt;"' in fragment
    assert "<table>" in fragment
    assert "http://" not in fragment.replace("http://www.w3.org/", "")
    assert recording_html(sample(), inline=False) in page_html(sample()).replace(
        fragment, recording_html(sample(), inline=False)
    )


def test_the_site_gets_html_in_the_place_of_widgets():
    widget = "application/vnd.jupyter.widget-view+json"
    lean = recording_html(sample(), inline=False)
    data = {widget: {"model_id": "1"}, "text/html": recording_html(sample())}
    alone = {widget: {"model_id": "2"}}
    notebook = {
        "metadata": {"widgets": {}, "kernelspec": {}},
        "cells": [{"outputs": [{"data": data}, {"data": alone}, {"text": "x"}]}, {}],
    }
    for_site(notebook)
    assert data == {"text/html": lean}
    assert alone == {widget: {"model_id": "2"}}  # nothing to show instead: left for the build
    assert notebook["metadata"] == {"kernelspec": {}}
