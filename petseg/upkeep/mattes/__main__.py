"""`PETSEG_FULLSIZE_DIR=FOLDER python -m petseg.upkeep.mattes --choose`: the matte's settings and what they reach.

Writes `figures/matting.json`.

Settings are chosen on every second photo of the folder, on every third photo of the validation split, which the model
was not trained on (at 128x128), and on drawn fur. Scores that count are those of the other photos, of photos of the
test split, and of other fur. The rule: of all settings that meet the goals on both sets of photos, those with the
smallest error of alpha on the fur; so a cut-out that is right inside matters more than a whisker.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import distance_transform_edt

from petseg.data.datamodule import PetDataModule
from petseg.data.splits import example_files
from petseg.errors import exit_with_sentence
from petseg.files import write_json
from petseg.inference.matting import MatteSettings, foreground, matte
from petseg.inference.photo import load_photo
from petseg.inference.predictor import Predictor
from petseg.inference.segmentation import Segmentation
from petseg.labels import labels_from_trimap
from petseg.upkeep.fullsize.photos import folder, halves, pairs
from petseg.upkeep.mattes.fur import FurPicture, fur_picture
from petseg.upkeep.mattes.scores import counts, scores

#: What a cut-out is to reach, on photos that the model was not trained on.
AT_MOST: Final = {"see_through": 0.02, "haze": 0.015, "spoilt": 0.03}
IOU: Final = 0.955

#: Values that are tried, one setting after the other.
TRIED: Final[dict[str, tuple[Any, ...]]] = {
    "inner": (0.012, 0.016, 0.02),
    "outer": (0.014, 0.018, 0.022),
    "window": (0.024, 0.032, 0.04),
    "epsilon": (1e-4, 1e-3),
    "contrast": (1.0, 1.25, 1.5),
    "doubt": (0.03, 0.1),
    "speck": (0.05, 0.2),
    "side": (384, 512),
}

#: Seeds of the drawn fur that settings are chosen on, and of that which is reported.
FUR: Final = (range(0, 4), range(100, 112))

#: How far from a pixel of the edge errors count, as a fraction of the picture's side.
NEAR: Final = 0.02

#: A photo, its labels uint8 (H, W), and the logits of a model for it.
Case = tuple[Image.Image, NDArray[np.uint8], NDArray[np.float32]]
Alpha = Callable[[Image.Image, NDArray[np.float32]], NDArray[np.uint8]]


def plain(photo: Image.Image, logits: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Alpha of the cut-out without a matte."""
    return np.asarray(Segmentation(photo, logits).cutout(matte=False).getchannel("A"))


def with_settings(settings: MatteSettings) -> Alpha:
    """The matte with certain settings."""
    return lambda photo, logits: matte(photo, logits, settings)


def judged(cases: Iterable[Case], alpha: Alpha) -> dict[str, float]:
    """Scores of a way to alpha, pooled over photos."""
    return scores(counts(alpha(photo, logits), labels) for photo, labels, logits in cases)


def fur_errors(pictures: Iterable[FurPicture], alpha: Alpha, estimate: bool = True) -> dict[str, float]:
    """Mean errors within `NEAR` of where the true alpha lies between 0 and 1.

    Returns:
        `alpha`, 0..1; and `color`, 0..255, of the colour's part in the cut-out, alpha times colour (premultiplied).
    """
    errors = []
    for picture in pictures:
        found = alpha(picture.photo, picture.logits)
        colors = foreground(picture.photo, found) if estimate else np.asarray(picture.photo)
        partial = (picture.alpha > 0) & (picture.alpha < 1)
        edge = distance_transform_edt(~partial) <= NEAR * max(partial.shape)
        true = picture.alpha[..., None]
        errors.append(
            [
                np.abs(found / 255 - picture.alpha)[edge].mean(),
                np.abs(true * colors - true * picture.foreground)[edge].mean(),
            ]
        )
    alpha_error, color_error = np.mean(errors, axis=0)
    return {"alpha": round(float(alpha_error), 4), "color": round(float(color_error), 2)}


