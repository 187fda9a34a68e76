"""What the texts of the lessons say in numbers is what their outputs, or the project's records, say."""

import re
from html import unescape
from itertools import pairwise
from pathlib import Path
from typing import Any

import nbformat
import pytest

from petseg import course
from petseg.files import read_json
from petseg.training.runs import read_logs

ROOT = Path(__file__).resolve().parents[2]
PATHS = sorted((ROOT / "notebooks").glob("*.ipynb"))

#: Numbers that no run of the lesson gives: definitions, settings, the literature, licences (CC BY-SA 4.0), and those of
#: records, which tests below and in tests/test_figures.py compare.
GIVEN = {
    "01": {"0.98", "0.8"},
    "02": {"31.0", "0.005", "0.8", "5.6", "1.5", "1.10"},
    "03": {"0.995", "0.36", "1.10", "0.001", "0.999", "2.78"},
    "04": {"1.15", "0.87", "1.30", "0.77", "1.96", "1.39", "4.0", "35 %"},
    "05": {"0.016", "0.022", "0.04", "0.001", "1.5", "0.17", "0.06", "0.75", "0.2 %", "4 %", "15 %"},
    "06": {"1.28", "4.0", "0.8", "95 %"},
    "07": {"4.0", "0.038", "0.001", "0.975"},
    "08": {"2.6", "2.7"},
}


def cells(path: Path) -> Any:
    return nbformat.read(path, as_version=4).cells


def text_of(path: Path) -> str:
    """The prose of a lesson, without its addresses."""
    prose = "\n".join(cell.source for cell in cells(path) if cell.cell_type == "markdown")
    return re.sub(r"\]\([^)]*\)", "]", prose)


def said_by(path: Path, code: bool = True) -> str:
    """All that a lesson's cells print, tables and alt texts included, and what their code says."""
    said = []
    for cell in cells(path):
        if cell.cell_type == "code":
            data = [output.get("data", {}) for output in cell.outputs]
            said += [cell.source] if code else []
            said += [output.get("text", "") for output in cell.outputs]
            said += [re.sub(r"<[^>]+>", " ", text) for d in data for kind, text in d.items() if kind[:5] == "text/"]
    return unescape("\n".join(said))


def decimals(number: str) -> int:
    return len(number.partition(".")[2])


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_every_decimal_number_and_percentage_of_a_text_is_one_that_the_lesson_printed(path: Path) -> None:
    printed = {number.replace(",", "") for number in re.findall(r"\d[\d,]*(?:\.\d+)?", said_by(path, code=False))}

    def known(quoted: str, percent: bool) -> bool:
        digits = decimals(quoted)
        rounded = {f"{float(x):.{digits}f}" for x in printed if decimals(x) > digits > 0 or x == quoted}
        return quoted in rounded | ({f"{100 * float(x):.{digits}f}" for x in printed if "." in x} if percent else set())

    quotes = re.findall(r"(?<![\w.,/-])(\d[\d,]*\.\d+|\d+(?= %))( %)?(?![\w.]*\d)", text_of(path))
    unknown = {number + sign for number, sign in quotes if not known(number.replace(",", ""), bool(sign))}
    assert unknown - GIVEN[path.name[:2]] == set()


def lesson(number: str) -> Path:
    return next(path for path in PATHS if path.name.startswith(number))


def test_notebook_02_says_how_far_five_equal_runs_differ() -> None:
    scores = [run["val"]["averaged"]["mean_iou"] for run in course.ablation(long=True)["base"]]
    assert f"five equal runs differ by up to {max(scores) - min(scores):.3f}" in text_of(lesson("02"))


def test_notebook_02_quotes_what_separable_convolutions_cost_in_equal_runs() -> None:
    (run,) = (run for run in course.ablation()["variants"] if run["change"] == "depthwise-separable convolutions")
    text = text_of(lesson("02"))
    assert f"{-run['points']:.1f} *points*, which are hundredths of mean IoU, in runs of eight epochs" in text
    assert f"Chance alone explains a difference of up to {run['limit']:.1f} points" in text


