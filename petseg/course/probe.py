"""A linear probe: how well a linear classifier separates the classes by an encoder's features, before any training."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from petseg.data.datamodule import Batch
from petseg.labels import CLASSES
from petseg.metrics.confusion import confusion_matrices
from petseg.models.inspection import in_eval_mode
from petseg.models.segmenter import EFFICIENTNET_LITE, Segmenter


@torch.no_grad()
def linear_probe(encoder: nn.Module, train: Batch, val: Batch, ridge: float = 1e-2) -> dict[int, Tensor]:
    """Fits a linear classifier to the features of each stage of an encoder by least squares, and scores it.

    Alain, Bengio: Understanding intermediate layers using linear classifier probes (ICLR workshop 2017),
    https://arxiv.org/abs/1610.01644. A pixel of a feature map covers a square of the image; the regression predicts the
    fraction of each class in it. The predictions are upsampled to the image's size before the class is taken.

    Args:
        encoder: returns a list of feature maps float (B, c, h, w) for images that are normalised for EfficientNet-Lite.
            It runs in eval mode on the CPU and is not changed.
        train: the classifiers are fitted to it.
        val: the classifiers are scored on it.
        ridge: regularisation: the fraction of each feature's sum of squares that is added to it.

    Returns:
        Confusion matrix int64 (3, 3), pooled over `val`, by stride of the stage; the stage of stride 1 is the image.
    """
    products: dict[int, Tensor] = {}
    for image, mask in _parts(train):
        truth = F.one_hot(mask.long(), len(CLASSES)).movedim(-1, 1).float()  # (b, 3, H, W)
        for stride, feature in _features(encoder, image).items():
            fractions = F.adaptive_avg_pool2d(truth, (feature.shape[-2], feature.shape[-1]))
            rows = torch.cat([_rows(feature), fractions.movedim(1, -1).flatten(0, 2).double()], dim=1)
            products[stride] = products.get(stride, torch.zeros(())) + rows.T @ rows
    weights = {stride: _solved(product, ridge) for stride, product in products.items()}
    pooled: dict[int, Tensor] = {}
    for image, mask in _parts(val):
        for stride, feature in _features(encoder, image).items():
            B, _, h, w = feature.shape
            predicted = (_rows(feature) @ weights[stride]).view(B, h, w, -1).movedim(-1, 1)
            labels = F.interpolate(predicted, mask.shape[-2:], mode="bilinear").argmax(dim=1)
            counted = confusion_matrices(labels, mask).sum(dim=0)
            pooled[stride] = pooled.get(stride, torch.zeros_like(counted)) + counted
    return pooled


def _parts(batch: Batch, size: int = 32) -> list[tuple[Tensor, Tensor]]:
    """Normalised images and masks, `size` at a time."""
    normalise = Segmenter(nn.Identity(), *EFFICIENTNET_LITE)
    pairs = zip(batch.image.split(size), batch.mask.split(size), strict=True)
    return [(normalise(image), mask) for image, mask in pairs]


def _features(encoder: nn.Module, image: Tensor) -> dict[int, Tensor]:
    with in_eval_mode(encoder):
        return {image.shape[-1] // feature.shape[-1]: feature for feature in encoder(image)}


def _rows(feature: Tensor) -> Tensor:
    """A row per pixel of the feature map: its features, and a 1 for the bias; float64 (B h w, c + 1)."""
    return F.pad(feature.movedim(1, -1).flatten(0, 2).double(), (0, 1), value=1.0)


def _solved(product: Tensor, ridge: float) -> Tensor:
    """The least-squares weights (c + 1, 3), from the sums of products of features and targets."""
    inner, outer = product[: -len(CLASSES), : -len(CLASSES)], product[: -len(CLASSES), -len(CLASSES) :]
    scale = inner.diagonal().clamp_min(1e-12)
    return torch.linalg.solve(inner + ridge * scale.diag(), outer)
