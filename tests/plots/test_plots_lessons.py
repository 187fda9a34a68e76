"""Figures of the notebooks: what they show is what they were given, and the alt text says it."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.colors import to_hex

from petseg import metrics
from petseg.course.lesson_08 import _finished
from petseg.labels import COLORS
from petseg.models import inspection
from petseg.models.unet import UNet
from petseg.plots import comparing, dataset, evaluation, learning, network, speed, training, transfer
from petseg.plots.comparing import BETTER, NOISE, WORSE
from petseg.plots.evaluation import OUTCOMES
from petseg.plots.speed import OURS, PLAIN
from petseg.plots.training import ACCENT, MUTED


def interval(value):
    return metrics.Interval(*(torch.tensor(value + d) for d in (0.0, -0.1, 0.1)))


def names(ax):
    return [label.get_text() for label in ax.get_yticklabels()]


def colors(bars):
    return [to_hex(bar.get_facecolor()).upper() for bar in bars]


def points(line):
    return line.get_xydata().tolist()


def heights(figure):
    return [bar.get_height() for bar in figure.axes[0].patches]


def widths(figure):
    return [bar.get_width() for bar in figure.axes[0].patches]


PIXELS = torch.full((1, 3, 2, 2), 1 / 3)
PIXELS[:, :, 0] = torch.tensor([0.8, 0.1, 0.1]).view(1, 3, 1)
ALL_PET = metrics.reliability_counts(PIXELS, torch.zeros(1, 2, 2, dtype=torch.uint8), bins=5)


@pytest.mark.parametrize(
    ("draw", "lengths", "expected", "words"),
    [
        (
            partial(comparing.seed_scores, {"short": [67.0, 68.0], "long": [70.0, 71.0]}, {"short": 2.0, "long": 0.5}),
            lambda figure: [(bar.get_x(), bar.get_width()) for bars in figure.axes[0].containers for bar in bars],
            [(65.5, 4.0), (70.0, 1.0)],  # the limit on both sides of the mean
            "long: 70.00, 71.00, limit 0.50",
        ),
        (partial(comparing.reliability_diagram, ALL_PET), heights, [0, 1, 0, 0, 1], ""),
        (
            partial(
                comparing.corruption_losses, {"a": [interval(v) for v in (0.1, 0.2, 0.3)], "b": [interval(0.2)] * 3}
            ),
            widths,
            [10, 20, 20, 20, 30, 20],
            "a 10.0, 20.0, 30.0; b",
        ),
        (
            partial(dataset.region_bars, {"ring": np.array([0.04, 0.9, 0.06])}),
            lambda figure: [(bar.get_width(), bool(bar.get_hatch())) for bar in figure.axes[0].patches],
            [(0.04, False), (0.9, False), (0.06, True)],
            "pet 4%, background 90%, boundary 6%",
        ),
        (partial(speed.part_bars, {"backward": 0.2, "augmentation": 0.004}), widths, [4, 200], "backward, 200 ms"),
    ],
)
def test_bars_are_as_long_as_their_numbers_and_the_alt_text_says_them(draw, lengths, expected, words):
    figure = draw("title")
    np.testing.assert_allclose(np.array(lengths(figure), float), expected)
    assert words in figure.alt


LOG = {
    "train/loss": [(1, 1.5), (2, 1.0), (3, 0.8), (4, 0.7)],
    "val/loss": [(2, 1.1), (4, 0.6)],
    "val/mean_iou": [(2, 0.3), (4, 0.55)],
}
LOSSES = {"none": [[(5, 0.9), (10, 0.6)]], "base": [[(5, 0.9), (10, 0.4)], [(5, 0.9), (10, 0.5)]]}
RUN = pd.DataFrame({"train loss": [1.0, 0.6, 0.3, 0.1], "val loss": [1.1, 0.8, 0.7, 0.9]}, index=[1, 2, 3, 4])
KNOWN = {"a": {1: 0.2, 2: 0.4}, "b": {1: 0.2, 2: 0.6}, "position": {1: 0.44, 2: 0.4}}


@pytest.mark.parametrize(
    ("draw", "expected", "words"),
    [
        (
            lambda: comparing.loss_after_epochs(LOSSES, "title"),
            [line for lines in LOSSES.values() for line in lines],
            "none ends at 0.600; base ends at 0.400, 0.500",
        ),
        (
            lambda: learning.descents({"0.25: right": [1.0, 0.25], "2: too large": [0.5, -1.5]}),
            [[(1, 1), (0.25, 0.0625)]],
            "0.25: right: from 1 to 0.25; 2: too large: from 0.5 to -1.50",
        ),
        (
            lambda: learning.learning_rates([0.1, 0.4, 0.3, 0.0], [0.95, 0.85, 0.9, 0.95], steps_per_epoch=2),
            [[(0, 0.1), (0.5, 0.4), (1, 0.3), (1.5, 0)]],
            "4.0e-01 at epoch 0.5",
        ),
        (
            lambda: training.run_curves(LOG, epochs=8, stages=[(1, 64), (3, 128)]),
            [LOG["train/loss"], LOG["val/loss"]],
            "128 pixels from epoch 3",
        ),
        (
            lambda: training.loss_curves({"few": RUN, "one": RUN.head(1)}, "Overfitted"),
            [list(zip(RUN.index, RUN[name], strict=True)) for name in RUN] + [[(3, 0.7)]],  # where validation is lowest
            "few: training ends at 0.10, validation at 0.90 after its lowest value of 0.70 in epoch 3",
        ),
        (
            lambda: transfer.probe_scores(KNOWN, "Known"),
            [list(enumerate(scores.values())) for scores in KNOWN.values()],
            "b: 0.20 at stride 1, 0.60 at stride 2; position: 0.44 at stride 1",
        ),
        (
            lambda: speed.roofline({"ReLU": (0.1, 2e9), "conv": (50, 9e10)}, peak=1e11, bandwidth=2e10, title="two"),
            [[(0.1, 2)], [(50, 90)]],
            "conv: 50 operations per byte, 90 billion per second",
        ),
    ],
)
def test_lines_pass_through_their_points_and_the_alt_text_says_where(draw, expected, words):
    figure = draw()
    lines = [[tuple(point) for point in points(line)] for line in figure.axes[0].get_lines()]
    for line in expected:
        assert any(len(line) == len(other) and np.allclose(line, other) for other in lines), line
    assert words in figure.alt


TRUE = np.array([[1, 1], [0, 0]], dtype=bool)
PREDICTED = np.array([[1, 0], [1, 0]], dtype=bool)
SHAPES = [(16, 32, 32), (24, 16, 16), (40, 8, 8)]


@pytest.mark.parametrize(
    ("draw", "panel", "expected", "words"),
    [
        (lambda: evaluation.outcomes(TRUE, PREDICTED, "title"), 2, ["TP", "FN", "FP", "TN"], "1 false negative, 1"),
        (
            lambda: evaluation.bootstrap_drawing([[0, 0, 2], [1, 1, 1]], [0.1, 0.2, 0.3], (0.1, 0.3), "title"),
            0,
            ["1", "2", "3", "1", "1", "3", "2", "2", "2"],  # the images, and those of each draw
            "95 % of them lie from 0.1000 to 0.3000",
        ),
        (
            lambda: dataset.overlap(TRUE, PREDICTED),
            0,
            ["true: 2", "predicted: 2", "intersection: 1", "union: 3", "IoU =", "= 1 / 3 = 0.33"],
            "true: 2",
        ),
        (
            lambda: learning.ladder({"low": 0.25, "middle": 0.5, "high": 0.375}, ("beside it", 0.75)),
            0,
            ["0.250", "0.500  (+0.250)", "0.375  (-0.125)", "beside it: 0.750"],
            "low 0.250, middle 0.500, high 0.375. A line marks beside it, 0.750.",
        ),
        (
            lambda: transfer.network_shapes((3, 64, 64), SHAPES, [(8, 16, 16), (4, 32, 32)], "Shapes"),
            0,
            ["16 + 8", "24 + 40"],  # what the blocks concatenate
            "16 x 32 x 32, 24 x 16 x 16 to the bottleneck of 40 x 8 x 8",
        ),
        (
            lambda: comparing.reliability_example([0.6, 0.9], [0.6, 0.8], [5, 5], "title"),
            0,
            ["5 pixels", "gap 0.00", "5 pixels", "gap 0.10"],
            "",
        ),
    ],
)
def test_numbers_are_written_where_they_belong_and_in_the_alt_text(draw, panel, expected, words):
    figure = draw()
    texts = [text.get_text() for text in figure.axes[panel].texts]
    assert [text for text in texts if text in expected] == expected
    assert words in figure.alt


def test_draws_of_scores_and_of_differences_have_a_panel_each_and_the_ends_are_in_words():
    scores = {"plain": np.linspace(0, 1, 41), "new": np.linspace(1, 2, 41)}
    figure = comparing.paired_drawing(scores, {"same": np.linspace(-1, 1, 41)}, "title")
    assert [len(ax.patches) for ax in figure.axes] == [2, 1]
    assert "plain +0.0250 to +0.9750; new +1.0250 to +1.9750; same -0.9500 to +0.9500" in figure.alt


def test_changes_of_the_ablation_are_sorted_and_grey_within_their_own_limit():
    changes = (("no skips", -4.2, 0.6), ("blur", 0.5, 0.6), ("many runs", 0.3, 0.1), ("pretrained", 3.0, 0.6))
    runs = [{"change": name, "points": points, "limit": limit} for name, points, limit in changes]
    ax = comparing.ablation_bars({"variants": runs}, "title").axes[0]
    *bands, bars = ax.containers
    assert names(ax) == ["no skips", "many runs", "blur", "pretrained"]  # from below
    assert [bar.get_width() for bar in bars] == [-4.2, 0.3, 0.5, 3.0]
    assert colors(bars) == [WORSE, BETTER, NOISE, BETTER]
    assert [band[0].get_width() for band in bands] == [1.2, 0.2, 1.2, 1.2]
    assert "pretrained +3.0, blur +0.5" in ax.figure.alt
    assert "Within the noise of the seed: blur." in ax.figure.alt


def test_a_gain_is_coloured_only_beyond_its_limit():
    rows = pd.DataFrame({"points": [0.8, 0.3, -0.5], "limit": [0.6, 0.6, 0.4]}, index=["more", "chance", "less"])
    figure = learning.gains(rows, "title")
    dots = {to_hex(line.get_color()).upper(): list(line.get_xdata()) for line in figure.axes[0].lines[:2]}
    assert dots == {ACCENT: [0.8, -0.5], MUTED: [0.3]}
    assert widths(figure) == pytest.approx([1.2, 1.2, 0.8])
    assert "chance +0.30, limit 0.60" in figure.alt


def test_two_animals_share_a_colour_in_semantic_segmentation_differ_in_instance_segmentation_and_have_boxes():
    left = np.zeros((4, 8), dtype=bool)
    left[1:3, 1:3] = True
    figure = dataset.vision_tasks(np.full((4, 8, 3), 255, dtype=np.uint8), [left, left[:, ::-1]], "cat")
    panels = {ax.get_title(loc="left").removesuffix(" segmentation"): ax for ax in figure.axes}
    semantic, instance, panoptic = (
        [layer.get_cmap()(0) for layer in panels[name].images[1:]]  # the first is the image
        for name in ("semantic", "instance", "panoptic")
    )
    assert semantic[0] == semantic[1] != semantic[2]
    assert len(instance) == len(set(instance)) == 2
    assert panoptic == [*instance, semantic[2]]
    assert figure.axes[2].patches[0].get_bbox().bounds == (0.5, 0.5, 2, 2)


def test_each_outcome_has_its_colour_which_no_class_has():
    hexes = ["#{:02X}{:02X}{:02X}".format(*pixel) for pixel in evaluation.outcome_map(TRUE, PREDICTED).reshape(-1, 3)]
    outcomes = ("true positive", "false negative", "false positive", "true negative")
    assert hexes == [OUTCOMES[name][0] for name in outcomes]
    assert set(hexes).isdisjoint(COLORS)


def test_pictures_stand_in_rows_by_kind_and_columns_by_image():
    pictures = [[np.full((2, 2, 3), 10 * row + column, np.uint8) for column in range(3)] for row in range(2)]
    figure = evaluation.outcome_rows(pictures, ["truth", "prediction"], ["a_1", "b_2", "c_3"])
    assert [int(ax.get_images()[0].get_array()[0, 0, 0]) for ax in figure.axes] == [0, 1, 2, 10, 11, 12]
    assert [ax.get_title(loc="left") for ax in figure.axes[:3]] == ["a 1", "b 2", "c 3"]
    assert figure.axes[3].get_ylabel() == "prediction"


def test_breeds_and_scores_are_sorted_and_species_differ_in_shape():
    values = torch.tensor([0.7, 0.6, 0.8])
    breeds = [("Bengal", "cat"), ("pug", "dog"), ("Maine_Coon", "cat")]
    figure = evaluation.breed_scores(breeds, metrics.Interval(values, values - 0.05, values + 0.05), 0.7, "title")
    assert names(figure.axes[0]) == ["pug", "Bengal", "Maine Coon"]
    dots = [line for line in figure.axes[0].get_lines() if line.get_marker() in "os" and len(line.get_xdata())]
    assert [dot.get_marker() for dot in dots] == ["s", "o", "o"]
    assert [dot.get_xdata()[0] for dot in dots] == pytest.approx([0.6, 0.7, 0.8])
    assert "from pug (0.600) to Maine_Coon (0.800)" in figure.alt
    scores = {"network": interval(0.7), "baseline": interval(0.3), "report": metrics.Interval(*[torch.tensor(0.8)] * 3)}
    figure = evaluation.compared_scores(scores, "title")
    assert names(figure.axes[0]) == ["baseline", "network", "report"]
    assert "report 0.800; network 0.700 [0.600, 0.800]; baseline" in figure.alt


def test_the_modes_of_a_run_alternate_and_no_text_leaves_its_box():
    figure = learning.modes()
    figure.canvas.draw()
    ax = figure.axes[0]
    boxes = [patch.get_window_extent() for patch in ax.patches if hasattr(patch, "get_boxstyle")][:4]
    modes = [text for text in ax.texts if text.get_text().startswith("network.")]
    assert [text.get_text().split("(")[0] for text in modes] == ["network.train", "network.eval"] * 2
    for box, text in zip(boxes, modes, strict=True):
        assert box.x0 <= text.get_window_extent().x0 < text.get_window_extent().x1 <= box.x1


@pytest.mark.parametrize(("channels", "size"), [((16, 32, 64, 128, 256), 128), ((8, 16, 24), 96), ((5,), 32)])
def test_the_u_names_the_shape_of_every_stage_and_no_text_covers_another(channels, size):
    steps = inspection.trace(UNet(channels=channels, num_classes=4), (1, 3, size, size), stages=True)
    figure = network.unet_diagram(steps, "title")
    texts = [text.get_text() for text in figure.axes[0].texts]
    for i, c in enumerate(channels):
        assert texts.count(f"{c} x {size >> i} x {size >> i}") == 2  # in the encoder and in the decoder
        assert {f"encoder {i + 1}", f"decoder {i + 1}", f"{c} + {c}"} <= set(texts)
    bottom = f"{2 * channels[-1]} x {size >> len(channels)} x {size >> len(channels)}"
    assert texts.count(bottom) == 1
    assert f"4 x {size} x {size}" in figure.alt
    assert bottom in figure.alt
    figure.canvas.draw()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts if text.get_text()]
    whole = figure.bbox
    assert all(whole.x0 <= box.x0 and box.x1 <= whole.x1 and box.y1 <= whole.y1 for box in boxes)
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[i + 1 :])


def test_gradients_are_drawn_as_powers_of_ten_of_their_largest_cell():
    gradient = np.zeros((8, 8))
    gradient[4, 4], gradient[0, 0] = 1, 0.01
    figure = network.gradient_panels({"a": gradient, "b": gradient}, radii=[1, 2], cell=2, alt="words")
    drawn = figure.axes[0].images[0].get_array()
    assert drawn.shape == (4, 4)
    assert [drawn[2, 2], drawn[0, 0], drawn[1, 1]] == pytest.approx([0, -2, -9])  # -9: nothing, below the scale
    squares = [panel.patches[0] for panel in figure.axes[:2]]
    assert [(square.get_x(), square.get_width()) for square in squares] == [(2.5, 3), (1.5, 5)]
    assert figure.alt == "words"


def test_scores_without_skips_have_class_colours_and_a_marker_each():
    figure = network.skip_scores({"none": [0.8, 0.9, 0.5], "1": [0.7, 0.8, 0.1]}, "title")
    lines = figure.axes[0].get_lines()
    assert [to_hex(line.get_color()).upper() for line in lines] == list(COLORS)
    assert len({line.get_marker() for line in lines}) == 3
    assert [list(line.get_ydata()) for line in lines] == [[0.8, 0.7], [0.9, 0.8], [0.5, 0.1]]
    assert "1: pet 0.70, background 0.80, boundary 0.10" in figure.alt


def test_curves_are_drawn_before_the_first_validation_and_a_high_first_loss_does_not_flatten_the_others():
    assert training.run_curves(LOG, epochs=8).axes[1].get_title(loc="left") == "0.550 after epoch 4 of 8"
    early = training.run_curves({"train/loss": [(1, 1.5)]}, epochs=4)
    assert early.axes[1].get_title(loc="left") == "No scores yet"
    left = training.run_curves({**LOG, "val/loss": [(2, 50.0), (4, 0.6)]}, epochs=4).axes[0]
    assert left.get_ylim()[1] < 3
    assert "off the scale" in left.get_title(loc="left")


def test_a_learning_curve_has_a_point_per_seed_beside_those_of_other_methods_and_a_line_through_their_means():
    scores = {"scratch": {100: [0.4, 0.6], 400: [0.7, 0.7]}, "frozen": {100: [0.6, 0.6], 400: [0.8, 0.6]}}
    figure = transfer.learning_curves(scores, "More is better")
    lines = figure.axes[0].get_lines()
    means, dots = ([line for line in lines if (line.get_linestyle() == "None") == style] for style in (False, True))
    assert [list(line.get_ydata()) for line in means] == [[0.5, 0.7], [0.6, 0.7]]
    assert len({line.get_linestyle() for line in means}) == 2
    assert [list(line.get_ydata()) for line in dots] == [[0.4, 0.6], [0.7, 0.7], [0.6, 0.6], [0.8, 0.6]]
    assert len({line.get_xdata()[0] for line in dots}) == 4  # of equal scores none covers another
    assert figure.axes[0].get_xscale() == "log"
    assert "scratch: 0.500 with 100, 0.700 with 400; frozen: 0.600 with 100" in figure.alt


def test_the_drawing_of_freezing_says_what_moves_and_where_the_backward_pass_ends():
    moves = {"free": {"encoder": (True, True), "decoder": (True, True)}, "frozen": {"encoder": (False, True)}}
    moves["frozen"]["decoder"] = (True, True)
    figure = transfer.freezing(moves, "What moves")
    assert "frozen: encoder's weights stay and statistics move" in figure.alt
    arrows = [[text for text in ax.texts if getattr(text, "arrow_patch", None)] for ax in figure.axes]
    assert list(map(len, arrows)) == [2, 1]


@pytest.mark.parametrize(("launch", "compute"), [(1.0, 3.0), (3.0, 1.0)])
def test_the_timeline_ends_when_the_gap_of_notebook_08_says(launch, compute):
    figure = speed.timeline(launch, compute, steps=4)
    for ax, wait in zip(figure.axes, (False, True), strict=True):
        end = max(bar.get_x() + bar.get_width() for bar in ax.patches)
        assert end == _finished(launch, compute, 4, wait)
        assert f"4 steps in {end:g} ms" in ax.get_title(loc="left")
        assert f"{end:g} ms" in figure.alt


def test_the_roofline_bends_where_the_peak_is_reached():
    figure = speed.roofline({"ReLU": (0.1, 2e9)}, peak=1e11, bandwidth=2e10, title="one layer")
    roof, ridge, _ = figure.axes[0].get_lines()
    assert ridge.get_xdata()[0] == 5
    assert max(roof.get_ydata()) == 100
    assert roof.get_ydata()[0] == pytest.approx(20 * roof.get_xdata()[0])


def spread(median):
    return {"median": median, "low": median - 1, "high": median + 2, "n": 3}


RACE = {"fast": [[[10, 0.5], [20, 0.7]]], "plain": [[[50, 0.4], [100, 0.6]]]}
RECORD = {
    "machine": {"name": "a laptop", "pytorch": "2.9", "precision": "bf16-mixed"},
    "step": {"values": {"ours": spread(46), "plain": spread(20)}, "ratio": 2.3},
    "epoch": {"values": {"ours": spread(45), "plain": spread(15)}, "ratio": 3.0},
    "parts": {"values": {"augmentation": spread(4), "backward": spread(200)}},
    "time_to_accuracy": {"target": 0.6, "ratio": 5.0, "curves": RACE},
    "photo": {"values": {"ours": spread(80), "plain": spread(40)}, "ratio": 2.0},
}


def test_the_benchmark_draws_each_way_in_its_own_colour_and_states_the_ratios():
    figure = speed.benchmark_figure(RECORD)
    speeds, _, _, photo = figure.axes
    for ax, expected in ((speeds, [46, 45, 20, 15]), (photo, [80, 40])):
        assert [bar.get_height() for bar in ax.patches] == expected
        assert colors(ax.patches) == [OURS] * (len(expected) // 2) + [PLAIN] * (len(expected) // 2)
    said = ("step: ours is 2.3 times as fast", "backward, 200 ms", "0.6 5 times as fast", "takes 2 times as long")
    assert [words for words in said if words not in figure.alt] == []
    race = RECORD["time_to_accuracy"]
    assert "0.6 5 times as fast" in speed.races(race | {"title": "training until 0.6"}).alt
    missed = speed.benchmark_figure(RECORD | {"time_to_accuracy": race | {"ratio": None}})
    assert "Not every training reached a mean IoU of 0.6." in missed.alt


@pytest.mark.parametrize("missing", ["parts", "photo", "time_to_accuracy"])
def test_a_panel_of_the_benchmark_without_a_measurement_says_so(missing):
    figure = speed.benchmark_figure({name: row for name, row in RECORD.items() if name != missing})
    assert figure.alt.count("not measured in this run") == 1
    assert [text.get_text() for ax in figure.axes for text in ax.texts].count("not measured in this run") == 1
