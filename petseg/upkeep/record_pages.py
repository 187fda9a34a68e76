"""The pages of the site that show the records in `figures/`: a sentence, a chart, and all numbers as tables."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from petseg.plots.comparing import ablation_bars
from petseg.plots.style import save_figure

#: Title and first sentence of the records' pages; others are called like their files.
DESCRIBED: Final = {
    "ablation": ("Ablation", "What each change of a short training costs or gains, against the noise of its seed."),
    "ablation-long": ("Ablation, longer runs", "The same with 30 epochs on a fifth of the images."),
    "benchmark": ("Benchmark", "How fast a CPU trains and segments, beside a plain PyTorch script."),
    "benchmark-gpu": ("Benchmark on a GPU", "The same on a GPU."),
    "duplicates": ("How far annotators agree", "Photos that occur twice in the data set, each with two masks."),
    "matting": ("Soft edges", "Errors of the cut-out's edge, by the way in which it is computed."),
    "minutes": ("Times of the notebooks", "How long each notebook runs."),
    "refinement": (
        "Photos at their original size",
        "Scores of full-size masks, by the way in which they are enlarged.",
    ),
    "results": ("Released models, split by split", "Scores and pixel counts of every released model."),
    "torture": ("Torture: cases tried and lost", "Broken photos, data sets, runs and requests that must not be lost."),
}


def record_page(name: str, record: Mapping[str, Any], chart: str = "") -> str:
    """A page of a file of `figures/`: a sentence, a chart, and a folded table for each kind of row, in Markdown."""
    tables: dict[tuple[str, ...], list[list[str]]] = {}
    for path, values in rows(record):
        tables.setdefault(tuple(values), []).append([" / ".join(path), *map(cell, values.values())])
    title, sentence = DESCRIBED.get(name, (name.capitalize(), ""))
    body = "\n\n".join(table(["", *keys], lines) for keys, lines in tables.items())
    folded = f":::{{dropdown}} All numbers, from `figures/{name}.json`\n{body}\n:::"
    return "\n\n".join(part for part in (f"# {title}", sentence, chart, folded) if part)


def draw_chart(folder: Path, name: str, record: Mapping[str, Any]) -> str:
    """Draws a record's chart into a folder, and returns the Markdown that shows it; nothing where it has none."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = Path(f"figures/{name}.png")
    if drawn.is_file():
        shutil.copy(drawn, folder)
        return f"![The numbers below as bars]({name}.png)"
    if name.startswith("ablation"):
        figure = ablation_bars(record, "What a change of the recipe costs or gains")
        save_figure(figure, folder / f"{name}.png")
        return f"![{figure.alt}]({name}.png)"
    return ""


def rows(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Each mapping within a record that holds plain values, with its path; settings and recipes are left out."""
    if isinstance(value, list):
        value = {entry.get("name", str(number)): entry for number, entry in enumerate(value, start=1)}
    first = {key: entry[0] if isinstance(entry, list) and entry else entry for key, entry in value.items()}
    nested = {key for key, entry in first.items() if isinstance(entry, dict)}
    if plain := {key: entry for key, entry in value.items() if key not in nested | {"name"}}:
        yield path, plain
    for key, entry in value.items():
        if key in nested - {"settings", "recipe"}:
            yield from rows(entry, (*path, key))


def cell(value: Any) -> str:
    """A cell of a table: four digits of a fraction, a dash where nothing is known."""
    if isinstance(value, list):
        return ", ".join(map(cell, value))
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 10_000 else f"{value:,.0f}"
    return "-" if value is None else str(value).replace("|", "\\|")


def table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    return "\n".join(f"| {' | '.join(line)} |" for line in [header, ["---"] * len(header), *lines])
