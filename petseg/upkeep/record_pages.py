"""The pages of the site that show the records in `figures/`: their result, a chart, and all numbers as tables."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from petseg.course.record import references, results
from petseg.models import zoo
from petseg.plots.comparing import ablation_bars, grouped_bars
from petseg.plots.style import save_figure
from petseg.upkeep.results import results_table

#: Title, result and bars of the records' pages; a record that is missing there is called like its file.
DESCRIBED: Final = Path("notebooks/site/results.yaml")


def described(name: str) -> Mapping[str, Any]:
    """What the page of a record says."""
    pages: Mapping[str, Any] = yaml.safe_load(DESCRIBED.read_text(encoding="utf-8"))
    return {"title": name.capitalize(), "result": "", "bars": None} | pages.get(name, {})


def facts(record: Mapping[str, Any]) -> dict[str, Any]:
    """What a result says and a record does not hold as such: extremes and sums."""
    if runs := sorted(record.get("variants", ()), key=lambda run: run["points"]):
        chance = sum(abs(run["points"]) <= run["limit"] for run in runs)
        return {"count": len(runs), "least": runs[0], "most": runs[-1], "chance": chance}
    if models := record.get("models"):
        name = max(models, key=lambda name: models[name]["test"]["mean_iou"])
        return {"name": name, "best": models[name]["test"]}
    if "thresholds" in record:
        return {"alarms": 100 * record["thresholds"][f"{record['threshold']:g}"]["false_alarms"]}
    entries = [row for row in record.values() if isinstance(row, dict)]
    if all("tried" in row for row in entries):
        return {key: sum(row[key] for row in entries) for key in ("tried", "lost")}
    if all("quick" in row for row in entries):
        name = max(record, key=lambda name: record[name]["full"]["seconds"])
        seconds = max(row["quick"]["seconds"] for row in entries)
        return {"quick": seconds, "name": name, "full": record[name]["full"]["seconds"] / 60}
    return {}


def bars(
    record: Mapping[str, Any], of: str = "", rows: Sequence[str] = (), **chart: Any
) -> dict[str, dict[str, float]]:
    """The values of a record's chart by row and name."""
    part = record[of] if of else record
    chosen = {key: part[key] for key in rows or part if not isinstance(part[key], int)}
    return {
        key: {name: float(chart["value"].replace("NAME", name).format(row=row)) for name in chart["names"]}
        for key, row in chosen.items()
    }


def record_page(name: str, record: Mapping[str, Any], chart: str = "") -> str:
    """A page of a file of `figures/`: its result, a chart, and a folded table for each kind of row, in Markdown."""
    tables: dict[tuple[str, ...], list[list[str]]] = {}
    for path, values in rows(record):
        tables.setdefault(tuple(values), []).append([" / ".join(path), *map(cell, values.values())])
    page = described(name)
    result = page["result"].format(**{**record, **facts(record)})
    body = "\n\n".join(table(["", *keys], lines) for keys, lines in tables.items())
    folded = f":::{{dropdown}} All numbers, from `figures/{name}.json`\n{body}\n:::"
    return "\n\n".join(part for part in (f"# {page['title']}", result, chart, folded) if part)


def released_page() -> str:
    """The released models with size and score, and those of others folded, in Markdown."""
    models = results()["models"]
    lines = []
    for name, model in sorted(models.items(), key=lambda item: -item[1]["test"]["mean_iou"]):
        size = (zoo.WEIGHTS / f"{name}.safetensors").stat().st_size / 1e6
        score = f"{model['test']['mean_iou']:.4f}"
        lines.append([f"[{name}](model-{name}.md)", score, f"{model['parameters'] / 1e6:.1f} M", f"{size:.1f} MB"])
    head = "# Released models, and results of others\n\n" + described("results")["result"].format(
        **facts({"models": models})
    )
    released = table(["model", "mean IoU, official test split", "parameters", "file"], lines)
    note = "Others report scores at other sizes and some on other splits: compare with care."
    folded = f":::{{dropdown}} Beside the results of others\n{note}\n\n{results_table(results(), references())}\n:::"
    return "\n\n".join((head, released, folded))


def draw_chart(folder: Path, name: str, record: Mapping[str, Any]) -> str:
    """Draws a record's chart into a folder, and returns the Markdown that shows it; nothing where it has none."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = Path(f"figures/{name}.png")
    if drawn.is_file():
        shutil.copy(drawn, folder)
        return f"![The numbers below as bars]({name}.png)"
    if name.startswith("ablation"):
        figure = ablation_bars(record, "What a change of the recipe costs or gains")
    elif chart := described(name)["bars"]:
        figure = grouped_bars(bars(record, **chart), chart["label"])
    else:
        return ""
    save_figure(figure, folder / f"{name}.png")
    return f"![{figure.alt}]({name}.png)"


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
