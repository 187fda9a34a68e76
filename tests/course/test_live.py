"""Sliders of a notebook: the figure stays without a kernel, and moving a slider replaces it."""

from typing import Any

import nbformat
import pytest
from IPython.core.displaypub import CapturingDisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from nbclient import NotebookClient

from petseg import course, plots
from petseg.course import live

VIEW = "application/vnd.jupyter.widget-view+json"


@pytest.fixture
def published(monkeypatch):
    """What a notebook's front end would get, in order."""
    shell = InteractiveShell.instance()
    publisher = CapturingDisplayPublisher()
    monkeypatch.setattr(shell, "display_pub", publisher)
    yield publisher.outputs
    InteractiveShell.clear_instance()


@pytest.fixture
def sliders(monkeypatch):
    """The sliders that `explore` makes, by name."""
    made = {}
    slider = live._slider
    monkeypatch.setattr(live, "_slider", lambda name, values: made.setdefault(name, slider(name, values)))
    return made


def drawing(calls):
    def draw(**chosen):
        calls.append(chosen)
        with plots.figure(1, 1, alt=f"Drawn for {chosen}.") as (figure, ax):
            ax.plot([0, len(calls)])
        return figure

    return draw


def test_the_first_choices_are_drawn_as_an_ordinary_picture_with_its_words(published):
    calls: list[Any] = []
    course.explore(drawing(calls), stage=["top", "bottom"], channel=range(3))
    assert calls == [{"stage": "top", "channel": 0}]
    sliders, picture = published
    assert "image/png" in picture["data"]
    assert picture["metadata"]["image/png"]["alt"] == "Drawn for {'stage': 'top', 'channel': 0}."
    assert sliders["data"]["text/plain"] == "Sliders, in a running notebook: stage, top to bottom; channel, 0 to 2."
    assert sliders["data"][VIEW]["model_id"]


def test_moving_a_slider_draws_again_and_replaces_the_picture(published, sliders):
    calls: list[Any] = []
    course.explore(drawing(calls), stage=["top", "bottom"], channel=range(3))
    first = published[-1]
    sliders["channel"].value = 2
    assert calls[-1] == {"stage": "top", "channel": 2}
    replaced = published[-1]
    assert replaced["update"]
    assert replaced["transient"]["display_id"] == first["transient"]["display_id"]
    assert replaced["data"]["image/png"] != first["data"]["image/png"]
    assert replaced["metadata"]["image/png"]["alt"] == "Drawn for {'stage': 'top', 'channel': 2}."


def test_a_drawing_that_fails_leaves_no_sliders_behind(published):
    def draw(stage):
        raise RuntimeError("no such stage")

    with pytest.raises(RuntimeError, match="no such stage"):
        course.explore(draw, stage=[1])
    assert published == []


@pytest.mark.parametrize("choices", [{}, {"stage": []}])
def test_sliders_without_a_choice_are_refused(choices):
    with pytest.raises(ValueError, match="nothing to choose from"):
        course.explore(drawing([]), **choices)


@pytest.mark.notebooks
def test_a_notebook_keeps_the_picture_that_the_sliders_show_last(tmp_path):
    code = """
from petseg import course, plots
from ipywidgets import SelectionSlider, Widget

def draw(level):
    with plots.figure(1, 1, alt=f"Level {level}.") as (figure, ax):
        ax.plot([0, level])
    return figure

course.explore(draw, level=[1, 2])
"""
    move = """
from gc import get_objects
slider, = (found for found in get_objects() if isinstance(found, SelectionSlider))
slider.value = 2
"""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in (code, move)])
    NotebookClient(notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": tmp_path}}).execute()
    kinds = [set(output.data) for output in notebook.cells[0].outputs]
    assert kinds == [{VIEW, "text/plain"}, {"image/png", "text/plain"}]
    assert notebook.cells[0].outputs[1].data["text/plain"] == "Level 2."