def test_notebook_03_quotes_the_ablations_and_its_own_outputs() -> None:
    text, said = text_of(lesson("03")), said_by(lesson("03"))
    rows = {}
    for name, study in (("long", course.ablation(long=True)), ("short", course.ablation())):
        rows |= {(name, run["change"]): (-run["points"], run["limit"]) for run in study["variants"]}
    gain, limit = rows["long", "no augmentation"]
    loss, _ = rows["short", "no augmentation"]
    assert f"gains {gain:.2f} points in 30 epochs, more than its limit of {limit:.2f}" in text
    assert f"*loses* {-loss:.2f} points" in text
    gains, limits = zip(*(rows[study, "cross-entropy alone"] for study in ("long", "short")), strict=True)
    assert f"{gains[0]:.2f} and {gains[1]:.2f} points, and both are within their limits" in text
    assert f"limits of {limits[0]:.2f} and {limits[1]:.2f}" in text
    averaging, limit = rows["short", "no weight averaging"]
    assert f"scored {-averaging:.2f} points lower than the last ones, limit {limit:.2f}" in text
    cycle = re.search(r"one cycle: \+(\d\.\d\d) points, limit (\d\.\d\d): kept", said)
    assert cycle
    assert f"one cycle gains {cycle[1]} points over the constant rate, more than its limit of {cycle[2]}" in text
    constant, end = re.findall(r"averaging adds \S+ points \(mean over the epochs\), \+(\S+) at the end", said)
    assert (
        f"adds {constant} points at the end of the runs with a constant rate, and {end} at the end of one cycle" in text
    )
    scored = re.search(r"mean IoU (0\.\d{3}); the baseline has (0\.\d{3})\nIoU of pet", said)
    assert scored
    assert f"{scored[1]} if setup.quick" in said
    assert f"{scored[2]} if setup.quick" in said
    assert f"the baseline of Oxford's photos is {scored[2]}" in text
    by_size = re.findall(r"^ +\d+ +(\d+) +\S+ +\S+ +(0\.\d{3}) ", said, re.MULTILINE)  # pixels, mean IoU of each epoch
    jumps = [f"from {a[1]} to {b[1]}" for a, b in pairwise(by_size) if a[0] != b[0]]
    assert f"its score rises at both lines, {' and '.join(jumps)}." in text


def test_notebook_04_says_of_what_kind_the_five_worst_predictions_are() -> None:
    text, said = text_of(lesson("04")), said_by(lesson("04"))
    worst = re.findall(r"^(\w+): IoU of pet \d\.\d\d, (.+) in \d+% of the image$", said, re.MULTILINE)
    names, mistakes = zip(*worst, strict=True)
    assert mistakes == (*["background taken for pet"] * 3, "boundary taken for pet", "pet missed")
    assert f"the mask of `{names[0]}` is empty" in text
    assert (
        f"In `{names[3]}`, the band around the pet is taken for pet. In `{names[4]}`, a part of the pet is missed"
        in text
    )


def test_notebook_06_says_which_method_is_ahead_and_how_far_the_weights_moved() -> None:
    text, said = text_of(lesson("06")), said_by(lesson("06"))
    for first, second, ahead in (("frozen", "scratch", "3 of 3"), ("fine-tuned", "scratch", "3 of 3")):
        assert f"{first} against {second}, by the interval and by every seed: ahead at {ahead} sizes" in said
    assert "pretraining is ahead of scratch at every size and with every seed" in text
    assert "fine-tuned against frozen, by the interval and by every seed: ahead at 0 of 3 sizes, behind at 2" in said
    assert "Fine-tuning is nowhere ahead of freezing, and behind it at the two larger sizes" in text
    tries = {
        name: [float(x) for x in re.findall(r"0\.\d{3}", row)]
        for name, row in re.findall(r"^(scratch|frozen|fine-tuned) {2,}((?:0\.\d{3} *){3})$", said, re.MULTILINE)
    }
    low, second, best = tries["scratch"]
    assert "its two best rates differ in score by only a hundredth" in text
    assert low < second < best < second + 0.015
    assert "the pretrained methods are more than a tenth ahead" in text
    assert min(max(tries["frozen"]), max(tries["fine-tuned"])) - best > 0.1
    assert "the last stages moved several times as far as the first ones, and all stayed within two per cent" in text
    for size in ("37", "592"):
        changes = re.search(rf"fine-tuned, {size} images: (stem .+?%)[;.](?: |$)", said, re.MULTILINE)
        assert changes
        moved = [float(x) for x in re.findall(r"(\d\.\d)%", changes[1])]
        assert moved[-1] > 3 * moved[0]
        assert max(moved) < 2


