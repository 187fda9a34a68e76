"""A row of the benchmark: medians with their spread, and the ratio of two of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Spread:
    """The median of some measurements, the smallest, the largest, and how many there are."""

    median: float
    low: float
    high: float
    n: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """That of one or more values."""
        return cls(median(values), min(values), max(values), len(values))

    def record(self) -> dict[str, float]:
        """As JSON holds it, with five digits: no more of them repeat."""
        return {name: float(f"{value:.5g}") for name, value in asdict(self).items()} | {"n": self.n}


@dataclass(frozen=True)
class Row:
    """A row of the benchmark.

    Attributes:
        title: what is measured.
        unit: of all `values`.
        values: by name; None where this machine cannot measure it or a limit was reached first.
        ratio_of: what is divided by what, for instance `ours / plain`; empty where the row has no ratio.
        ratio: of two of the values.
        note: what a reader of the numbers must know.
        details: what else the JSON file holds of this row.
    """

    title: str
    unit: str
    values: Mapping[str, Spread | None]
    ratio_of: str = ""
    ratio: Spread | None = None
    note: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)

    def record(self) -> dict[str, Any]:
        """As JSON holds it: `ratio` is a number (the median) or null, `ratio_low` and `ratio_high` its range."""
        record: dict[str, Any] = {"title": self.title, "unit": self.unit}
        record["values"] = {name: spread and spread.record() for name, spread in self.values.items()}
        if self.ratio_of:
            numbers = self.ratio.record() if self.ratio else {}
            record |= {"ratio_of": self.ratio_of, "ratio": numbers.get("median")}
            record |= {"ratio_low": numbers.get("low"), "ratio_high": numbers.get("high")}
        return record | ({"note": self.note} if self.note else {}) | dict(self.details)


def compared(
    title: str, unit: str, values: Mapping[str, Sequence[float]], first: str, second: str, note: str = ""
) -> Row:
    """A row with the ratio `first / second`, taken in each round, so that a slower minute slows both sides.

    Args:
        title: as in `Row`.
        unit: as in `Row`.
        values: one measurement per round, by name.
        first: name of the values that are divided.
        second: name of those that they are divided by.
        note: as in `Row`.
    """
    ratios = [a / b for a, b in zip(values[first], values[second], strict=True)]
    spreads = {name: Spread.of(measured) for name, measured in values.items()}
    return Row(title, unit, spreads, f"{first} / {second}", Spread.of(ratios), note)
