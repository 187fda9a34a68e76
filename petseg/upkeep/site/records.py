"""Pages of numbers, made from `figures/*.json` as they are: nothing is left out, and nothing is typed by hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from petseg.labels import CLASSES
from petseg.metrics.confusion import SCORES
from petseg.upkeep.results import results_table
from petseg.upkeep.site.markdown import TITLES, table, text, title

#: Titles of the pages of `ablation_page`, by record.
ABLATIONS: Final = {"ablation": "Ablation", "ablation-long": "Ablation, longer runs"}

#: Records that have pages of their own; `other_page` shows all others.
KNOWN: Final = ("results", *ABLATIONS, "refinement")

#: Title of a page of another record, and a sentence about it.
DESCRIBED: Final = {
    "benchmark": ("Benchmark", "What `petseg bench` measured."),
    "benchmark-gpu": ("Benchmark on a GPU", "Rows of `petseg bench`, measured on a GPU."),
    "matting": (
        "Soft edges",
        "The alpha matte of cut-outs, compared with the ramp of probabilities that it replaces: how much of the pet is "
        "see-through, how much background is left as haze, and the settings that were tried.",
    ),
    "minutes": (
        "Times of the notebooks",
        "From the start of a notebook's kernel to its end; `make notebooks` records it.",
    ),
    "duplicates": (
        "How far annotators agree",
        "Photos that Oxford-IIIT Pet holds twice under two names, each with its own mask: `agreement` compares the two "
        "masks, as value and ends of a 95 % interval.",
    ),
}


def results_page(results: Mapping[str, Any], references: Sequence[Mapping[str, Any]]) -> str:
    """The released models, split by split, with their confusion matrices; then what others report."""
    models = results["models"]
    parts = ["# Released models", f"Scored on: {results['data']}. One pass, float16 weights."]
    sizes = [[f"`{name}`", *(model[key] for key in _COSTS)] for name, model in models.items()]
    parts += [table(["model", *_COSTS.values()], sizes)]
    for split, heading in (("test", "The official test split"), ("val", "The validation split")):
        rows = [[f"`{name}`", model[split]["images"], *_scores(model[split])] for name, model in models.items()]
        parts += [f"## {heading}", table(["model", "images", *TITLES], rows)]
    parts += ["## Confusion matrices", "Each row is a true class: the fraction of its pixels that got each label."]
    for name, model in models.items():
        matrix = model["test"]["confusion"]
        rows = [[label, *(count / sum(row) for count in row)] for label, row in zip(CLASSES, matrix, strict=True)]
        parts += [f"### `{name}`, test split", table(["true class", *CLASSES], rows)]
    parts += [
        "## Beside results of others",
        "They are their authors' numbers, on other splits and at other sizes: compare with care.",
        results_table(results, references),
    ]
    notes = [f"- {entry['name']}: {' '.join(entry['note'].split())}." for entry in references]
    return "\n\n".join([*parts, "Notes:", "\n".join(notes)])


def ablation_page(name: str, record: Mapping[str, Any]) -> str:
    """What each change of a recipe does to the score, and what it costs; the record is one of `ABLATIONS`."""
    trainer, share = record["recipe"]["trainer"], record["recipe"]["data"]["train_fraction"]
    parts = [
        f"# {ABLATIONS[name]}",
        f"Scored on: {record['data']}. Each row changes one thing of a recipe that sees {share:.0%} of the training "
        f"images {trainer['max_epochs']} times. The base was trained with "
        f"{_seeds_of(record)}. A change is one run. Chance alone explains a difference up to the limit in its row, "
        "with 95 % confidence.",
        _ablation_scores(record["variants"]),
        _ablation_seeds(record["base"]),
        _ablation_costs([*record["base"][:1], *record["variants"]]),
    ]
    return "\n\n".join(parts)


def _seeds_of(record: Mapping[str, Any]) -> str:
    """How many seeds the base was trained with, and how far they lie apart where there are two or more."""
    seeds, noise = len(record["base"]), record["noise"]
    if noise is None:
        return f"{seeds} seed{'s' * (seeds != 1)}, too few to say how far they lie apart"
    return (
        f"{seeds} seeds: its mean is {noise['mean']:.4f}, and the standard deviation of its seeds is "
        f"{noise['seeds']:.2f} points of mean IoU (hundredths)"
    )


def _ablation_scores(runs: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for run in runs:
        points, limit = run.get("points"), run.get("limit")  # unknown while the base is being trained
        beyond = "" if points is None or limit is None else "yes" if abs(points) > limit else "no"
        scores = _scores(run["val"][run["weights"]])[1:]
        rows.append([run["change"], run["score"], points, limit, beyond, *scores])
    header = ["change", "mean IoU", "points", "limit", "beyond chance", *TITLES[1:]]
    return f"## Scores\n\n{table(header, rows)}"


def _ablation_seeds(runs: Sequence[Mapping[str, Any]]) -> str:
    rows = [[str(run["seed"]), weights, *_scores(found)] for run in runs for weights, found in run["val"].items()]
    return f"## The base, seed by seed\n\n{table(['seed', 'weights', *TITLES], rows)}"


def _ablation_costs(runs: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for run in runs:
        cost = [run["cost"].get(key) for key in ("parameters", "multiply_adds", "milliseconds")]
        kept = [run["epochs"], run["seconds"], str(run["seed"]), run["host"], run.get("weights", "")]
        rows.append([run["change"], *cost, *kept, _settings(run["settings"])])
    machines = sorted({run["cost"]["machine"] for run in runs if "machine" in run["cost"]})
    measured = f"Milliseconds per predicted image were measured on: {'; '.join(machines)}."
    return f"## Costs and settings\n\n{measured}\n\n{table(_RUN, rows)}"


def refinement_page(record: Mapping[str, Any]) -> str:
    """Masks at the photos' original sizes: each half of the photos, each scene, each way."""
    parts = [
        "# Photos at their original size",
        f"Class maps of `{record['model']}` at the photos' own sizes, by each way to get there. Boundary F is the "
        f"F-score of the contour with a tolerance of {record['tolerance']} pixels. The gain is in mean IoU over the "
        "first way, with its 95 % interval.",
    ]
    for half in ("reported", "chosen on"):
        parts.append(f"## {half.capitalize()}: {record[half]['photos']} photos")
        for scene, ways in record[half].items():
            if isinstance(ways, Mapping):
                header = [key for key in next(iter(ways.values())) if key != "gain"]
                rows = [[way, *(found[key] for key in header), _gain(found["gain"])] for way, found in ways.items()]
                parts += [f"### Photos {scene}", table(["way", *(title(key) for key in header), "gain"], rows)]
    return "\n\n".join(parts)


