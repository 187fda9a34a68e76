"""`make figures`: scores of the released models and the figures of README, from weights and training logs.

Writes `figures/results.json`, the one source of every number in README and notebooks, the figures, and the table of
README between its two marks.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from skimage.data import cat

from petseg import plots, screenshots, zoo
from petseg.cache import DataError
from petseg.cartoon import BREEDS, draw_pet
from petseg.course import read_log
from petseg.data import PetDataModule
from petseg.labels import CLASSES
from petseg.metrics import pooled_scores
from petseg.predict import Predictor
from petseg.task import SegmentationTask, write_json
from petseg.training import evaluate, use_weights

CHECKOUT = Path(__file__).resolve().parents[1]
FIGURES = CHECKOUT / "figures"
README_MARKS = ("<!-- results: written by make figures -->", "<!-- end of results -->")


def model_results(name: str, data: PetDataModule) -> dict[str, Any]:
    """A released model scored on validation and test split: scores, and the test split's confusion matrix in pixels."""
    task = SegmentationTask()
    card = use_weights(task, name)
    results: dict[str, Any] = {"parameters": card.parameters}
    for split in ("val", "test"):
        matrices = evaluate(task, data, split)
        scores = {key: round(value, 4) for key, value in pooled_scores(matrices).items()}
        results[split] = {"images": len(matrices), **scores, "confusion": matrices.sum(dim=0).tolist()}
    return results


def results_table(results: dict[str, Any]) -> str:
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


def with_table(readme: str, results: dict[str, Any]) -> str:
    """README's text with the table between its marks made anew.

    Raises:
        DataError: a mark is missing.
    """
    start, end = README_MARKS
    if readme.count(start) != 1 or readme.count(end) != 1:
        raise DataError(f"README.md: must hold '{start}' and '{end}' once each; put them round the table of results.")
    head, rest = readme.split(start)
    return f"{head}{start}\n\n{results_table(results)}\n\n{end}{rest.split(end)[1]}"


def draw_figures(results: dict[str, Any], folder: Path) -> list[Path]:
    """README's figures; none shows a photo of the data set."""
    test = results["models"]["unet"]["test"]
    log = read_log(FIGURES / "runs" / "unet" / "metrics.csv")
    chelsea = Predictor("unet")(Image.fromarray(cat()), name="Chelsea")
    steps = [chelsea.photo, chelsea.overlay(), chelsea.cutout()]
    worst = min(CLASSES, key=lambda name: test[f"iou_{name}"])
    figures = {
        "learning_curves": plots.learning_curves(log, "Each step to larger pictures lifts the scores"),
        "iou": plots.iou_bars(test, f"The {worst} is the hardest class"),
        "confusion": plots.confusion_heatmap(np.array(test["confusion"]), "Most errors touch the boundary"),
        "chelsea": plots.show_images(steps, ["photo", "pet and boundary found", "cut-out"]),
        "cartoons": cartoon_sheet(),
    }
    return [plots.save_figure(figure, folder / f"{name}.png") for name, figure in figures.items()]


def _screenshots() -> list[Path]:
    try:
        return screenshots.take(FIGURES)
    except screenshots.ScreenshotError as error:
        print(f"petseg: {error} Those that are there stay.", file=sys.stderr)
        return []


def cartoon_sheet(seed: int = 3, columns: int = 6) -> Any:
    """A picture of each cartoon breed, drawn at 192 pixels."""
    pictures = [draw_pet(breed, seed, 192)[0] for breed in BREEDS]
    return plots.show_images(pictures, [breed.name.replace("_", " ") for breed in BREEDS], columns, width=1.5)


def main() -> int:
    """Scores every released model, then writes results, figures and README's table."""
    try:
        data = PetDataModule()
        models = {name: model_results(name, data) for name in zoo.available()}
        results = {
            "data": "Oxford-IIIT Pet at 128x128, official splits, pooled over all pixels",
            "models": models,
        }
        readme = with_table((CHECKOUT / "README.md").read_text(), results)
        for path in [*draw_figures(results, FIGURES), *_screenshots()]:
            print(f"{path.relative_to(CHECKOUT)}: {path.stat().st_size / 1000:.0f} kB")
    except (DataError, zoo.ModelError) as error:
        print(f"petseg: {error}", file=sys.stderr)
        return 1
    write_json(FIGURES / "results.json", results)
    (CHECKOUT / "README.md").write_text(readme)
    print(json.dumps({name: found["test"]["mean_iou"] for name, found in models.items()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
