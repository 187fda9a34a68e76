"""Depthwise convolutions in bfloat16 on a CPU, with gradients that are computed in float32.

PyTorch's CPU kernels for a depthwise convolution in bfloat16 are fast, but not those for its gradients: with a stride
of 2, or a kernel larger than 3x3, they take several times as long as the same gradients in float32.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.modules.utils import _pair
from torch.overrides import TorchFunctionMode


class FastDepthwise(TorchFunctionMode):
    """While it is entered, `F.conv2d` gives such a convolution float32 gradients; all others stay as they are."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Calls a function of PyTorch, or what replaces it."""
        if func is F.conv2d and not kwargs and _is_slow(*args):
            return _Float32Gradients.apply(*args)
        return func(*args, **(kwargs or {}))


def _is_slow(image: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, *settings: Any) -> bool:
    """Whether the gradients of a call of `F.conv2d` are slow in the precision at hand."""
    depthwise = len(settings) == 3 and settings[2] == image.shape[1] > 1
    if not depthwise or bias is not None or image.device.type != "cpu" or isinstance(settings[0], str):
        return False
    bfloat16 = torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16
    return bfloat16 and (max(_pair(stride)) > 1 or max(weight.shape[-2:]) > 3)


class _Float32Gradients(torch.autograd.Function):
    """`F.conv2d` in bfloat16, with gradients that are computed in float32."""

    @staticmethod
    def forward(ctx: Any, image: Tensor, weight: Tensor, bias: None, *settings: Any) -> Tensor:
        """Feature maps bfloat16 (B, C, H', W') of feature maps (B, C, H, W)."""
        image = image.bfloat16()
        ctx.save_for_backward(image, weight)
        ctx.settings = settings
        return F.conv2d(image, weight.bfloat16(), bias, *settings)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients of the feature maps and of the weights."""
        image, weight = ctx.saved_tensors
        *sizes, groups = ctx.settings  # stride, padding, dilation
        settings = *map(_pair, sizes), False, [0, 0], groups, [True, True, False]
        of_image, of_weight, _ = torch.ops.aten.convolution_backward(
            gradient.float(), image.float(), weight, None, *settings
        )
        return of_image.bfloat16(), of_weight, None, None, None, None, None
