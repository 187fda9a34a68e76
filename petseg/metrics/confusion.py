"""Scores of segmentation: a confusion matrix per image first, the reduction last.

From the matrices of a split follow pooled scores (all pixels of the split in one matrix, which is what this project
reports) and per-image means (named so). A mean of batch means, which depends on the batch size, follows from neither.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric

from petseg.labels import CLASSES


def class_map(logits: Tensor) -> Tensor:
    """Most likely class per pixel: logits float (B, 3, H, W) to labels uint8 (B, H, W)."""
    return logits.argmax(dim=1).to(torch.uint8)


def confusion_matrices(
    prediction: Tensor, target: Tensor, num_classes: int = len(CLASSES), ignore: int | None = None
) -> Tensor:
    """Pixel counts by true and predicted class, for each image.

    Args:
        prediction: integer (B, H, W), labels 0 to num_classes - 1.
        target: integer (B, H, W), the true labels.
        num_classes: K.
        ignore: a value of the target whose pixels do not count; none by default.

    Returns:
        int64 (B, K, K); rows are true classes, columns predicted ones; each sums to H * W less its ignored pixels.

    Raises:
        ValueError: the shapes differ, or a label is out of range.
    """
    if prediction.shape != target.shape:
        raise ValueError(f"prediction {tuple(prediction.shape)} and target {tuple(target.shape)} must match in shape.")
    counted = torch.ones_like(target, dtype=torch.bool) if ignore is None else target != ignore
    for name, labels in (("prediction", prediction[counted]), ("target", target[counted])):
        if labels.numel() and (int(labels.min()) < 0 or int(labels.max()) >= num_classes):
            raise ValueError(f"{name}: holds labels outside 0 to {num_classes - 1}.")
    B, K = len(target), num_classes
    image = torch.arange(B, device=target.device).view(-1, *[1] * (target.ndim - 1))
    cell = image * K * K + target.long() * K + prediction.long()  # the counter that a pixel belongs to
    return torch.bincount(cell[counted], minlength=B * K * K).view(B, K, K)


def iou(matrix: Tensor) -> Tensor:
    """Intersection over union (Jaccard index) per class: TP / (TP + FP + FN).

    Args:
        matrix: counts (..., K, K), rows true, columns predicted.

    Returns:
        float64 (..., K), 0 to 1; NaN for a class that is neither there nor predicted.
    """
    matrix = matrix.double()
    hit = matrix.diagonal(dim1=-2, dim2=-1)
    return hit / (matrix.sum(-1) + matrix.sum(-2) - hit)


def mean_iou(matrix: Tensor) -> Tensor:
    """Mean of the IoU over the classes: float64 (...), NaN where a class is neither there nor predicted."""
    return iou(matrix).mean(dim=-1)


def dice(matrix: Tensor) -> Tensor:
    """Dice score (F1) per class: 2 TP / (2 TP + FP + FN); shapes and NaN as in `iou`."""
    matrix = matrix.double()
    hit = matrix.diagonal(dim1=-2, dim2=-1)
    return 2 * hit / (matrix.sum(-1) + matrix.sum(-2))


def accuracy(matrix: Tensor) -> Tensor:
    """Share of pixels whose class is right: float64 (...)."""
    matrix = matrix.double()
    return matrix.diagonal(dim1=-2, dim2=-1).sum(-1) / matrix.sum((-2, -1))


def pooled_scores(matrices: Tensor) -> dict[str, float]:
    """Scores over all pixels of a split, from the one matrix that its images add up to.

    Args:
        matrices: int64 (N, 3, 3), one per image.

    Returns:
        `iou_pet`, `iou_background`, `iou_boundary`, their mean `mean_iou`, and `accuracy`; each 0 to 1.
    """
    pooled = matrices.sum(dim=0)
    per_class = iou(pooled)
    scores = {f"iou_{name}": float(value) for name, value in zip(CLASSES, per_class, strict=True)}
    return {"mean_iou": float(per_class.mean()), **scores, "accuracy": float(accuracy(pooled))}


class SplitConfusion(Metric):
    """Collects the confusion matrix of every image of a split, in one process or many.

    Samplers of distributed runs repeat examples to make all processes' shares equal. Each matrix is therefore kept
    with the place of its example, and a repeated example counts once.
    """

    full_state_update = False
    index: list[Tensor]
    matrices: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.add_state("index", default=[], dist_reduce_fx="cat")
        self.add_state("matrices", default=[], dist_reduce_fx="cat")

    def update(self, prediction: Tensor, target: Tensor, index: Tensor) -> None:
        """Adds a batch.

        Args:
            prediction: integer (B, H, W), labels.
            target: integer (B, H, W), labels.
            index: int64 (B,), places of the examples in their split.
        """
        self.index.append(index)
        self.matrices.append(confusion_matrices(prediction, target))

    def compute(self) -> Tensor:
        """The matrices in the order of the split: int64 (N, 3, 3)."""
        index, matrices = _joined(self.index), _joined(self.matrices)
        places = index.unique()  # sorted
        first = torch.stack([(index == place).nonzero()[0, 0] for place in places])
        return matrices[first]


def _joined(state: list[Tensor] | Tensor) -> Tensor:
    # a list in one process; already one tensor once torchmetrics has gathered several
    return state if isinstance(state, Tensor) else torch.cat(state)
