"""The apps start fast and deploy light: they load nothing of training and of the data set."""

import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

pytestmark = pytest.mark.slow

HEAVY = ("lightning", "torchvision", "torchmetrics", "jsonargparse", "pandas", "petseg.training", "petseg.evaluation")


@pytest.mark.parametrize("app", ["petseg.apps.panel.panel", "petseg.apps.webapp.application"])
def test_an_app_with_its_samples_loads_no_training_and_no_data_but_cartoons(app):
    if "webapp" in app:
        pytest.importorskip("gradio", reason='Gradio is not installed; pip install -e ".[web]" brings it')
    code = (
        f"import sys, {app}; from petseg.apps.display import sample_photos; "
        "[load() for load in sample_photos().values()]; print(*sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules = run.stdout.split()
    # Gradio itself may load pandas
    heavy = [name for name in HEAVY if not (name == "pandas" and "gradio" in modules)]
    assert not [name for name in modules if name.startswith(tuple(heavy))]
    assert {name for name in modules if name.startswith("petseg.data.")} == {
        name for name in modules if name.startswith("petseg.data.cartoon")
    }


def test_notebook_05_which_trains_nothing_does_not_wait_for_the_libraries_of_training():
    folder = Path(__file__).parents[2] / "notebooks"
    cells = nbformat.read(folder / "05_segment_your_pet.ipynb", as_version=4).cells
    imports = next(cell.source for cell in cells if "course.start(" in cell.source)
    code = f"{imports}\nimport sys\nprint(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True)
    assert not {"lightning", "torchvision", "torchmetrics"} & set(run.stdout.splitlines()[-1].split())
