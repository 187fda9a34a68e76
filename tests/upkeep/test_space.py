"""`petseg.upkeep.space`: the folder runs as it is, from any place, with no more than its requirements."""

import ast
import os
import re
import sys
import urllib.request
from importlib.metadata import PackageNotFoundError, packages_distributions
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import yaml
from packaging.requirements import Requirement
from PIL import Image
from servers import free_port, serving
from skimage.data import cat

from petseg.inference.predictor import Predictor
from petseg.upkeep import space

pytestmark = pytest.mark.slow

#: What the package depends on and the Space does not install.
LEFT_OUT = {"lightning", "torchmetrics", "torchinfo", "ipywidgets", "anywidget", "jsonargparse", "yarl"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("gradio", reason='Gradio is not installed; pip install -e ".[web]" brings it')
    return space.assemble(tmp_path_factory.mktemp("build") / "space")


def test_the_folder_holds_what_a_space_asks_the_weights_and_no_traces_of_the_making(folder: Path) -> None:
    import gradio

    _, front, text = (folder / "README.md").read_text().split("---\n", 2)
    card = yaml.safe_load(front)
    assert (card["sdk"], card["sdk_version"], card["license"]) == ("gradio", gradio.__version__, "mit")
    assert card["python_version"] == f"{sys.version_info.major}.{sys.version_info.minor}"
    assert (folder / card["app_file"]).is_file()
    assert len(card["short_description"]) <= 60
    assert text.strip().startswith("# ")
    assert (folder / "petseg" / "models" / "weights" / "unet.safetensors").stat().st_size > 1_000_000
    assert not list(folder.rglob("__pycache__"))
    assert [path.name for path in folder.parent.iterdir()] == ["space"]


def test_requirements_are_those_of_the_package_for_what_the_app_imports(folder: Path) -> None:
    index, *lines = (folder / "requirements.txt").read_text().splitlines()
    assert index == "--extra-index-url https://download.pytorch.org/whl/cpu"
    assert {Requirement(line).name for line in lines} == {*space.NEEDED, *space.ENCODERS}
    assert all(Requirement(line).specifier for line in lines)


def test_a_folder_that_exists_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    assert space.main([str(tmp_path)]) == 1
    assert "exists. Name another folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_help_makes_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        space.main(["--help"])
    assert (end.value.code, list(tmp_path.iterdir())) == (0, [])


def test_without_gradio_the_command_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(space.metadata, "version", Mock(side_effect=PackageNotFoundError))
    assert space.main([str(tmp_path / "space")]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert 'pip install "gradio>=6.31"' in error
    assert not list(tmp_path.iterdir())


def test_the_space_runs_from_its_own_folder_with_the_libraries_that_it_requires_and_cuts_out_right(
    folder: Path, tmp_path: Path
) -> None:
    from gradio_client import Client, handle_file

    photo, port = tmp_path / "chelsea.jpg", free_port()
    Image.fromarray(cat()).save(photo)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}  # no checkout
    environment |= {"TMPDIR": str(tmp_path), "GRADIO_SERVER_NAME": "127.0.0.1", "GRADIO_SERVER_PORT": str(port)}
    with serving(["-B", "-v", str(folder / "app.py")], port, tmp_path, environment) as running:
        assert b'content="Cut your pet out of its photo"' in urllib.request.urlopen(running.address).read()
        client = Client(running.address, verbose=False, download_files=str(tmp_path))
        file, fractions = client.predict(handle_file(photo), "cutout", "unet", api_name="/segment")
    result = Predictor("unet")(photo)
    difference = np.asarray(Image.open(file), dtype=int) - np.asarray(result.cutout(), dtype=int)
    assert np.abs(difference).mean() < 0.05
    assert fractions == pytest.approx(result.fractions, abs=1e-3)

    # Python's list of what it imports is in the log
    imported = running.log.read_text(errors="replace")
    places = set(re.findall(r"# code object from '?([^'\n]*/petseg/[\w/]+\.py)", imported))
    assert any(place.endswith("/petseg/apps/webapp/server.py") for place in places)
    assert all(Path(place).is_relative_to(folder) for place in places)
    assert not LEFT_OUT & set(re.findall(r"^import '([a-z]+)'", imported, flags=re.MULTILINE))
    trees = [ast.parse(Path(place).read_text(encoding="utf-8")) for place in places]
    imports = [node for tree in trees for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {node.module or "" if isinstance(node, ast.ImportFrom) else node.names[0].name for node in imports}
    libraries = {name.split(".")[0] for name in names} - sys.stdlib_module_names - {"petseg"}
    libraries -= {"gradio", "starlette", "fastapi", "uvicorn"}  # the Space has Gradio, which requires the other three
    distributions = packages_distributions()
    assert {distributions[library][0].lower() for library in libraries} <= {*space.NEEDED, *space.ENCODERS}