def other_page(name: str, record: Mapping[str, Any]) -> str:
    """A record without a page of its own: values, then tables of groups of values, then tables of each list."""
    heading, sentence = DESCRIBED.get(name, (name.capitalize(), ""))
    lists = {key: value for key, value in record.items() if isinstance(value, list) and _nested(value)}
    groups = {key: value for key, value in record.items() if isinstance(value, Mapping)}
    plain = [f"- {key}: {text(_listed(value))}" for key, value in record.items() if key not in lists | groups]
    parts = [f"# {heading}", f"{sentence} From `figures/{name}.json`.".strip(), "\n".join(plain)]
    parts += [_tables(_leaves(groups, ()))] if groups else []
    for key, entries in lists.items():
        parts += [f"## {key.capitalize()}", _tables(_leaves(entries, ()))]
    return "\n\n".join(filter(None, parts))


def _tables(leaves: Iterator[tuple[tuple[str, ...], dict[str, Any]]]) -> str:
    """A table for each kind of row, so that none has empty columns."""
    kinds: dict[tuple[str, ...], list[list[Any]]] = {}
    for path, values in leaves:
        kinds.setdefault(tuple(values), []).append([" / ".join(path), *values.values()])
    return "\n\n".join(table(["row", *map(title, keys)], rows) for keys, rows in kinds.items())


def _leaves(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Each mapping that holds plain values, or lists of them, with its path."""
    if isinstance(value, Mapping):
        plain = {key: entry for key, entry in value.items() if not _nested(entry)}
        if plain:
            yield path, {key: _listed(entry) for key, entry in plain.items()}
        for key, entry in value.items():
            if _nested(entry):
                yield from _leaves(entry, (*path, str(key)))
    else:
        for number, entry in enumerate(value, start=1):
            yield from _leaves(entry, (*path, str(number)))


def _nested(value: Any) -> bool:
    return isinstance(value, Mapping) or (
        isinstance(value, list) and any(isinstance(entry, Mapping) for entry in value)
    )


def _listed(value: Any) -> Any:
    return ", ".join(text(entry) for entry in value) if isinstance(value, list) else value


_COSTS: Final = {
    "parameters": "parameters",
    "multiply_adds": "multiply-adds per image",
    "size": "pixels per side",
    "encoder": "encoder",
}

_RUN: Final = (
    "change", "parameters", "multiply-adds", "ms per image", "epochs", "seconds of training", "seed", "trained on",
    "weights scored", "settings",
)  # fmt: skip


def _scores(found: Mapping[str, Any]) -> list[float]:
    return [found[key] for key in SCORES]


def _gain(gain: Sequence[float]) -> str:
    value, low, high = gain
    return f"{value:+.4f} ({low:+.4f} to {high:+.4f})".replace(" ", "\N{NO-BREAK SPACE}")


def _settings(settings: Mapping[str, Any]) -> str:
    return "; ".join(f"{part}.{key}={value}" for part, keys in settings.items() for key, value in _pairs(keys))


def _pairs(keys: Any) -> list[tuple[str, Any]]:
    return list(keys.items()) if isinstance(keys, Mapping) else [("", keys)]
