"""`python -m petseg.upkeep.duplicates`: the record of photos that Oxford holds twice, which notebook 01 shows."""

from __future__ import annotations

import sys
from typing import Any

from petseg.data.datamodule import PetDataModule
from petseg.data.duplicates import THRESHOLD, duplicates
from petseg.errors import exit_with_sentence
from petseg.evaluation.agreement import annotator_agreement
from petseg.files import home_folder, write_json
from petseg.labels import CLASSES
from petseg.metrics.confusion import mean_iou
from petseg.metrics.intervals import Interval


def record(data: PetDataModule) -> dict[str, Any]:
    """The pairs of a data set, and how far the masks of each pair agree.

    Args:
        data: set up.

    Returns:
        `threshold` of the correlation; `pairs`, each with the names and splits of both photos, whether one is the
        mirror image of the other, the correlation of the thumbnails, and the mean IoU of the masks (None where a class
        is missing); `agreement`: mean IoU and IoU of each class over all pairs, as value, low and high end of the 95 %
        interval.
    """
    pairs = duplicates(data)
    agreement = annotator_agreement(data, pairs)
    rows = [
        {
            "names": [pair.first.name, pair.second.name],
            "splits": [pair.first.split, pair.second.split],
            "mirrored": pair.mirrored,
            "correlation": round(pair.correlation, 4),
            "mean_iou": round(score, 4) if score == score else None,  # NaN differs from itself
        }
        for pair, score in zip(pairs, mean_iou(agreement.matrices).tolist(), strict=True)
    ]
    per_class = {name: _rounded(Interval(*(end[k] for end in agreement.iou))) for k, name in enumerate(CLASSES)}
    scores = {"mean_iou": _rounded(agreement.mean_iou)} | {f"iou_{name}": ends for name, ends in per_class.items()}
    return {"data": "Oxford-IIIT Pet at 128x128", "threshold": THRESHOLD, "pairs": rows, "agreement": scores}


def _rounded(interval: Interval) -> list[float]:
    return [round(float(end), 4) for end in interval]


@exit_with_sentence()
def main() -> int:
    """Writes `figures/duplicates.json`."""
    data = PetDataModule()
    data.prepare_data()
    data.setup()
    found = record(data)
    write_json(home_folder() / "figures" / "duplicates.json", found)
    print(f"{len(found['pairs'])} pairs; mean IoU of their masks {found['agreement']['mean_iou'][0]:.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
