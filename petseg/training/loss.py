"""What training makes small: cross-entropy plus soft Dice, and, where a teacher is asked, its probabilities."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def soft_dice_loss(logits: Tensor, target: Tensor) -> Tensor:
    """One minus the soft Dice score, averaged over the classes that occur in the batch.

    Milletari, Navab, Ahmadi: V-Net (3DV 2016), https://arxiv.org/abs/1606.04797, without squares in the denominator.

    Args:
        logits: float (B, K, H, W).
        target: int64 (B, H, W), labels 0 to K - 1.

    Returns:
        float scalar, 0 (perfect) to 1.
    """
    probability = logits.softmax(dim=1)  # (B, K, H, W)
    truth = F.one_hot(target, logits.shape[1]).movedim(-1, 1).to(probability.dtype)  # (B, K, H, W)
    overlap = (probability * truth).sum(dim=(0, 2, 3))  # (K,): one sum over all pixels of the batch
    total = (probability + truth).sum(dim=(0, 2, 3))
    # a class that does not occur has no overlap however good the prediction is, so it is left out of the mean
    present = truth.sum(dim=(0, 2, 3)) > 0
    dice = 2 * overlap[present] / total[present]
    return 1 - dice.mean() if present.any() else logits.sum() * 0


def segmentation_loss(logits: Tensor, target: Tensor, dice_weight: float, class_weights: Tensor) -> Tensor:
    """Cross-entropy plus weighted soft Dice.

    Args:
        logits: float (B, K, H, W).
        target: integer (B, H, W), labels 0 to K - 1.
        dice_weight: weight of the soft Dice loss beside the cross-entropy's 1.
        class_weights: float (K,), of the cross-entropy.

    Returns:
        float scalar, 0 or more.
    """
    target = target.long()
    return F.cross_entropy(logits, target, class_weights) + dice_weight * soft_dice_loss(logits, target)


def distillation_loss(logits: Tensor, soft: Tensor, class_weights: Tensor) -> Tensor:
    """Cross-entropy with a teacher's probabilities in place of labels.

    Hinton, Vinyals, Dean: Distilling the Knowledge in a Neural Network (2015), https://arxiv.org/abs/1503.02531.

    Args:
        logits: float (B, K, H, W), the student's.
        soft: float (B, K, H, W), the teacher's probabilities, summing to 1 over the classes.
        class_weights: float (K,).

    Returns:
        float scalar, 0 or more.
    """
    return F.cross_entropy(logits, soft, class_weights)


def class_weights(boundary_weight: float, labels: tuple[str, ...]) -> Tensor:
    """Weights of the classes in the cross-entropy: float (K,), 1 but for the boundary's."""
    return torch.tensor([boundary_weight if name == "boundary" else 1.0 for name in labels])
