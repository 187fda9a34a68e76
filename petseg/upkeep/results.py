"""`make figures`: `figures/results.json` and README's table, from the released weights and their logs.

It scores no split: `petseg release --log` counted the pixels once, and `petseg test` counts them again.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import torch

from petseg.course.record import references
from petseg.errors import DataError, exit_with_sentence
from petseg.files import home_folder, read_json, write_json, write_text
from petseg.labels import BACKGROUND, CLASSES
from petseg.metrics.confusion import pooled_scores
from petseg.models import zoo
from petseg.models.inspection import trace

CHECKOUT: Final = home_folder()
FIGURES: Final = CHECKOUT / "figures"

#: README's lines before and after the table.
MARKS: Final = ("<!-- results: written by make figures -->", "<!-- end of results -->")

#: The columns of the table after the network's own, as keys of a score.
SHOWN: Final = ("iou_foreground", "mean_iou", *(f"iou_{name}" for name in CLASSES))


def model_results(name: str, runs: Path = FIGURES / "runs") -> dict[str, Any]:
    """A released model's size and costs, and the scores and confusion matrix of each split."""
    path = runs / name / "release.json"
    if not path.is_file():
        raise DataError(f"{path} is missing. Release the model with `petseg release CKPT --log {path.parent}`.")
    counts = read_json(path)["confusion"]
    segmenter, card = zoo.load(name)
    results: dict[str, Any] = {
        "parameters": card.parameters,
        "multiply_adds": sum(step.multiply_adds for step in trace(segmenter.network, (1, 3, *card.size))),
        "size": card.size[0],
        "encoder": "ImageNet" if card.settings.get("encoder") else "scratch",
    }
    for split in ("val", "test"):
        scores = pooled_scores(torch.tensor(counts[split]["pixels"])[None])
        if any(abs(scores[key] - card.scores[split][key]) > 1e-6 for key in scores):
            raise DataError(f"{path} describes other weights than those of {name}. Release the model again.")
        rounded = {key: round(value, 4) for key, value in scores.items()}
        results[split] = {"images": counts[split]["images"], **rounded, "confusion": counts[split]["pixels"]}
    return results


def results_table(results: Mapping[str, Any], references: Sequence[Mapping[str, Any]]) -> str:
    """A table in Markdown: the released models in bold, then what others report, highest mean IoU first.

    References without an IoU are left out; a dash stands for what the others do not state.
    """
    header = ["network", "pixels", "scored on", "pet and boundary", "mean IoU", *CLASSES, "parameters", "encoder"]
    rows = [header, ["---", "--:", "---", *["--:"] * len(SHOWN), "--:", "---"]]
    for name, model in results["models"].items():
        costs = [_million(model["parameters"]), f"{model['encoder']}, with teachers"]
        scores = model["test"] | {"iou_foreground": foreground_iou(model["test"]["confusion"])}
        rows.append([f"**`{name}`**", str(model["size"]), "test", *(f"{scores[key]:.4f}" for key in SHOWN), *costs])
    scored = [entry for entry in references if entry["mean_iou"] or entry["iou_foreground"]]
    for entry in sorted(scored, key=lambda entry: -(entry["mean_iou"] or 0)):
        name = f"[{entry['name']}]({entry['url']})" if entry["url"] else f"{entry['name']} (no public page found)"
        scores = ["-" if entry[key] is None else f"{entry[key]:g}" for key in SHOWN]
        costs = [_million(entry["parameters"]), entry["encoder"]]
        rows.append([name, str(entry["size"] or "-"), entry["split"], *scores, *costs])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


def foreground_iou(confusion: Sequence[Sequence[int]]) -> float:
    """IoU of pet and boundary together against background, from the confusion matrix (3, 3) of a split."""
    pixels = torch.tensor(confusion)
    background = pixels[BACKGROUND, BACKGROUND]
    union = pixels.sum() - background
    wrong = pixels[BACKGROUND].sum() + pixels[:, BACKGROUND].sum() - 2 * background
    return (union - wrong).item() / union.item()


def _million(parameters: int | None) -> str:
    return f"{parameters / 1e6:.1f} M" if parameters else "-"


def with_table(readme: str, table: str) -> str:
    """README's text with a table between its marks, each of which it must hold once."""
    start, end = MARKS
    if readme.count(start) != 1 or readme.count(end) != 1:
        raise DataError(f"README.md: must hold '{start}' and '{end}' once each; put them where the table belongs.")
    head, rest = readme.split(start)
    return f"{head}{start}\n\n{table}\n\n{end}{rest.split(end)[1]}"


@exit_with_sentence()
def main() -> int:
    """Writes the results and README's table."""
    models = {name: model_results(name) for name in zoo.available()}
    results = {"data": "Oxford-IIIT Pet at 128x128, official splits, pooled over all pixels", "models": models}
    chosen = [entry for entry in references() if entry["readme"]]
    readme = with_table((CHECKOUT / "README.md").read_text(encoding="utf-8"), results_table(results, chosen))
    write_json(FIGURES / "results.json", results)
    write_text(CHECKOUT / "README.md", readme)
    print(json.dumps({name: model["test"]["mean_iou"] for name, model in models.items()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
