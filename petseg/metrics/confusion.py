"""Scores of a segmentation: first a confusion matrix per image, then the reduction.

The matrices of a split give pooled scores (a single matrix for all pixels of the split; this is what the project
reports) and per-image means (always called so). A mean over batch means is neither: it depends on the batch size.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

import torch
from torch import Tensor

from petseg.labels import CLASSES

#: Names of the scores of `pooled_scores`, in the order of every table and record.
SCORES: Final = ("mean_iou", *(f"iou_{name}" for name in CLASSES), "accuracy")


def class_map(logits: Tensor) -> Tensor:
    """Most likely class per pixel: logits float (B, 3, H, W) to labels uint8 (B, H, W)."""
    return logits.argmax(dim=1).to(torch.uint8)  # softmax keeps the order, so logits serve as well as probabilities


def confusion_matrices(
    prediction: Tensor, target: Tensor, num_classes: int = len(CLASSES), ignore: int | None = None
) -> Tensor:
    """Pixel counts by true and predicted class, for each image.

    Args:
        prediction: integer (B, H, W), labels 0 to num_classes - 1, on any device.
        target: integer (B, H, W), the true labels.
        num_classes: K.
        ignore: a value of the target whose pixels do not count.

    Returns:
        int64 (B, K, K) on the CPU; rows are true classes, columns predicted ones. Each matrix sums to H * W minus the
        ignored pixels.

    Raises:
        ValueError: the shapes differ, or a label is out of range.
    """
    if prediction.shape != target.shape:
        raise ValueError(f"prediction {tuple(prediction.shape)} and target {tuple(target.shape)} must match in shape.")
    prediction, target = prediction.cpu(), target.cpu()  # scores are float64, which Apple's GPUs do not have
    valid = torch.ones_like(target, dtype=torch.bool) if ignore is None else target != ignore
    for name, labels in (("prediction", prediction[valid]), ("target", target[valid])):
        if labels.numel() and (int(labels.min()) < 0 or int(labels.max()) >= num_classes):
            raise ValueError(f"{name}: holds labels outside 0 to {num_classes - 1}.")
    return count_pixels(torch.where(valid, prediction, 0), torch.where(valid, target, 0), num_classes, valid)


def count_pixels(
    prediction: Tensor, target: Tensor, num_classes: int = len(CLASSES), valid: Tensor | None = None
) -> Tensor:
    """What `confusion_matrices` counts, on the labels' device and without checks, so that nothing waits for a GPU."""
    K = num_classes
    # every (true class, predicted class) gets a number; counting these numbers fills the matrix of an image
    cell = (target.long() * K + prediction.long()).flatten(1)  # (B, H * W)
    count = torch.ones_like(cell) if valid is None else valid.long().flatten(1)
    return cell.new_zeros(len(cell), K * K).scatter_add_(1, cell, count).view(-1, K, K)


def batch_confusion(prediction: Tensor, target: Tensor) -> Tensor:
    """The confusion matrix int64 (3, 3) of a whole batch of labels (B, H, W), on their device."""
    return count_pixels(prediction, target).sum(dim=0)


@torch.inference_mode()
def split_matrices(segment: Callable[[Tensor], Tensor], batches: Iterable[Sequence[Tensor]]) -> Tensor:
    """The confusion matrix of each image of a split: int64 (N, 3, 3) on the CPU, in the order of the batches.

    Args:
        segment: maps images uint8 (B, 3, H, W) to logits (B, 3, H, W), as a `Segmenter` in eval mode does.
        batches: images, masks uint8 (B, H, W), and anything after them, which is ignored.

    Raises:
        ValueError: there is no batch.
    """
    matrices = [confusion_matrices(class_map(segment(image)), mask) for image, mask, *_ in batches]
    if not matrices:
        raise ValueError("no image to score: the split is empty.")
    return torch.cat(matrices)


def iou(matrix: Tensor) -> Tensor:
    """Intersection over union (Jaccard index) per class: TP / (TP + FP + FN).

    Of counts (..., K, K), rows true, columns predicted: float64 (..., K) on the CPU, 0 to 1; NaN for a class that
    neither occurs nor is predicted.
    """
    true_positive, true, predicted = _per_class(matrix)
    return true_positive / (true + predicted - true_positive)  # the intersection is in both, but counts once


def mean_iou(matrix: Tensor) -> Tensor:
    """Mean of the IoU over the classes: float64 (...), NaN if a class neither occurs nor is predicted."""
    return iou(matrix).mean(dim=-1)


def dice(matrix: Tensor) -> Tensor:
    """Dice score (F1) per class: 2 TP / (2 TP + FP + FN); shapes and NaN as in `iou`."""
    true_positive, true, predicted = _per_class(matrix)
    return 2 * true_positive / (true + predicted)


def accuracy(matrix: Tensor) -> Tensor:
    """Fraction of the pixels whose class is right: float64 (...) on the CPU."""
    true_positive, true, _ = _per_class(matrix)
    return true_positive.sum(-1) / true.sum(-1)


def pooled_scores(matrices: Tensor) -> dict[str, float]:
    """The scores `SCORES` over all pixels of a split, each 0 to 1, from its images' matrices int64 (N, 3, 3).

    A class that neither occurs nor is predicted in the whole split has the IoU NaN and no part in the mean.
    """
    pooled = matrices.sum(dim=0)
    per_class = iou(pooled)
    values = [per_class.nanmean(), *per_class, accuracy(pooled)]
    return {name: float(value) for name, value in zip(SCORES, values, strict=True)}


def _per_class(matrix: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """True positives, true pixels and predicted pixels of each class: float64 (..., K) each, on the CPU."""
    matrix = matrix.cpu().double()  # first to the CPU: MPS refuses float64
    return matrix.diagonal(dim1=-2, dim2=-1), matrix.sum(-1), matrix.sum(-2)