def missed(result: dict[str, float]) -> float:
    """By how much the goals are missed, as the sum of relative excesses; 0 where all are met."""
    excess = sum(max(0.0, result[name] / most - 1) for name, most in AT_MOST.items())
    return excess + max(0.0, IOU - result["iou"]) / (1 - IOU)


def choose(sets: Sequence[Sequence[Case]], fur: Sequence[FurPicture]) -> tuple[MatteSettings, list[dict[str, Any]]]:
    """The best settings by the rule above, one setting after the other, and all that was tried."""
    best, tried = MatteSettings(), []
    rank: tuple[float, float] | None = None
    for name, values in TRIED.items():
        for value in values:
            candidate = replace(best, **{name: value})
            if rank is not None and candidate == best:
                continue
            results = [judged(cases, with_settings(candidate)) for cases in sets]
            error = fur_errors(fur, with_settings(candidate))
            order = (round(sum(map(missed, results)), 3), error["alpha"])
            tried.append({"settings": asdict(candidate), "photos": results, "fur": error})
            print(name, value, order, results, flush=True)
            if rank is None or order < rank:
                best, rank = candidate, order
    return best, tried


def fullsize_cases(predictor: Predictor, names: Sequence[str]) -> list[Case]:
    """Photos at their own sizes."""
    return [(photo, labels.numpy(), _logits(predictor, photo)) for photo, labels in pairs(folder(), names)]


def unseen_cases(predictor: Predictor, split: str, step: int) -> list[Case]:
    """Every `step`-th photo of a split at the size in which the data set lies there, one pass."""
    module = PetDataModule("oxford")
    module.setup()
    cases = []
    for example in module.examples[split][::step]:
        path, trimap = example_files(module.root / "oxford-iiit-pet", example)
        photo = load_photo(path)
        with Image.open(trimap) as image:
            labels = labels_from_trimap(np.array(image), trimap.name)
        cases.append((photo, labels, _logits(predictor, photo, 1)))
    return cases


def _logits(predictor: Predictor, photo: Image.Image, passes: int = 2) -> NDArray[np.float32]:
    return predictor.photo_logits(photo, passes).numpy()


def study(predictor: Predictor, choosing: bool) -> dict[str, Any]:
    """The record: what was tried, and the plain ramp beside the chosen settings on photos and fur not chosen on."""
    names = halves(folder())
    record: dict[str, Any] = {"model": predictor.card.name, "goals": {**AT_MOST, "iou": IOU}}
    settings = MatteSettings()
    if choosing:
        sets = [fullsize_cases(predictor, names["chosen on"]), unseen_cases(predictor, "val", 3)]
        settings, record["tried"] = choose(sets, [fur_picture(seed) for seed in FUR[0]])
    record["settings"] = asdict(settings)
    reported = {
        "full size, the other half": fullsize_cases(predictor, names["reported"]),
        "test split at 128x128": unseen_cases(predictor, "test", 9),
    }
    ways = {"ramp": plain, "matte": with_settings(settings)}
    for title, cases in reported.items():
        record[title] = {"photos": len(cases)} | {name: judged(cases, way) for name, way in ways.items()}
    fur = [fur_picture(seed) for seed in FUR[1]]
    record["fur"] = {name: fur_errors(fur, way, estimate=name != "ramp") for name, way in ways.items()}
    return record


@exit_with_sentence()
def main(argv: Sequence[str] | None = None) -> int:
    """Writes the record; 0, or 1 and a sentence where the photos or the model are not there."""
    parser = argparse.ArgumentParser(prog="python -m petseg.upkeep.mattes", description=__doc__)
    parser.add_argument("--model", help="released model or .safetensors file; default: the most accurate")
    parser.add_argument("--choose", action="store_true", help="try settings first; else those of MatteSettings stand")
    parser.add_argument("--out", type=Path, default=Path("figures/matting.json"), metavar="FILE")
    args = parser.parse_args(argv)
    record = study(Predictor(args.model), args.choose)
    write_json(args.out, record)
    for title, results in record.items():
        if title not in ("tried", "settings", "goals", "model"):
            print(f"{title}: {results}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
