"""Whether two results agree, and if not, where they differ, in words."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray


def close(result: Any, expected: Any) -> bool:
    """Whether numbers, tensors or arrays, or tuples of them, agree within a relative and absolute error of 1e-4."""
    if isinstance(expected, set) or isinstance(result, set):
        return isinstance(expected, set) and isinstance(result, set) and result == expected
    if isinstance(expected, tuple):
        return _parts(result) == len(expected) and all(map(close, result, expected))
    try:
        result, expected = _numbers(result), _numbers(expected)
        return bool(result.shape == expected.shape and _agree(result, expected).all())
    except (TypeError, ValueError, RuntimeError):  # no numbers, or parts of several shapes
        return False


def shown(value: Any) -> str:
    """A value on one line; of a large array only its shape, and of what is no number its type."""
    if isinstance(value, tuple):
        return f"({', '.join(map(shown, value))})"
    try:
        array = _numbers(sorted(value) if isinstance(value, set) else value)
    except (TypeError, ValueError, RuntimeError):
        return type(value).__name__
    text = " ".join(np.array2string(array, precision=3, separator=", ").split()).removesuffix(".")
    return text if len(text) < 200 else f"an array of the shape {array.shape}"


def difference(result: Any, expected: Any) -> str:
    """What was expected and what came; where both look the same, how many values differ and where most."""
    if isinstance(expected, set) != isinstance(result, set):
        return f"expected a {type(expected).__name__}, but got a {type(result).__name__}: {shown(result)}."
    if isinstance(expected, tuple) and _parts(result) == len(expected):
        index = next(i for i, pair in enumerate(zip(result, expected, strict=True)) if not close(*pair))
        return f"part {index + 1} of {len(expected)}: {difference(result[index], expected[index])}"
    came, wanted = shown(result), shown(expected)
    if came != wanted or _numbers(result).dtype.kind not in "biuf":
        return f"expected {wanted}, but got {came}."
    values, right = (np.atleast_1d(_numbers(x)).astype(float) for x in (result, expected))
    place = np.unravel_index(np.nan_to_num(np.abs(values - right), nan=np.inf).argmax(), values.shape)
    return (
        f"the shape {values.shape} is right, but {(~_agree(values, right)).sum():,} of {values.size:,} values differ, "
        f"most at [{', '.join(map(str, place))}]: expected {right[place]:.6g}, but got {values[place]:.6g}."
    )


def other_kind(result: Any, expected: Any) -> str:
    """What to return instead where the numbers are right, but the kind of the result is not; else nothing."""
    if isinstance(expected, tuple):
        return next(filter(None, map(other_kind, result, expected)), "")
    if isinstance(expected, np.ndarray) and expected.ndim and isinstance(result, list | tuple):
        return f"the numbers are right, but they are in a {type(result).__name__}. Return a NumPy array: `np.array`."
    if torch.is_tensor(expected) and expected.ndim and not torch.is_tensor(result):
        return f"the numbers are right, but they are in a {type(result).__name__}. Return a tensor: `torch.as_tensor`."
    if isinstance(expected, np.ndarray) and expected.ndim and torch.is_tensor(result):
        return "the numbers are right, but they are in a tensor. Return a NumPy array: `.numpy()`."
    if torch.is_tensor(expected) and expected.requires_grad and not getattr(result, "requires_grad", False):
        return "the value is right, but it has no gradient. Use tensors throughout, without `.item()`."
    return ""


def same_dtype(result: Any, expected: Any) -> str:
    """As `other_kind`; the type of the numbers counts as well."""
    same = torch.is_tensor(result) and result.dtype == expected.dtype
    return other_kind(result, expected) or (
        "" if same else f"the numbers are right, but they are {result.dtype}. Return {expected.dtype}."
    )


def changed(part: Any, before: Any) -> bool:
    """Whether a tensor or an array, or one in a tuple, is no longer what it was before."""
    if isinstance(before, tuple):
        return any(map(changed, part, before))
    return isinstance(before, np.ndarray | torch.Tensor) and not close(part, before)


def _parts(value: Any) -> int | None:
    """How many values a tuple, a list, or the first axis of an array has; None for anything else."""
    several = isinstance(value, tuple | list) or (isinstance(value, np.ndarray | torch.Tensor) and value.ndim)
    return len(value) if several else None


def _agree(result: NDArray[Any], expected: NDArray[Any]) -> NDArray[np.bool_]:
    return np.isclose(result, expected, rtol=1e-4, atol=1e-4, equal_nan=True)


def _numbers(value: Any) -> NDArray[Any]:
    return np.asarray(value.detach().cpu() if torch.is_tensor(value) else value)
