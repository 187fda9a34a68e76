"""Chooses the settings of the alpha matte and reports what they reach.

`python figures/matting.py --choose FOLDER HELD_OUT` writes `figures/matting.json`; without --choose FOLDER, it reports
alone. Each folder holds an `oxford-iiit-pet/` with photos at their original sizes: FOLDER those that models may have
been trained on, HELD_OUT those of the validation split, on which none was. PETSEG_DATA_DIR has the whole data set.
Settings are chosen on FOLDER, every third photo of the validation split that is not in HELD_OUT and drawn fur; scores
are reported on HELD_OUT, photos of the test split and other fur. Of all settings that meet
the goals on both sets of photos, those with the smallest error of alpha on the fur are chosen: a cut-out that is right
inside matters more than a whisker.
"""

import argparse
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from fur import FurPicture, fur_picture
from numpy.typing import NDArray
from PIL import Image
from refinement import pairs
from scipy.ndimage import distance_transform_edt

from petseg.data.datamodule import PetDataModule
from petseg.data.splits import example_files
from petseg.files import read_json, write_json
from petseg.inference.foreground import foreground
from petseg.inference.matting import MatteSettings, matte
from petseg.inference.photo import load_photo
from petseg.inference.predictor import Predictor
from petseg.inference.segmentation import Segmentation
from petseg.labels import BACKGROUND, PET, labels_from_trimap

#: Goals for photos that the model was not trained on.
AT_MOST = {"see_through": 0.012, "haze": 0.01, "spoilt": 0.001}
IOU = 0.978

#: Values that are tried, one setting after the other.
TRIED: dict[str, tuple[Any, ...]] = {
    "inner": (0.012, 0.016, 0.02),
    "outer": (0.014, 0.018, 0.022),
    "window": (0.024, 0.032, 0.04),
    "epsilon": (1e-4, 1e-3),
    "contrast": (1.0, 1.25, 1.5),
    "doubt": (0.03, 0.1),
    "speck": (0.05, 0.2),
    "side": (384, 512),
}
NEAR = 0.02  # errors on fur count within this fraction of the picture's side from the edge

Case = tuple[Image.Image, NDArray[np.uint8], NDArray[np.float32]]  # a photo, its labels (H, W), its logits (3, h, w)
Alpha = Callable[[Image.Image, NDArray[np.float32]], NDArray[np.uint8]]


