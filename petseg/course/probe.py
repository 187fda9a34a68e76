"""What an encoder's features know before anything is trained: how well a straight line through them tells pets."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from petseg.data.datamodule import Batch
from petseg.labels import CLASSES
from petseg.metrics.confusion import confusion_matrices
from petseg.models.inspection import in_eval_mode
from petseg.models.normalisation import EFFICIENTNET_LITE, Normalisation


@torch.no_grad()
def linear_probe(encoder: nn.Module, train: Batch, val: Batch, ridge: float = 1e-2) -> dict[int, Tensor]:
    """Fits a linear classifier to the features of each stage of an encoder, in closed form, and scores it.

    Alain, Bengio: Understanding intermediate layers using linear classifier probes (ICLR workshop 2017),
    https://arxiv.org/abs/1610.01644; here with least squares. The regression's target is the share of each class in a
    feature's cell; its scores are enlarged to the image's size before the class is taken.

    Args:
        encoder: gives a list of features float (B, c, h, w) for images that are normalised for EfficientNet-Lite; runs
            in eval mode and on the CPU, and stays as it is.
        train: what the classifiers are fitted to.
        val: what they are scored on.
        ridge: added to each feature's sum of squares, as a share of it.

    Returns:
        Confusion matrix int64 (3, 3), pooled over `val`, by stride of the stage; stride 1 is the image itself.
    """
    products: dict[int, Tensor] = {}
    for image, mask in _parts(train):
        truth = F.one_hot(mask.long(), len(CLASSES)).movedim(-1, 1).float()  # (b, 3, H, W)
        for stride, feature in _features(encoder, image).items():
            share = F.adaptive_avg_pool2d(truth, (feature.shape[-2], feature.shape[-1]))
            rows = torch.cat([_rows(feature), share.movedim(1, -1).flatten(0, 2).double()], dim=1)
            products[stride] = products.get(stride, torch.zeros(())) + rows.T @ rows
    weights = {stride: _solved(product, ridge) for stride, product in products.items()}
    pooled: dict[int, Tensor] = {}
    for image, mask in _parts(val):
        for stride, feature in _features(encoder, image).items():
            B, _, h, w = feature.shape
            scores = (_rows(feature) @ weights[stride]).view(B, h, w, -1).movedim(-1, 1)
            found = F.interpolate(scores, mask.shape[-2:], mode="bilinear").argmax(dim=1)
            counted = confusion_matrices(found, mask).sum(dim=0)
            pooled[stride] = pooled.get(stride, torch.zeros_like(counted)) + counted
    return pooled


def _parts(batch: Batch, size: int = 32) -> list[tuple[Tensor, Tensor]]:
    """Normalised images and masks, some at a time."""
    normalise = Normalisation(*EFFICIENTNET_LITE)
    pairs = zip(batch.image.split(size), batch.mask.split(size), strict=True)
    return [(normalise(image), mask) for image, mask in pairs]


def _features(encoder: nn.Module, image: Tensor) -> dict[int, Tensor]:
    with in_eval_mode(encoder):
        return {image.shape[-1] // feature.shape[-1]: feature for feature in encoder(image)}


def _rows(feature: Tensor) -> Tensor:
    """A row for each place: its features and a one, float64 (B h w, c + 1)."""
    return F.pad(feature.movedim(1, -1).flatten(0, 2).double(), (0, 1), value=1.0)


def _solved(product: Tensor, ridge: float) -> Tensor:
    """Weights (c + 1, 3) of the least squares whose sums of products are given."""
    inner, outer = product[: -len(CLASSES), : -len(CLASSES)], product[: -len(CLASSES), -len(CLASSES) :]
    scale = inner.diagonal().clamp_min(1e-12)
    return torch.linalg.solve(inner + ridge * scale.diag(), outer)