def test_notebook_07_says_that_every_corruption_lowers_the_score_at_every_strength() -> None:
    lost = re.search(
        r"Points of mean IoU lost by corruption, mild, medium, strong: (.+)\.$", said_by(lesson("07")), re.M
    )
    assert lost
    assert min(float(number) for number in re.findall(r"-?\d+\.\d", lost[1])) > 0
    assert "every corruption lowers this score at every strength" in text_of(lesson("07"))


def test_notebook_07_says_how_far_losses_rise_after_their_lowest_value() -> None:
    text, rises = text_of(lesson("07")), {}
    for name, log in read_logs(course.published("runs/ablation-long.csv")).items():
        losses = [loss for _, loss in log["val/loss"]]
        rises[name] = losses[-1] - min(losses)
    assert f"rises by {rises['augment-none']:.3f} in the last third of the run" in text
    assert rises["augment-none"] > rises["flips-and-color"] > 0.01
    base = max(rise for name, rise in rises.items() if name.startswith("base"))
    assert f"in the base by about {base:.3f} at most" in text


def test_notebook_07_quotes_what_the_encoder_s_weights_gain_and_lose() -> None:
    runs = course.ablation()["variants"]
    (pretrained,) = (run["points"] for run in runs if run["change"].endswith("encoder from ImageNet"))
    (scratch,) = (run["points"] for run in runs if run["change"].endswith("encoder from random weights"))
    assert f"it gains {pretrained:.1f} points, with random ones it loses {-scratch:.1f}" in text_of(lesson("07"))


def test_notebook_08_quotes_the_step_of_an_h100_and_of_two_cores_and_the_run_at_full_size() -> None:
    text = text_of(lesson("08"))
    gpu, cpu = (
        {part: value["median"] for part, value in read_json(course.published(name))["parts"]["values"].items()}
        for name in ("benchmark-gpu.json", "benchmark.json")
    )
    times = f"{sum(gpu.values()):.0f} ms together, instead of {sum(cpu.values()):.0f} on two CPU cores"
    assert f"the parts of a step of the whole recipe take {times}" in text
    assert f"{gpu['weight averaging']:.1f} and {cpu['weight averaging']:.1f} ms" in text
    formats = {k: v["median"] for k, v in read_json(course.published("benchmark.json"))["formats"]["values"].items()}
    ways = ("contiguous, float32", "channels_last, float32", "channels_last, bfloat16")
    plain, last, half = (f"{formats[way]:.0f}" for way in ways)
    assert f"{plain} ms per step for contiguous float32, {last} for channels-last float32, and {half} for" in text
    run = next(variant for variant in course.ablation()["variants"] if variant["change"] == "128 pixels throughout")
    assert f"scored {run['points']:.1f} points of mean IoU above the mean of the base runs" in text
    assert f"chance alone explains {run['limit']:.1f}" in text
    assert run["points"] < run["limit"]


def test_notebook_08_says_what_precision_and_larger_batches_did_in_its_own_outputs() -> None:
    text, said = text_of(lesson("08")), said_by(lesson("08"))
    slower = [float(x) for x in re.findall(r"bfloat16: slower, (\d+\.\d+) times the time", said)]
    assert [round(min(slower)), round(max(slower))] == [7, 10]
    assert "bfloat16 takes about seven to ten times as long" in text
    assert "channels-last, float32: no clear difference" in said
    behind = re.search(r"batch 8 scores \+(\d\.\d+) more", said)[1]  # type: ignore[index]
    assert f"the large batch stays {behind} behind" in text
    steps = re.findall(r"^batch \d.*? (\d+)$", said, re.MULTILINE)
    assert f"two epochs give it {steps[1]} steps instead of {steps[0]}" in text
