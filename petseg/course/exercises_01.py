"""Checks of the exercise of notebook 01: the baseline by species."""

from __future__ import annotations

import math
from typing import Any

import torch

from petseg.course.checks import NotYetError, UnfilledError, as_number, exercise
from petseg.course.setup import chosen_profile
from petseg.data.datamodule import PetDataModule
from petseg.data.statistics import Masks, masks_of, most_frequent_map
from petseg.metrics.confusion import confusion_matrices, pooled_scores


@exercise("01.1", "experiment: a baseline of dogs for cats")
def baseline_by_species(prediction: Any, measured: Any) -> str:
    """On which species the most frequent map of train's dogs has the higher mean IoU, predicted and measured."""
    if prediction not in ("cats", "dogs"):
        raise NotYetError(f"your prediction is {prediction!r}; expected 'cats' or 'dogs'.")
    if not isinstance(measured, dict) or set(measured) != {"cat", "dog"}:
        raise NotYetError("measured: expected a dictionary with the mean IoU on 'cat' and on 'dog'.")
    if ... in measured.values():
        raise UnfilledError
    expected, mixed = _species_scores()
    for kind, score in expected.items():
        if not math.isclose(as_number(measured[kind]), score, abs_tol=0.002):
            from_all = any(math.isclose(as_number(measured[kind]), other, abs_tol=0.002) for other in mixed)
            raise NotYetError(
                f"on {kind}s you measured {measured[kind]}. "
                + (
                    "That is the map of all train examples. Make it from the dogs of train alone."
                    if from_all
                    else "Is the map made from train's dogs, and scored on val, all pixels of a species pooled?"
                )
            )
    best = max(expected, key=lambda kind: expected[kind])
    verdict = "as you predicted" if prediction == f"{best}s" else f"you predicted {prediction}"
    return (
        f"The map of dogs scores higher on {best}s, {verdict}. The gap says how differently the two are photographed."
    )


def _species_scores() -> tuple[dict[str, float], list[float]]:
    """Mean IoU of the most frequent map of train's dogs on val's cats and on its dogs; and of that of all of train."""
    data = PetDataModule("cartoon" if chosen_profile() == "quick" else "oxford", progress=False)
    data.prepare_data()
    data.setup()
    train, val = (masks_of(data.datasets[split]) for split in ("train", "val"))
    of_dogs = train[[example.species == "dog" for example in data.examples["train"]]]
    on = {kind: val[[example.species == kind for example in data.examples["val"]]] for kind in ("cat", "dog")}
    expected = {kind: _score_of_map(of_dogs, masks) for kind, masks in on.items()}
    return expected, [_score_of_map(train, masks) for masks in on.values()]


def _score_of_map(train: Masks, true: Masks) -> float:
    blind = torch.from_numpy(most_frequent_map(train)).expand(true.shape)
    return pooled_scores(confusion_matrices(blind, torch.from_numpy(true)))["mean_iou"]