def plain(photo: Image.Image, logits: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Alpha of the cut-out without a matte: the ramp of probabilities."""
    return np.asarray(Segmentation(photo, logits).cutout(matte=False).getchannel("A"))


def scores(alphas: Iterable[NDArray[np.uint8]], labels: Iterable[NDArray[np.uint8]]) -> dict[str, float]:
    """Scores pooled over photos; the trimap's boundary is ignored.

    `see_through`: fraction of the pet with alpha below 0.9. `haze`: fraction of the background above 0.1. `mad`: mean
    absolute error. `iou`: of alpha above 1/2 with the pet. `spoilt`: fraction of photos with more than a tenth of the
    pet see-through.
    """
    counts = []
    for alpha, label in zip(alphas, labels, strict=True):
        opacity = alpha / np.float32(255)
        pet, background, opaque = label == PET, label == BACKGROUND, opacity > 0.5
        see_through, haze = (opacity[pet] < 0.9).sum(), (opacity[background] > 0.1).sum()
        error = (1 - opacity[pet]).sum() + opacity[background].sum()
        both, either = (opaque & pet).sum(), ((opaque | pet) & (pet | background)).sum()
        spoilt = see_through > 0.1 * pet.sum()
        counts.append((pet.sum(), background.sum(), see_through, haze, error, both, either, spoilt))
    pet, background, see_through, haze, error, both, either, spoilt = np.sum(counts, axis=0, dtype=float)
    values = {
        "see_through": see_through / pet,
        "haze": haze / background,
        "mad": error / (pet + background),
        "iou": both / either,
        "spoilt": spoilt / len(counts),
    }
    return {name: round(float(value), 4) for name, value in values.items()}


def photo_scores(cases: Sequence[Case], alpha: Alpha) -> dict[str, float]:
    """`scores` of one way to alpha."""
    return scores((alpha(photo, logits) for photo, _, logits in cases), (labels for _, labels, _ in cases))


def fur_errors(pictures: Iterable[FurPicture], alpha: Alpha, estimate: bool = True) -> dict[str, float]:
    """Mean errors near pixels whose true alpha lies between 0 and 1.

    `alpha`, 0..1; `color`, 0..255: of alpha times colour, with estimated colours or, without `estimate`, the photo's.
    """
    errors = []
    for picture in pictures:
        matted = alpha(picture.photo, picture.logits)
        colors = foreground(picture.photo, matted) if estimate else np.asarray(picture.photo)
        partial_alpha = (picture.alpha > 0) & (picture.alpha < 1)
        edge = distance_transform_edt(~partial_alpha) <= NEAR * max(partial_alpha.shape)
        color_error = picture.alpha[..., None] * (colors - picture.foreground)
        errors.append((np.abs(matted / 255 - picture.alpha)[edge].mean(), np.abs(color_error)[edge].mean()))
    alpha_error, color_error = np.mean(errors, axis=0)
    return {"alpha": round(float(alpha_error), 4), "color": round(float(color_error), 2)}


def missed(result: dict[str, float]) -> float:
    """Sum of the relative excesses over the goals; 0 where all are met."""
    excess = sum(max(0.0, result[name] / most - 1) for name, most in AT_MOST.items())
    return excess + max(0.0, IOU - result["iou"]) / (1 - IOU)


def choose(sets: Sequence[Sequence[Case]], fur: Sequence[FurPicture]) -> tuple[MatteSettings, list[dict[str, Any]]]:
    """The best settings, found one setting after the other, and everything that was tried."""
    best, tried = MatteSettings(), []
    rank: tuple[float, float] | None = None
    for name, values in TRIED.items():
        for value in values:
            candidate = replace(best, **{name: value})
            if rank is not None and candidate == best:
                continue
            way = partial(matte, settings=candidate)
            results, error = [photo_scores(cases, way) for cases in sets], fur_errors(fur, way)
            order = (round(sum(map(missed, results)), 3), error["alpha"])
            tried.append({"settings": asdict(candidate), "photos": results, "fur": error})
            print(name, value, order, results, flush=True)
            if rank is None or order < rank:
                best, rank = candidate, order
    return best, tried


def original_cases(predictor: Predictor, folder: Path, limit: int | None = None) -> list[Case]:
    """The photos of a folder at their original sizes, as `Predictor` segments them."""
    photos = pairs(folder, limit)
    return [(photo, labels.numpy(), predictor.photo_logits(photo, 2).numpy()) for photo, labels in photos]


def unseen_cases(predictor: Predictor, split: str, step: int, without: frozenset[str] = frozenset()) -> list[Case]:
    """Every `step`-th photo of a split as the data set holds it, less those of some names, with one pass."""
    data = PetDataModule("oxford")
    data.setup()
    cases = []
    for example in data.examples[split][::step]:
        if example.name in without:
            continue
        path, trimap = example_files(data.root / "oxford-iiit-pet", example)
        photo, labels = load_photo(path), labels_from_trimap(np.array(Image.open(trimap)), trimap.name)
        cases.append((photo, labels, predictor.photo_logits(photo, 1).numpy()))
    return cases


def main() -> None:
    """Writes the record: what was tried, and the ramp beside the matte on photos and fur that nothing was chosen on."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("held_out", metavar="HELD_OUT", type=Path)
    parser.add_argument("--model", help="released model or .safetensors file (default: the most accurate)")
    parser.add_argument(
        "--choose", metavar="FOLDER", type=Path, help="try settings first; otherwise use MatteSettings()"
    )
    parser.add_argument("--limit", type=int, help="number of photos of each folder, for a quick try")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    args = parser.parse_args()
    predictor, settings = Predictor(args.model), MatteSettings()
    step = 1 if args.limit is None else 100
    record: dict[str, Any] = {"model": predictor.card.name, "goals": {**AT_MOST, "iou": IOU}}
    if args.out.is_file():  # without --choose, what was tried when the settings were chosen stays
        record["tried"] = read_json(args.out).get("tried", [])
    if args.choose:
        held_out = frozenset(path.stem for path in args.held_out.glob("oxford-iiit-pet/images/*.jpg"))
        sets = [original_cases(predictor, args.choose, args.limit), unseen_cases(predictor, "val", 3 * step, held_out)]
        settings, record["tried"] = choose(sets, [fur_picture(seed) for seed in range(4)])
    record["settings"] = asdict(settings)
    ways: dict[str, Alpha] = {"ramp": plain, "matte": partial(matte, settings=settings)}
    reported = {
        "full size, validation split": original_cases(predictor, args.held_out, args.limit),
        "test split at 128x128": unseen_cases(predictor, "test", 9 * step),
    }
    for title, cases in reported.items():
        record[title] = {"photos": len(cases)} | {name: photo_scores(cases, way) for name, way in ways.items()}
        print(title, record[title])
    fur = [fur_picture(seed) for seed in range(100, 112)]
    record["fur"] = {name: fur_errors(fur, way, estimate=name != "ramp") for name, way in ways.items()}
    write_json(args.out, record)


if __name__ == "__main__":
    main()
