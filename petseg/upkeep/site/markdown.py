"""Tables in Markdown, and what their columns are called."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from petseg.labels import CLASSES
from petseg.metrics.confusion import SCORES

#: What the columns of `SCORES` are called.
TITLES: Final = ("mean IoU", *CLASSES, "accuracy")


def table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A Markdown table; the first column is text, columns of numbers are aligned to the right."""
    numeric = [all(isinstance(row[index], int | float | None) for row in rows) for index in range(len(header))]
    lines = [header, ["--:" if number else "---" for number in numeric], *rows]
    return "\n".join(f"| {' | '.join(text(cell) for cell in line)} |" for line in lines)


def text(value: Any) -> str:
    """A cell of a table: four decimals of a small float, thousands separated, a dash where nothing is known."""
    if value is None:
        return "-"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value).replace("|", "\\|").replace("\n", " ")
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4f}" if abs(value) < 1 else f"{value:,.2f}"


def title(key: str) -> str:
    """What a column is called that holds this key of a record."""
    words = key.replace("_", " ").replace("iou", "IoU").replace("boundary f", "boundary F")
    return dict(zip(SCORES, TITLES, strict=True)).get(key, words)
