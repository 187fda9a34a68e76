import matplotlib.pyplot as plt
import pytest
from matplotlib.colors import to_hex

from petseg import plots
from petseg.plots.ablation import BETTER, NOISE, WORSE

FOUND = {
    "noise": {"mean": 0.7, "seeds": 0.2, "difference": 0.25, "limit": 0.6},
    "variants": [
        {"change": "no skips", "points": -4.2, "limit": 0.6},
        {"change": "blur", "points": 0.5, "limit": 0.6},
        {"change": "many runs", "points": 0.3, "limit": 0.1},
        {"change": "pretrained", "points": 3.0, "limit": 0.6},
    ],
}


@pytest.fixture
def axes():
    return plots.ablation_bars(FOUND, "title").axes[0]


def test_the_best_change_stands_on_top_and_each_bar_is_as_long_as_its_points(axes):
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == ["no skips", "many runs", "blur", "pretrained"]  # from below
    assert [bar.get_width() for bar in axes.containers[-1]] == [-4.2, 0.3, 0.5, 3.0]


def test_a_bar_within_its_own_limit_is_grey_and_the_others_say_better_or_worse(axes):
    assert [to_hex(bar.get_facecolor()).upper() for bar in axes.containers[-1]] == [WORSE, BETTER, NOISE, BETTER]


def test_each_bar_stands_on_a_band_as_wide_as_its_own_limit(axes):
    bands = [container[0] for container in axes.containers[:-1]]
    assert [band.get_x() for band in bands] == [-0.6, -0.1, -0.6, -0.6]
    assert [band.get_width() for band in bands] == [1.2, 0.2, 1.2, 1.2]


def test_the_words_hold_every_number_and_how_much_is_chance(axes):
    assert axes.figure.alt == (
        "Bars of mean IoU gained or lost in points by each change: pretrained +3.0, blur +0.5, many runs +0.3, "
        "no skips -4.2. Within the noise of the seed: blur."
    )
    assert not plt.get_fignums()
