"""What the text of notebook 08 quotes from the project's records."""

from pathlib import Path

import nbformat

from petseg.course.record import ablation, published
from petseg.files import read_json

PATH = Path(__file__).resolve().parents[2] / "notebooks" / "08_train_fast.ipynb"
TEXT = "\n".join(cell.source for cell in nbformat.read(PATH, as_version=4).cells if cell.cell_type == "markdown")


def parts(name: str) -> dict[str, float]:
    """Milliseconds of each part of a step in a record."""
    return {part: value["median"] for part, value in read_json(published(name))["parts"]["values"].items()}


def test_the_step_of_an_h100_and_of_two_cores_and_its_averaging_are_those_of_the_records() -> None:
    gpu, cpu = parts("benchmark-gpu.json"), parts("benchmark.json")
    step = f"takes {sum(gpu.values()):.0f} ms instead of {sum(cpu.values()):.0f} on two CPU cores"
    averaging = f"{gpu['weight averaging']:.1f} and {cpu['weight averaging']:.1f} ms"
    assert step in TEXT
    assert averaging in TEXT


def test_the_run_at_full_size_is_that_of_the_study() -> None:
    run = next(variant for variant in ablation()["variants"] if variant["change"] == "128 pixels throughout")
    assert f"scored {run['points']:.1f} points of mean IoU above the base run" in TEXT
    assert f"chance alone explains {run['limit']:.1f}" in TEXT
    assert run["points"] < run["limit"]
