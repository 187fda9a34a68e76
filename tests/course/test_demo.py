"""The app in twenty lines of notebook 05 takes a file from ipywidgets 7, as on Colab, and from 8."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ipywidgets
import nbformat
import pytest

from petseg.errors import PhotoError

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "05_segment_your_pet.ipynb"
(DEMO,) = [c.source for c in nbformat.read(NOTEBOOK, as_version=4).cells if c.source.startswith("upload = ipywidgets.")]


@pytest.mark.parametrize(
    "files",
    [{"cat.png": {"content": b"pixels", "metadata": {}}}, ({"name": "cat.png", "content": memoryview(b"pixels")},)],
    ids=["ipywidgets 7", "ipywidgets 8"],
)
@pytest.mark.parametrize("readable", [True, False])
def test_the_chosen_photo_is_segmented_or_a_sentence_says_why_not(files: Any, readable: bool, capsys: Any) -> None:
    displayed: list[Any] = []
    result = SimpleNamespace(overlay=lambda opacity: "overlay", cutout=lambda: "cut-out")

    def predictor(photo: bytes, name: str) -> Any:
        assert photo == b"pixels"
        if not readable:
            raise PhotoError("your photo: not an image")
        return result

    cell = {
        "ipywidgets": ipywidgets,
        "Predictor": lambda weights: predictor,
        "PhotoError": PhotoError,
        "display": lambda *shown: displayed.extend(shown),
    }
    exec(DEMO, cell)
    assert [type(widget).__name__ for widget in displayed] == ["FileUpload", "Output"]
    cell["cut_out"]({"new": files})
    assert displayed[2:] == (["overlay", "cut-out"] if readable else [])
    assert ("not an image" in capsys.readouterr().out) is not readable
    assert len(DEMO.splitlines()) <= 20
