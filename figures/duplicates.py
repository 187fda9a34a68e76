"""Records the photos that Oxford-IIIT Pet holds twice, for notebook 01: `python figures/duplicates.py`.

Writes `figures/duplicates.json`: the pairs, and how far the two masks of each pair agree.
"""

from argparse import ArgumentParser, RawDescriptionHelpFormatter
from pathlib import Path
from typing import Any

from petseg.data.datamodule import PetDataModule
from petseg.data.duplicates import SAME_CROP, THRESHOLD, aligned, duplicates
from petseg.evaluation.evaluate import annotator_matrices
from petseg.files import write_json
from petseg.labels import CLASSES
from petseg.metrics.confusion import iou, mean_iou
from petseg.metrics.intervals import Interval, bootstrap


def record(data: PetDataModule, threshold: float = THRESHOLD) -> dict[str, Any]:
    """The pairs of a data set that is set up, and the agreement of their masks.

    `mean_iou` of a pair is null where a class is missing. `agreement` holds mean IoU and IoU of each class over the
    `aligned` pairs, as value, low and high end of the 95 % interval.
    """
    pairs = duplicates(data, threshold)
    matrices = annotator_matrices(data, pairs)
    rows = [
        {
            "names": [pair.first.name, pair.second.name],
            "splits": [pair.first.split, pair.second.split],
            "correlation": round(pair.correlation, 4),
            "mean_iou": round(score, 4) if score == score else None,  # NaN differs from itself
        }
        for pair, score in zip(pairs, mean_iou(matrices).tolist(), strict=True)
    ]
    comparable = aligned(data, pairs)
    matrices = annotator_matrices(data, comparable or pairs)
    ends = bootstrap(matrices, iou)  # each (3,)
    per_class = {f"iou_{name}": Interval(*(end[k] for end in ends)) for k, name in enumerate(CLASSES)}
    intervals = {"mean_iou": bootstrap(matrices, mean_iou)} | per_class
    scores = {name: [round(float(end), 4) for end in interval] for name, interval in intervals.items()}
    settings = {"threshold": threshold, "same crop": SAME_CROP, "aligned": len(comparable)}
    return {"data": "Oxford-IIIT Pet at 128x128", **settings, "pairs": rows, "agreement": scores}


def main() -> None:
    """Writes the record."""
    ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter).parse_args()
    data = PetDataModule()
    data.prepare_data()
    data.setup()
    write_json(Path(__file__).with_suffix(".json"), record(data))


if __name__ == "__main__":
    main()
