import pytest
from matplotlib.colors import to_hex

from petseg.plots.benchmark import OURS, PLAIN, benchmark_figure


def spread(median: float) -> dict[str, float]:
    return {"median": median, "low": median - 1, "high": median + 2, "n": 3}


RECORD = {
    "machine": {"name": "a laptop", "pytorch": "2.9", "precision": "bf16-mixed"},
    "step": {"values": {"ours": spread(46), "plain": spread(20)}, "ratio": 2.3},
    "epoch": {"values": {"ours": spread(45), "plain": spread(15)}, "ratio": 3.0},
    "parts": {"values": {"augmentation": spread(4), "backward": spread(200)}},
    "growth_side": {"values": {"64 px": spread(160), "128 px": spread(40)}},
    "time_to_accuracy": {
        "target": 0.6,
        "ratio": 5.0,
        "curves": {"fast": [[[10, 0.5], [20, 0.7]]], "plain": [[[50, 0.4], [100, 0.6]]]},
    },
}


def test_each_way_has_a_bar_as_high_as_its_median_in_its_own_colour():
    ax = benchmark_figure(RECORD).axes[0]
    heights = {to_hex(bar.get_facecolor()).upper(): [] for bar in ax.patches}
    for bar in ax.patches:
        heights[to_hex(bar.get_facecolor()).upper()].append(bar.get_height())
    assert heights == {OURS: [46, 45], PLAIN: [20, 15]}


def test_the_words_hold_the_ratios_and_the_longest_part():
    alt = benchmark_figure(RECORD).alt
    assert "step: ours is 2.3 times as fast" in alt
    assert "epoch: ours is 3 times as fast" in alt
    assert "The longest part of a step is backward, 200 ms." in alt
    assert "reaches a mean IoU of 0.6 5 times as fast" in alt
    assert "160 images per second at 64 pixels, 40 at 128 pixels." in alt


@pytest.mark.parametrize("missing", ["parts", "growth_side", "time_to_accuracy"])
def test_a_panel_whose_row_was_not_measured_says_so(missing):
    drawn = benchmark_figure({name: row for name, row in RECORD.items() if name != missing})
    assert "not measured in this run" in drawn.alt
    assert any("not measured" in text.get_text() for ax in drawn.axes for text in ax.texts)


def test_a_missed_target_is_said_and_not_drawn_as_a_ratio():
    missed = RECORD | {"time_to_accuracy": RECORD["time_to_accuracy"] | {"ratio": None}}
    assert "Not every training reached a mean IoU of 0.6." in benchmark_figure(missed).alt
