"""Right answers to the exercises pass, and usual mistakes get the hint that names them."""

from typing import Any

import answers_01
import answers_02
import answers_03
import answers_04
import answers_05
import answers_06
import pytest
import torch

from petseg.course import exercises_01
from petseg.course.checks import check
from petseg.course.exercises_04 import CHANGES

CASES = [
    case for each in (answers_01, answers_02, answers_03, answers_04, answers_05, answers_06) for case in each.CASES
]


@pytest.mark.parametrize(("number", "answer", "words"), CASES, ids=lambda value: value if type(value) is str else "")
def test_a_right_answer_passes_and_a_usual_mistake_gets_its_hint(
    number: str, answer: Any, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    monkeypatch.setattr(exercises_01, "_species_scores", lambda: ({"cat": 0.4, "dog": 0.35}, [0.45, 0.5]))
    check(number, *(answer if isinstance(answer, tuple) else (answer,)))
    said = capsys.readouterr().out
    assert words in said
    assert said.startswith(f"Exercise {number}, right.") == words.startswith("right.")


def test_a_half_hidden_image_keeps_its_mask_and_one_upside_down_turns_it() -> None:
    image, mask = torch.arange(24).view(1, 3, 2, 4).to(torch.uint8), torch.tensor([[[0, 0, 0, 0], [1, 1, 1, 1]]])
    hidden, same = CHANGES["left half black"](image, mask)
    assert not hidden[..., :2].any()
    assert torch.equal(hidden[..., 2:], image[..., 2:])
    assert torch.equal(same, mask)
    turned, flipped = CHANGES["upside down"](image, mask)
    assert torch.equal(turned[:, :, 0], image[:, :, 1])
    assert flipped[0].tolist() == [[1, 1, 1, 1], [0, 0, 0, 0]]
