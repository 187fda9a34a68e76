import matplotlib.pyplot as plt
import pytest

from petseg import plots
from petseg.plots.cost import _short

OURS = [plots.Network("unet", 7_778_643, 0.75, "test")]
THEIRS = [
    plots.Network("wide", 34_500_000, 0.64, "unstated", 1),
    plots.Network("pretrained", 32_950_000, 0.816, "validation", 2),
]


def drawn():
    return plots.accuracy_against_cost(OURS, THEIRS, "title")


def points(axes):
    return {(line.get_xdata()[0], line.get_ydata()[0]): line for line in axes.get_lines()}


def test_each_network_stands_at_its_parameters_and_mean_iou_on_a_logarithmic_axis():
    axes = drawn().axes[0]
    assert set(points(axes)) == {(one.parameters, one.mean_iou) for one in (*OURS, *THEIRS)}
    assert axes.get_xscale() == "log"
    assert "parameters" in axes.get_xlabel()


def test_ours_are_filled_and_named_and_theirs_hollow_numbered_and_in_the_key():
    figure = drawn()
    found = points(figure.axes[0])
    assert found[7_778_643, 0.75].get_markerfacecolor() != "none"
    assert {found[one.parameters, one.mean_iou].get_markerfacecolor() for one in THEIRS} == {"none"}
    assert {text.get_text() for text in figure.axes[0].texts} == {"unet", "1", "2"}
    assert figure.get_supxlabel() == "1  wide\n2  pretrained"


def test_the_marker_tells_the_split_and_the_legend_names_those_in_use():
    figure = plots.accuracy_against_cost(OURS, THEIRS[:1], "title")
    found = points(figure.axes[0])
    assert found[7_778_643, 0.75].get_marker() != found[34_500_000, 0.64].get_marker()
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["official test split", "split not stated"]


def test_the_words_for_those_who_cannot_see_it_hold_every_number():
    assert drawn().alt == (
        "Mean IoU against parameters. Released here: unet 0.750 with 7.78 M parameters. Reported by others, on other "
        "splits and sizes: wide 0.640 with 34.5 M parameters; pretrained 0.816 with 33 M parameters."
    )


def test_no_window_stays_open():
    drawn()
    assert not plt.get_fignums()


@pytest.mark.parametrize(("count", "words"), [(500_000, "500 k"), (1e6, "1 M"), (7_778_643, "7.78 M"), (2e7, "20 M")])
def test_counts_are_said_as_people_say_them(count, words):
    assert _short(count) == words
