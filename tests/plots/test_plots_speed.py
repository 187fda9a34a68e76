"""Figures of notebook 08 and of `petseg bench`: what they show is what they were given, and the alt text says it."""

import pytest
from matplotlib.colors import to_hex

from petseg.course.gaps_08 import _finished
from petseg.course.record import published
from petseg.files import read_json
from petseg.plots import speed as figures
from petseg.plots.speed import OURS, PLAIN


@pytest.mark.parametrize(("launch", "compute"), [(1.0, 3.0), (3.0, 1.0)])
def test_the_timeline_ends_when_the_gap_of_notebook_08_says(launch, compute):
    figure = figures.timeline(launch, compute, steps=4)
    for ax, wait in zip(figure.axes, (False, True), strict=True):
        end = max(bar.get_x() + bar.get_width() for bar in ax.patches)
        assert end == _finished(launch, compute, 4, wait)
        assert f"4 steps in {end:g} ms" in ax.get_title(loc="left")
        assert f"{end:g} ms" in figure.alt


def test_the_roofline_bends_where_the_peak_is_reached_and_shows_each_layer():
    figure = figures.roofline({"ReLU": (0.1, 2e9), "conv": (50, 9e10)}, peak=1e11, bandwidth=2e10, title="two layers")
    roof, ridge, relu, conv = figure.axes[0].get_lines()
    assert ridge.get_xdata()[0] == 5
    assert max(roof.get_ydata()) == 100
    assert roof.get_ydata()[0] == pytest.approx(20 * roof.get_xdata()[0])
    assert (relu.get_xydata().tolist(), conv.get_xydata().tolist()) == ([[0.1, 2]], [[50, 90]])
    assert "conv: 50 operations per byte, 90 billion per second" in figure.alt


def test_the_parts_of_a_step_are_in_milliseconds_and_the_longest_is_named():
    figure = figures.part_bars({"augmentation": 0.004, "backward": 0.2}, "Most is backward")
    assert sorted(bar.get_width() for bar in figure.axes[0].patches) == [4, 200]
    assert "backward, 200 ms" in figure.alt


def test_a_race_names_its_target_and_the_ratio():
    row = RECORD["time_to_accuracy"] | {"title": "training until 0.6"}
    assert "0.6 5 times as fast" in figures.races(row).alt


def spread(median):
    return {"median": median, "low": median - 1, "high": median + 2, "n": 3}


RECORD = {
    "machine": {"name": "a laptop", "pytorch": "2.9", "precision": "bf16-mixed"},
    "step": {"values": {"ours": spread(46), "plain": spread(20)}, "ratio": 2.3},
    "epoch": {"values": {"ours": spread(45), "plain": spread(15)}, "ratio": 3.0},
    "parts": {"values": {"augmentation": spread(4), "backward": spread(200)}},
    "time_to_accuracy": {
        "target": 0.6,
        "ratio": 5.0,
        "curves": {"fast": [[[10, 0.5], [20, 0.7]]], "plain": [[[50, 0.4], [100, 0.6]]]},
    },
    "photo": {"values": {"ours": spread(80), "plain": spread(40)}, "ratio": 2.0},
}


def test_the_benchmark_draws_each_way_in_its_own_colour_and_states_the_ratios():
    figure = figures.benchmark_figure(RECORD)
    speeds, _, _, photo = figure.axes
    for ax, heights in ((speeds, [46, 45, 20, 15]), (photo, [80, 40])):
        assert [bar.get_height() for bar in ax.patches] == heights
        colors = [to_hex(bar.get_facecolor()).upper() for bar in ax.patches]
        assert colors == [OURS] * (len(heights) // 2) + [PLAIN] * (len(heights) // 2)
    for words in (
        "step: ours is 2.3 times as fast",
        "backward, 200 ms",
        "0.6 5 times as fast",
        "takes 2 times as long",
    ):
        assert words in figure.alt


@pytest.mark.parametrize("missing", ["parts", "photo", "time_to_accuracy"])
def test_a_panel_of_the_benchmark_without_a_measurement_says_so(missing):
    figure = figures.benchmark_figure({name: row for name, row in RECORD.items() if name != missing})
    assert figure.alt.count("not measured in this run") == 1
    assert [text.get_text() for ax in figure.axes for text in ax.texts].count("not measured in this run") == 1


def test_a_missed_target_of_the_benchmark_has_no_ratio():
    missed = RECORD | {"time_to_accuracy": RECORD["time_to_accuracy"] | {"ratio": None}}
    assert "Not every training reached a mean IoU of 0.6." in figures.benchmark_figure(missed).alt


@pytest.mark.parametrize("name", ["benchmark.json", "benchmark-gpu.json"])
def test_the_published_benchmarks_can_be_drawn(name):
    assert "The longest part of a step is backward" in figures.benchmark_figure(read_json(published(name))).alt
