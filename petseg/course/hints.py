"""What the checks of gaps and exercises share: errors that become hints, and comparisons that raise them."""

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, nn

from petseg.course.comparison import close


class NotYetError(Exception):
    """An answer that is not right; the message says what came and gives a hint."""


class UnfilledError(NotYetError):
    """An answer that is still the `...` of the exercise; `left` are the comments above those that are left.

    `missing` is the sentence where no `...` is left, but something that the answer should do.
    """

    def __init__(self, left: Sequence[str] = (), missing: str = "") -> None:
        named = [repr(comment) for comment in left if comment]
        below = " below " + " and below ".join(named) if named else ""
        super().__init__(missing or f"put your answer in place of the `...`{below} and run the cell again.")


def ask(function: Any, *arguments: Any) -> Any:
    """The return value of a student's function, which must return something.

    Raises:
        UnfilledError: it returns nothing, or `...`.
        NotYetError: it is no function, or it raises; the message says what.
    """
    returned = call(function, *arguments)
    if returned is None:
        raise UnfilledError(missing=f"{_name(function)} returns nothing. End it with `return`.")
    if returned is ...:
        raise UnfilledError
    return returned


def call(function: Any, *arguments: Any) -> Any:
    """The return value of a student's function, which may return nothing; an error in it becomes a hint."""
    if not callable(function):
        raise NotYetError(f"expected a function, but got {type(function).__name__}.")
    try:
        return function(*arguments)
    except NotImplementedError:
        raise UnfilledError from None
    except Exception as error:
        raise NotYetError(f"{_name(function)} failed with {type(error).__name__}: {error}") from error


def _name(function: Any) -> str:
    return str(getattr(function, "__name__", "your function"))


def as_number(result: Any) -> float:
    """A student's result as a number; a hint if it is none, or NaN."""
    try:
        number = float(result.detach() if torch.is_tensor(result) else result)
    except (TypeError, ValueError, RuntimeError):
        raise NotYetError(f"expected one number, but got {type(result).__name__}.") from None
    if math.isnan(number):
        raise NotYetError("expected one number, but got NaN: 0 / 0, or a mean over nothing.")
    return number


def as_numbers(values: Any, valid: Callable[[list[float]], bool], expected: str) -> list[float]:
    """A student's results as numbers; a hint, what is expected, unless they are valid."""
    with suppress(TypeError, ValueError, RuntimeError):
        numbers = [float(value) for value in values]
        if not any(map(math.isnan, numbers)) and valid(numbers):
            return numbers
    raise NotYetError(expected)


def hint_for(result: Any, mistakes: Mapping[str, Any], otherwise: str) -> NotYetError:
    """The hint of the first mistake whose result equals the student's; `otherwise` if there is none."""
    return NotYetError(next((hint for hint, value in mistakes.items() if close(result, value)), otherwise))


def same_weights(name: str, made: Any, reference: nn.Module, of_shapes: str = "") -> nn.Module:
    """The answer's module in eval mode, with the reference's weights; a hint unless names and shapes agree."""
    if not isinstance(made, nn.Module):
        raise NotYetError(f"expected an nn.Module, but got {type(made).__name__}.")
    wanted, state = reference.eval().state_dict(), made.eval().state_dict()
    for key in sorted(wanted.keys() ^ state.keys()):
        have, need = (sum(p.numel() for p in module.parameters()) for module in (made, reference))
        biased = any(isinstance(m, nn.Conv2d) and m.bias is not None for m in made.modules())
        if have == need:
            raise NotYetError(
                f"{name} has as many parameters as expected, but elsewhere: there is {'no ' * (key in wanted)}{key}. "
                "Is a layer without parameters, such as ReLU, missing or in another place?"
            )
        hint = " Do its convolutions have a bias? BatchNorm has one." if biased and key.endswith("bias") else ""
        there = f"there is no {key}." if key in wanted else f"{key} is not needed.{hint}"
        raise NotYetError(f"{name} has {have:,} parameters, expected {need:,}; {there}")
    for key, value in wanted.items():
        if state[key].shape != value.shape:
            came = f"{name}: {key} has the shape {tuple(state[key].shape)}"
            raise NotYetError(f"{came}, expected {tuple(value.shape)}.{of_shapes}")
    made.load_state_dict(wanted)
    return made


def same_shape(name: str, result: Any, expected: Tensor) -> None:
    """A hint unless the result is a tensor of the expected shape."""
    if not torch.is_tensor(result) or result.shape != expected.shape:
        came = tuple(result.shape) if torch.is_tensor(result) else type(result).__name__
        raise NotYetError(f"{name} gives {came}; expected {tuple(expected.shape)}.")


def one_of(prediction: Any, choices: Sequence[Any]) -> None:
    """A hint unless the student's prediction is one of the choices."""
    with suppress(TypeError, ValueError, RuntimeError):  # of an array
        if prediction in choices:
            return
    raise NotYetError(f"predict first: expected one of {', '.join(map(repr, choices))}, but got {prediction!r}.")


def verdict(prediction: Any, values: Mapping[Any, float], form: str = "+.3f") -> str:
    """All values of an experiment, the largest of them, and whether the student predicted it."""
    most = max(values, key=lambda name: values[name])
    listed = ", ".join(f"{name} {value:{form}}" for name, value in values.items())
    return f"{listed}. Largest: {most}, {'as you predicted' if most == prediction else f'you predicted {prediction}'}."
