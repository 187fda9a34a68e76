"""The loss: cross-entropy plus soft Dice."""

import torch
import torch.nn.functional as F
from torch import Tensor

from petseg.errors import SettingsError


def soft_dice_loss(logits: Tensor, target: Tensor) -> Tensor:
    """One minus the soft Dice score, averaged over the classes that occur in the batch: 0 is perfect, 1 the worst.

    Milletari, Navab, Ahmadi: V-Net (3DV 2016), https://arxiv.org/abs/1606.04797, without squares in the denominator.

    Args:
        logits: float (B, K, H, W).
        target: integer (B, H, W), labels 0 to K - 1; not empty.
    """
    probability = logits.softmax(dim=1)  # (B, K, H, W)
    labels = torch.arange(logits.shape[1], device=logits.device).view(1, -1, 1, 1)
    truth = (target[:, None] == labels).to(probability.dtype)  # (B, K, H, W), one-hot
    overlap = (probability * truth).sum(dim=(0, 2, 3))  # (K,): one sum over all pixels of the batch
    total = (probability + truth).sum(dim=(0, 2, 3))
    # a class that does not occur has no overlap however good the prediction is, so it is left out of the mean; it is
    # multiplied by 0, since picking the others would make a GPU wait until their number is known
    present = (truth.sum(dim=(0, 2, 3)) > 0).to(total.dtype)
    # the total of such a class can round to 0
    dice = 2 * overlap / total.clamp(min=torch.finfo(total.dtype).tiny)
    return 1 - (dice * present).sum() / present.sum()


def segmentation_loss(logits: Tensor, target: Tensor, dice_weight: float, class_weights: Tensor) -> Tensor:
    """Cross-entropy, weighted by class, plus `dice_weight` times the soft Dice loss.

    Args:
        logits: float (B, K, H, W).
        target: integer (B, H, W), labels 0 to K - 1.
        dice_weight: 0 or more.
        class_weights: float (K,).

    Raises:
        SettingsError: the logits have another shape.
    """
    if logits.shape != (expected := (len(target), len(class_weights), *target.shape[1:])):
        raise SettingsError(
            f"the network gives logits of the shape {tuple(logits.shape)}; expected {expected}: {len(class_weights)} "
            "classes at the size of the images. Choose another network, or other settings of it."
        )
    target = target.long()
    return F.cross_entropy(logits, target, class_weights) + dice_weight * soft_dice_loss(logits, target)
