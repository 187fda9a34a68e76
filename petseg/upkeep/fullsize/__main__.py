"""`PETSEG_FULLSIZE_DIR=FOLDER python -m petseg.upkeep.fullsize`: compares the ways, writes `figures/refinement.json`.

The folder holds an `oxford-iiit-pet/` with photos at their original sizes. Of their names in order, every second one
was used to choose the settings of `petseg.inference.two_pass`; the scores that count are those of the others. Most of
the photos were trained on, so the ways may be compared with each other, and not with scores of other photos.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from petseg.errors import exit_with_sentence
from petseg.files import write_json
from petseg.inference.predictor import Predictor
from petseg.labels import PET
from petseg.metrics.boundary import boundary_counts, boundary_scores
from petseg.metrics.confusion import confusion_matrices, iou, mean_iou, pooled_scores
from petseg.metrics.intervals import bootstrap
from petseg.upkeep.fullsize.photos import Pair, folder, halves, in_a_wider_frame, pairs
from petseg.upkeep.fullsize.ways import WAYS, Way

#: Pixels by which a contour may be off, at the photo's own size.
TOLERANCE: Final = 3

#: Height and width of the scenes that stand for photos in which the pet is small, as multiples of the photo's.
FRAMES: Final = (1.4, 2.0, 3.0)


def compare(predictor: Predictor, examples: Iterable[Pair], ways: Mapping[str, Way]) -> dict[str, Any]:
    """Scores of each way, by its name.

    Returns:
        For each: `mean_iou`, `iou_*` and `accuracy` pooled over all pixels; `mean_iou_per_photo`, in which a photo of
        two megapixels counts no more than others; `boundary_f`, pooled, of the pet's contour within `TOLERANCE`
        pixels; and `gain` over the first way in pooled mean IoU, with its 95 % range over resampled photos.
    """
    found: dict[str, list[Tensor]] = {name: [] for name in ways}
    edges: dict[str, list[Tensor]] = {name: [] for name in ways}
    for photo, labels in examples:
        for name, way in ways.items():
            label = way(predictor, photo).argmax(dim=0, keepdim=True)  # (1, H, W)
            found[name] += confusion_matrices(label, labels[None])
            edges[name] += boundary_counts(label == PET, labels[None] == PET, [TOLERANCE])
    first = torch.stack(next(iter(found.values())))
    return {name: _scores(torch.stack(found[name]), torch.stack(edges[name]), first) for name in ways}


def _scores(matrices: Tensor, edges: Tensor, first: Tensor) -> dict[str, Any]:
    gain = bootstrap(torch.stack([first, matrices], dim=1), lambda both: mean_iou(both[:, 1]) - mean_iou(both[:, 0]))
    scores = pooled_scores(matrices) | {
        "mean_iou_per_photo": float(iou(matrices).nanmean(dim=0).mean()),
        "boundary_f": float(boundary_scores(edges.sum(dim=0)).f[0]),
    }
    rounded = {key: round(value, 4) for key, value in scores.items()}
    return rounded | {"gain": [round(float(value), 4) for value in gain]}


@exit_with_sentence()
def main(argv: Sequence[str] | None = None) -> int:
    """Writes the comparison; 0, or 1 and a sentence where the photos or the model are not there."""
    parser = argparse.ArgumentParser(prog="python -m petseg.upkeep.fullsize", description=__doc__)
    parser.add_argument("--model", help="released model or .safetensors file; default: the most accurate")
    parser.add_argument("--out", type=Path, default=Path("figures/refinement.json"), metavar="FILE")
    args = parser.parse_args(argv)
    results = _compared(folder(), Predictor(args.model))
    write_json(args.out, results)
    print("\n".join(_table(results["reported"])))
    return 0


def _compared(root: Path, predictor: Predictor) -> dict[str, Any]:
    """All ways on both halves of the photos, as they are and in each of the `FRAMES`."""
    results: dict[str, Any] = {"model": predictor.card.name, "tolerance": TOLERANCE}
    for half, names in halves(root).items():
        results[half] = {"photos": len(names), "as they are": compare(predictor, pairs(root, names), WAYS)}
        for times in FRAMES:
            scenes = (in_a_wider_frame(pair, times) for pair in pairs(root, names))
            results[half][f"in a frame {times} times as wide"] = compare(predictor, scenes, WAYS)
    return results


def _table(half: dict[str, Any]) -> Iterator[str]:
    """Lines to print: pooled mean IoU of each way on photos as they are and in wider frames."""
    columns = [key for key in half if key != "photos"]
    yield f"mean IoU of {half['photos']} photos: {'; '.join(columns)}"
    for name in WAYS:
        yield f"{name:<36}" + "".join(f"{half[column][name]['mean_iou']:>9.4f}" for column in columns)


if __name__ == "__main__":
    sys.exit(main())
