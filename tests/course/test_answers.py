"""Right answers to the gaps and exercises pass, and usual mistakes get the hint that names them."""

import functools
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch

from petseg.course import lesson_01
from petseg.course.checks import EXERCISES, check, progress
from petseg.course.lesson_04 import CHANGES

LESSONS = sorted(path.stem for path in Path(__file__).parent.glob("answers_*.py"))
CASES = [case for lesson in LESSONS for case in import_module(lesson).CASES]


@pytest.fixture(autouse=True)
def _progress_elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PETSEG_RUNS_DIR", str(tmp_path))


@pytest.mark.parametrize(("number", "answer", "words"), CASES, ids=lambda value: value if type(value) is str else "")
def test_a_right_answer_passes_and_a_usual_mistake_gets_its_hint(
    number: str, answer: Any, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    monkeypatch.setattr(lesson_01, "_species_scores", lambda: ({"cat": 0.4, "dog": 0.35}, [0.45, 0.5]))
    check(number, *(answer if isinstance(answer, tuple) else (answer,)))
    said = capsys.readouterr().out
    assert words in said
    kind = "Exercise" if number[-1].isdigit() else "Gap"
    assert said.startswith(f"{kind} {number}, right.") == words.startswith("right.")


REFERENCES = [n for lesson in LESSONS for n in progress(lesson[-2:]).index if EXERCISES[n].reference]


@pytest.mark.parametrize("number", REFERENCES)
def test_a_copy_of_petsegs_version_passes_itself_it_is_still_to_do_and_each_mistake_earns_its_hint(
    number: str, capsys: Any
) -> None:
    exercise = EXERCISES[number]
    version = exercise.reference
    check(number, type("Copy", (version,), {}) if isinstance(version, type) else functools.partial(version))
    assert f" {number}, right." in capsys.readouterr().out
    assert check(number, version) is (None if number[-1].isdigit() else version)  # the cell of the check, run again
    assert f" {number}, still to do: this is petseg's version. First run the cell above" in capsys.readouterr().out
    for hint, answer in exercise.wrong().items():
        assert check(number, answer) is (None if number[-1].isdigit() else exercise.reference)
        assert f"not yet: {hint}" in capsys.readouterr().out


def test_a_half_hidden_image_keeps_its_mask_and_one_upside_down_turns_it() -> None:
    image, mask = torch.arange(24).view(1, 3, 2, 4).to(torch.uint8), torch.tensor([[[0, 0, 0, 0], [1, 1, 1, 1]]])
    hidden, same = CHANGES["left half black"](image, mask)
    assert not hidden[..., :2].any()
    assert torch.equal(hidden[..., 2:], image[..., 2:])
    assert torch.equal(same, mask)
    turned, flipped = CHANGES["upside down"](image, mask)
    assert torch.equal(turned[:, :, 0], image[:, :, 1])
    assert flipped[0].tolist() == [[1, 1, 1, 1], [0, 0, 0, 0]]
