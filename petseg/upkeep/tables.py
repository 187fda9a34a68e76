"""README's table of results in Markdown: the released models, and below them what others report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from petseg.errors import DataError
from petseg.labels import CLASSES
from petseg.metrics.confusion import SCORES

#: README's lines before and after the table.
MARKS: Final = ("<!-- results: written by make figures -->", "<!-- end of results -->")

#: The scores in the table.
SHOWN: Final = tuple(score for score in SCORES if score != "accuracy")


def results_table(results: Mapping[str, Any], references: Sequence[Mapping[str, Any]]) -> str:
    """One row per network, the released models in bold; references by mean IoU, those without one are left out.

    Args:
        results: as `figures/results.json` holds them.
        references: as `course.references` gives them; a dash stands for what they do not state.
    """
    header = ["network", "parameters", "pixels", "scored on", "encoder", "mean IoU", *CLASSES]
    lines = [_line(header), _line(["---", "--:", "--:", "---", "---", *["--:"] * len(SHOWN)])]
    for name, model in results["models"].items():
        scores = [f"{model['test'][key]:.4f}" for key in SHOWN]
        million = f"{model['parameters'] / 1e6:.1f} M"
        lines.append(_line([f"**`{name}`**", million, str(model["size"]), "test", model["encoder"], *scores]))
    scored = [entry for entry in references if entry["mean_iou"] is not None]
    for entry in sorted(scored, key=lambda entry: -entry["mean_iou"]):
        name = f"[{entry['name']}]({entry['url']})" if entry["url"] else f"{entry['name']} (no public page found)"
        million = f"{entry['parameters'] / 1e6:.1f} M" if entry["parameters"] else "-"
        scores = ["-" if entry[key] is None else f"{entry[key]:g}" for key in SHOWN]
        lines.append(_line([name, million, str(entry["size"] or "-"), entry["split"], entry["encoder"], *scores]))
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def with_table(readme: str, table: str) -> str:
    """README's text with a table between its marks.

    Raises:
        DataError: a mark is missing, or there twice.
    """
    start, end = MARKS
    if readme.count(start) != 1 or readme.count(end) != 1:
        raise DataError(f"README.md: must hold '{start}' and '{end}' once each; put them where the table belongs.")
    head, rest = readme.split(start)
    return f"{head}{start}\n\n{table}\n\n{end}{rest.split(end)[1]}"
