"""`make figures`: `figures/results.json`, README's table and its pictures, from the released weights and their logs.

No split is scored here: `petseg release --log` counted the pixels once, and `petseg test` scores them again.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from skimage.data import cat

from petseg import plots
from petseg.apps.cutouts import CutoutSettings
from petseg.apps.samples import sample_photos
from petseg.course.record import references
from petseg.errors import DataError, MissingError, exit_with_sentence
from petseg.files import atomic_write, home_folder, read_json, write_json
from petseg.inference.predictor import Predictor
from petseg.metrics.confusion import pooled_scores
from petseg.models import zoo
from petseg.models.inspection import trace
from petseg.upkeep import screenshots
from petseg.upkeep.tables import results_table, with_table

CHECKOUT = home_folder()
FIGURES = CHECKOUT / "figures"


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
    counted = read_json(path)["confusion"]
    network, card = zoo.load(name)
    steps = trace(network, (1, 3, *card.size))
    results: dict[str, Any] = {
        "parameters": card.parameters,
        "multiply_adds": sum(step.multiply_adds for step in steps),
        "size": card.size[0],
        "encoder": "ImageNet" if card.settings.get("encoder") else "scratch",
    }
    for split in ("val", "test"):
        scores = pooled_scores(torch.tensor(counted[split]["pixels"])[None])
        if any(abs(scores[key] - card.scores[split][key]) > 1e-6 for key in scores):
            raise DataError(f"{path}: tells of other weights than those of {name}. Release the model again.")
        rounded = {key: round(value, 4) for key, value in scores.items()}
        results[split] = {"images": counted[split]["images"], **rounded, "confusion": counted[split]["pixels"]}
    return results


def draw_chelsea(folder: Path) -> Path:
    """README's picture, `chelsea.jpg`: a photo that may be shown anywhere, the pet found, and the cut-out."""
    chelsea = Predictor()(Image.fromarray(cat()), name="Chelsea")
    steps = [chelsea.photo, chelsea.overlay(), chelsea.cutout()]
    figure = plots.show_images(steps, ["photo", "pet and boundary found", "cut-out"])
    return plots.save_figure(figure, folder / "chelsea.jpg")


def draw_cutouts(folder: Path) -> Path:
    """`cutouts.jpg`: each sample of panel and web app, a row of its photo and its cut-out on three backgrounds."""
    predict = Predictor(zoo.best())
    images: list[Image.Image] = []
    backgrounds = {"transparent": None, "a colour": "#e9c46a", "the photo, blurred": "blur"}
    for name, load in sample_photos().items():
        result = predict(load(), name=name)
        images += [result.photo, *(CutoutSettings(background).draw(result) for background in backgrounds.values())]
    heads = ["photo", *backgrounds]
    titles = heads + [""] * (len(images) - len(heads))
    alt = f"{', '.join(sample_photos())}: each photo, and its cut-out on three backgrounds, {', '.join(backgrounds)}."
    figure = plots.show_images(images, titles, columns=len(heads), width=2.4, alt=alt)
    return plots.save_figure(figure, folder / "cutouts.jpg")


def _screenshots() -> list[Path]:
    try:
        return screenshots.take(FIGURES)
    except MissingError as error:
        print(f"petseg: {error} Those that are there stay.", file=sys.stderr)
        return []


@exit_with_sentence()
def main() -> int:
    """Writes the results, README's table and the pictures."""
    models = {name: model_results(name) for name in zoo.available()}
    results = {"data": "Oxford-IIIT Pet at 128x128, official splits, pooled over all pixels", "models": models}
    readme = with_table((CHECKOUT / "README.md").read_text(), results_table(results, references()))
    for path in [draw_chelsea(FIGURES), draw_cutouts(FIGURES), *_screenshots()]:
        print(f"{path.relative_to(CHECKOUT)}: {path.stat().st_size / 1000:.0f} kB")
    write_json(FIGURES / "results.json", results)
    with atomic_write(CHECKOUT / "README.md") as draft:
        draft.write_text(readme)
    print(json.dumps({name: model["test"]["mean_iou"] for name, model in models.items()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
