"""A guided filter: probabilities that follow the edges of the photo."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from petseg.inference.predictor import resize_to_model


def guided_filter(
    probabilities: Tensor, photo: Image.Image, side: int = 256, radius: int = 2, epsilon: float = 1e-3
) -> Tensor:
    """A fast guided filter with the photo's colours as its guide.

    He, Sun, Tang: Guided Image Filtering (TPAMI 2013), equations 14 to 16 for the linear coefficients of each window;
    He, Sun: Fast Guided Filter (2015), https://arxiv.org/abs/1505.00996: found at `side` x `side` pixels and applied
    at the photo's own size.

    Args:
        probabilities: float32 (3, h, w) of the whole photo.
        photo: RGB, W x H.
        side: where the coefficients are found.
        radius: of a window of 2 radius + 1 pixels.
        epsilon: keeps the coefficients small, for colours in 0..1.

    Returns:
        float32 (3, H, W), roughly 0..1.
    """
    target = F.interpolate(probabilities[None], (side, side), mode="bilinear")[0]
    guide = resize_to_model(photo, (side, side))[0]  # (3, side, side)
    average = partial(_window_mean, radius=radius)
    mean_guide, mean_target = average(guide), average(target)
    variance = _products(guide, guide, average) - torch.einsum("chw,dhw->hwcd", mean_guide, mean_guide)
    covariance = _products(guide, target, average) - torch.einsum("chw,khw->hwck", mean_guide, mean_target)
    slope = torch.linalg.solve(variance + epsilon * torch.eye(3), covariance)  # (side, side, 3 of guide, 3 of target)
    offset = mean_target - torch.einsum("hwck,chw->khw", slope, mean_guide)
    slope = _enlarged(average(slope.permute(2, 3, 0, 1).flatten(0, 1)), photo)  # (9, H, W)
    colors = torch.from_numpy(np.array(photo)).permute(2, 0, 1).float() / 255  # (3, H, W)
    return (slope.unflatten(0, (3, 3)) * colors[:, None]).sum(0) + _enlarged(average(offset), photo)


def _enlarged(values: Tensor, photo: Image.Image) -> Tensor:
    return F.interpolate(values[None], photo.size[::-1], mode="bilinear", align_corners=False)[0]


def _window_mean(values: Tensor, radius: int) -> Tensor:
    """Mean over each pixel's window (C, h, w); at the border over the part of it that lies within."""
    return F.avg_pool2d(values[None], 2 * radius + 1, 1, radius, count_include_pad=False)[0]


def _products(a: Tensor, b: Tensor, average: Callable[[Tensor], Tensor]) -> Tensor:
    """Means (h, w, C, K) over windows of the products of channels of a (C, h, w) and b (K, h, w)."""
    means = average((a[:, None] * b[None]).flatten(0, 1))
    return means.unflatten(0, (len(a), len(b))).permute(2, 3, 0, 1)
