"""How well two annotators agree where a photo is in the data set twice, and what leaked test photos do to a score.

The agreement is a ceiling: a network that scores higher against one annotator's masks than another annotator does has
learned that annotator's habits, or is scored on other photos.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from petseg.data.datamodule import PetDataModule
from petseg.data.duplicates import Duplicate
from petseg.metrics.confusion import confusion_matrices, iou, mean_iou, pooled_scores
from petseg.metrics.intervals import Interval, bootstrap


@dataclass(frozen=True, eq=False)
class Agreement:
    """The masks of pairs of equal photos, scored against each other.

    Attributes:
        matrices: int64 (P, 3, 3), one confusion matrix per pair, rows the mask of the first photo.
        mean_iou: over the classes, pooled over all pairs, with its 95 % interval from the bootstrap over pairs.
        iou: the same per class; tensors (3,). IoU does not depend on which of two masks counts as true.
    """

    matrices: Tensor
    mean_iou: Interval
    iou: Interval


@dataclass(frozen=True)
class LeakEffect:
    """A test score with and without the photos that are also in trainval.

    Attributes:
        all_photos: `metrics.pooled_scores` of the whole split.
        without_leaked: of the split without the leaked photos.
        leaked_only: of the leaked photos.
        difference: mean IoU of the whole split minus that without leaked photos, with its 95 % interval.
    """

    all_photos: dict[str, float]
    without_leaked: dict[str, float]
    leaked_only: dict[str, float]
    difference: Interval


def annotator_agreement(data: PetDataModule, pairs: Sequence[Duplicate]) -> Agreement:
    """Scores the mask of each pair's second photo against the mask of its first photo.

    Args:
        data: the data module in which the pairs were found.
        pairs: as `duplicates` returns them.

    Raises:
        ValueError: there is no pair.
    """
    if not pairs:
        raise ValueError("pairs: none. No photo is in this data set twice, so there is nothing to compare.")
    matrices = torch.cat([_compared(data, pair) for pair in pairs])
    return Agreement(matrices, bootstrap(matrices, mean_iou), bootstrap(matrices, iou))


def leak_effect(matrices: Tensor, leaked: Sequence[int]) -> LeakEffect:
    """What leaked photos change in a model's test score.

    Args:
        matrices: int64 (N, 3, 3), confusion matrices of the model on the test split, in the split's order.
        leaked: indices of the leaked photos, as `leaked_test_photos` returns them.

    Raises:
        ValueError: no photo is leaked, or all are.
    """
    chosen = torch.zeros(len(matrices), dtype=torch.bool)
    chosen[list(leaked)] = True
    if chosen.all() or not chosen.any():
        raise ValueError(f"leaked: {int(chosen.sum())} of {len(matrices)} photos; expected some, but not all of them.")
    clean = matrices * ~chosen.view(-1, 1, 1)  # a leaked photo adds nothing
    both = torch.stack([matrices, clean], dim=1)  # (N, 2, 3, 3): one draw holds the same photos for both scores
    difference = bootstrap(both, lambda sums: mean_iou(sums[:, 0]) - mean_iou(sums[:, 1]))
    return LeakEffect(pooled_scores(matrices), pooled_scores(clean), pooled_scores(matrices[chosen]), difference)


def _compared(data: PetDataModule, pair: Duplicate) -> Tensor:
    """The confusion matrix of a pair: int64 (1, 3, 3)."""
    true, other = (data.datasets[photo.split][photo.index].mask for photo in (pair.first, pair.second))
    return confusion_matrices(other.flip(-1) if pair.mirrored else other, true)  # masks (1, S, S)
