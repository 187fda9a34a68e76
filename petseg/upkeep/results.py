"""`make figures`: scores of the released models and the figures of README, from weights and the logs of their runs.

No split is scored here: `petseg release --log` counted the pixels once, and `petseg test` can be asked again.

Writes `figures/results.json`, the one source of every number in README and notebooks, the figures, and the tables of
README between their marks.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image
from skimage.data import cat

from petseg import plots
from petseg.course.record import references as course_references
from petseg.data.cartoon.breeds import BREEDS
from petseg.data.cartoon.picture import draw_pet
from petseg.errors import DataError, MissingError, ModelError
from petseg.files import atomic_write, checkout, write_json
from petseg.inference.predictor import Predictor
from petseg.labels import CLASSES
from petseg.metrics.confusion import pooled_scores
from petseg.models import zoo
from petseg.models.inspection import trace
from petseg.training.runs import Log, read_log
from petseg.upkeep import screenshots

CHECKOUT = checkout() or Path.cwd()
FIGURES = CHECKOUT / "figures"
REFINEMENT = FIGURES / "refinement.json"
README_MARKS = ("<!-- results: written by make figures -->", "<!-- end of results -->")
REFINEMENT_MARKS = ("<!-- full size: written by make figures -->", "<!-- end of full size -->")
REFERENCE_MARKS = ("<!-- references: written by make figures -->", "<!-- end of references -->")


def model_results(name: str, runs: Path = FIGURES / "runs") -> dict[str, Any]:
    """A released model's parameters, its multiply-adds for one image, and scores and confusion matrix of each split.

    Args:
        name: of the model.
        runs: holds a folder for each, with the `release.json` of `petseg release --log`.

    Raises:
        DataError: there is no such file, or it tells of other weights than the released ones.
    """
    path = runs / name / "release.json"
    if not path.is_file():
        raise DataError(f"{path}: not there. Release the model with `petseg release CKPT --log {path.parent}`.")
    counted = json.loads(path.read_text())["confusion"]
    network, card = zoo.load(name)
    steps = trace(network, (1, 3, *card.size))
    results: dict[str, Any] = {"parameters": card.parameters, "multiply_adds": sum(s.multiply_adds for s in steps)}
    for split in ("val", "test"):
        scores = pooled_scores(torch.tensor(counted[split]["pixels"])[None])
        if any(abs(scores[key] - card.scores[split][key]) > 1e-6 for key in scores):
            raise DataError(f"{path}: tells of other weights than those of {name}. Release the model again.")
        rounded = {key: round(value, 4) for key, value in scores.items()}
        results[split] = {"images": counted[split]["images"], **rounded, "confusion": counted[split]["pixels"]}
    return results


def results_table(results: Mapping[str, Any]) -> str:
    """README's table of the released models in Markdown, one row a model."""
    lines = [
        "| model | parameters | mean IoU | pet | background | boundary | accuracy |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for name, found in results["models"].items():
        keys = ("mean_iou", *(f"iou_{label}" for label in CLASSES), "accuracy")
        cells = " | ".join(f"{found['test'][key]:.4f}" for key in keys)
        lines.append(f"| `{name}` | {found['parameters']:,} | {cells} |")
    return "\n".join(lines)


def reference_table(references: Sequence[Mapping[str, Any]]) -> str:
    """README's table of what others report in Markdown, one row a network; what they do not say is a dash.

    Args:
        references: as `course.references` gives them, numbered in this order in the picture.
    """
    lines = [
        "| | reported | parameters | pixels | split | encoder | mean IoU | pet | background | boundary | accuracy |",
        "|--:|---|--:|--:|---|---|--:|--:|--:|--:|--:|",
    ]
    keys = ("mean_iou", *(f"iou_{label}" for label in CLASSES), "accuracy")
    for number, found in enumerate(references, start=1):
        name = f"[{found['name']}]({found['url']})" if found["url"] else f"{found['name']} (no public page found)"
        million = f"{found['parameters'] / 1e6:.1f} M" if found["parameters"] else "-"
        scores = " | ".join("-" if found[key] is None else f"{found[key]:g}" for key in keys)
        size = found["size"] or "-"
        lines.append(f"| {number} | {name} | {million} | {size} | {found['split']} | {found['encoder']} | {scores} |")
    return "\n".join(lines)


#: Ways to full size that README tells of, by their name in `petseg.upkeep.fullsize.WAYS`; the others are in the file.
WAYS = {
    "plain: bilinear": "one look, logits enlarged (bilinear)",
    "bicubic": "the same, bicubic",
    "guided filter": "the same, sharpened by a guided filter",
    "photo again in its own proportions": "the photo once more in its own proportions",
    "two looks": "**two looks: the photo, then the pet**",
    "two looks, guided filter": "two looks, guided filter",
    "two looks, the second unsqueezed": "two looks, the second in the pet's own proportions",
    "three looks": "three looks",
}


def refinement_table(found: Mapping[str, Any]) -> str:
    """README's table of the ways to the photo's own size in Markdown.

    Args:
        found: as `python -m petseg.upkeep.fullsize` writes it to `figures/refinement.json`.
    """
    reported = found["reported"]
    scenes = [reported["as they are"], reported["in a frame 2.0 times as wide"]]
    lines = [
        f"Of `{found['model']}`, on {reported['photos']} photos at their own size; settings were chosen on others "
        "(most were trained on, so the scores compare with each other only). Gain: over the first row, with "
        f"its 95 % interval. F: of the pet's contour within {found['tolerance']} pixels. *Small pet*: the "
        "same photos amid blurred surroundings, twice as high and as wide.",
        "",
        "| | mean IoU | gain | F | small pet: mean IoU | gain | F |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for way, words in WAYS.items():
        cells = [cell for scene in scenes for cell in _refined(scene[way])]
        lines.append(f"| {words} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _refined(scores: Mapping[str, Any]) -> list[str]:
    value, low, high = scores["gain"]
    gain = f"{value:+.4f} [{low:+.4f}, {high:+.4f}]" if (value, low, high) != (0, 0, 0) else ""
    return [f"{scores['mean_iou']:.4f}", gain, f"{scores['boundary_f']:.4f}"]


def between_marks(text: str, marks: tuple[str, str], content: str, name: str) -> str:
    """A text with what stands between two marks written anew.

    Args:
        text: the whole.
        marks: the lines before and after.
        content: what goes between, in paragraphs of its own.
        name: what the error message calls the text.

    Raises:
        DataError: a mark is missing, or there twice.
    """
    start, end = marks
    if text.count(start) != 1 or text.count(end) != 1:
        raise DataError(f"{name}: must hold '{start}' and '{end}' once each; put them where the table belongs.")
    head, rest = text.split(start)
    return f"{head}{start}\n\n{content}\n\n{end}{rest.split(end)[1]}"


def with_table(readme: str, results: Mapping[str, Any]) -> str:
    """README's text with its tables made anew: the released models, ways to full size where measured, references.

    Raises:
        DataError: a mark is missing.
    """
    readme = between_marks(readme, README_MARKS, results_table(results), "README.md")
    if REFINEMENT.is_file():
        refinement = refinement_table(json.loads(REFINEMENT.read_text()))
        readme = between_marks(readme, REFINEMENT_MARKS, refinement, "README.md")
    return between_marks(readme, REFERENCE_MARKS, reference_table(course_references()), "README.md")


def cost_figure(results: Mapping[str, Any]) -> Figure:
    """The released models and the references whose IoU and parameters are known, by their cost."""
    ours = [
        plots.Network(name, found["parameters"], found["test"]["mean_iou"], "test")
        for name, found in results["models"].items()
    ]
    theirs = [
        plots.Network(
            f"{found['name']}, {_size(found['size'])}, {_encoder(found['encoder'])}",
            found["parameters"],
            found["mean_iou"],
            found["split"],
            number,
        )
        for number, found in enumerate(course_references(), start=1)
        if found["parameters"] and found["mean_iou"] is not None
    ]
    return plots.accuracy_against_cost(ours, theirs, "The number of parameters alone says little")


def draw_figures(results: dict[str, Any], folder: Path) -> list[Path]:
    """README's figures; none shows a photo of the data set."""
    test = results["models"]["unet"]["test"]
    log = one_after_the_other([read_log(FIGURES / "runs" / run / "metrics.csv") for run in ("unet-first", "unet")])
    chelsea = Predictor()(Image.fromarray(cat()), name="Chelsea")
    steps = [chelsea.photo, chelsea.overlay(), chelsea.cutout()]
    worst = min(CLASSES, key=lambda name: test[f"iou_{name}"])
    figures = {
        "learning_curves": plots.learning_curves(log, "Larger pictures lift the scores, then a second run"),
        "iou": plots.iou_bars(test, f"The {worst} is the hardest class"),
        "confusion": plots.confusion_heatmap(np.array(test["confusion"]), "Most errors touch the boundary"),
        "chelsea": plots.show_images(steps, ["photo", "pet and boundary found", "cut-out"]),
        "cartoons": cartoon_sheet(),
        "accuracy_cost": cost_figure(results),
    }
    return [plots.save_figure(figure, folder / f"{name}.png") for name, figure in figures.items()]


def one_after_the_other(logs: Sequence[Log]) -> Log:
    """The logs of runs that go on from each other as one: the epochs of each count from the end of the one before.

    Args:
        logs: (epoch, value) pairs by column, as `read_log` gives them.
    """
    joined: Log = {}
    done = 0
    for log in logs:
        for column, points in log.items():
            joined.setdefault(column, []).extend((done + epoch, value) for epoch, value in points)
        done += max(epoch for points in log.values() for epoch, _ in points)
    return joined


def _size(size: int | None) -> str:
    return f"{size} px" if size else "size not stated"


def _encoder(encoder: str) -> str:
    return "from scratch" if encoder == "scratch" else f"encoder from {encoder}"


def _screenshots() -> list[Path]:
    try:
        return screenshots.take(FIGURES)
    except MissingError as error:
        print(f"petseg: {error} Those that are there stay.", file=sys.stderr)
        return []


def cartoon_sheet(seed: int = 3, columns: int = 6) -> Any:
    """A picture of each cartoon breed, drawn at 192 pixels."""
    pictures = [draw_pet(breed, seed, 192)[0] for breed in BREEDS]
    return plots.show_images(pictures, [breed.name.replace("_", " ") for breed in BREEDS], columns, width=1.5)


def main() -> int:
    """Writes results, figures and README's tables."""
    try:
        models = {name: model_results(name) for name in zoo.available()}
        results = {
            "data": "Oxford-IIIT Pet at 128x128, official splits, pooled over all pixels",
            "models": models,
        }
        for path in [*draw_figures(results, FIGURES), *_screenshots()]:
            print(f"{path.relative_to(CHECKOUT)}: {path.stat().st_size / 1000:.0f} kB")
        readme = with_table((CHECKOUT / "README.md").read_text(), results)
    except (DataError, ModelError) as error:
        print(f"petseg: {error}", file=sys.stderr)
        return 1
    write_json(FIGURES / "results.json", results)
    with atomic_write(CHECKOUT / "README.md") as draft:
        draft.write_text(readme)
    print(json.dumps({name: found["test"]["mean_iou"] for name, found in models.items()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
