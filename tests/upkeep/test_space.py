"""`petseg.upkeep.space`: the folder runs as it is, from any place, with no more than its requirements."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from packaging.requirements import Requirement
from PIL import Image
from skimage.data import cat

from petseg.inference.predictor import Predictor
from petseg.upkeep import space

#: What the package depends on and the Space does not install.
LEFT_OUT = {
    "lightning",
    "torchmetrics",
    "torchinfo",
    "matplotlib",
    "ipywidgets",
    "anywidget",
    "jsonargparse",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("gradio", reason='Gradio is not installed; pip install -e ".[web]" brings it')
    return space.assemble(tmp_path_factory.mktemp("build") / "space")


def alone(folder: Path) -> dict[str, str]:
    """The environment without anything that leads Python to the checkout."""
    return {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")} | {"TMPDIR": str(folder)}


def test_the_front_matter_says_what_a_space_asks(folder: Path) -> None:
    import gradio

    _, front, text = (folder / "README.md").read_text().split("---\n", 2)
    card = yaml.safe_load(front)
    assert card["sdk"] == "gradio"
    assert card["sdk_version"] == gradio.__version__
    assert card["python_version"] == f"{sys.version_info.major}.{sys.version_info.minor}"
    assert (folder / card["app_file"]).is_file()
    assert card["license"] == "mit"
    assert len(card["short_description"]) <= 60
    assert text.strip().startswith("# ")


def test_requirements_are_those_of_the_package_for_what_the_app_imports(folder: Path) -> None:
    index, *lines = (folder / "requirements.txt").read_text().splitlines()
    assert index == "--extra-index-url https://download.pytorch.org/whl/cpu"
    assert {Requirement(line).name for line in lines} == {*space.NEEDED, *space.ENCODERS}
    assert all(Requirement(line).specifier for line in lines)


def test_weights_are_there_and_no_traces_of_the_making(folder: Path) -> None:
    assert (folder / "petseg" / "weights" / "unet.safetensors").stat().st_size > 1_000_000
    assert not list(folder.rglob("__pycache__"))
    assert [path.name for path in folder.parent.iterdir()] == ["space"]


def test_a_folder_that_is_there_is_replaced_but_nothing_that_is_no_space(folder: Path, tmp_path: Path) -> None:
    old = tmp_path / "space"
    space.assemble(old)
    (old / "old.txt").write_text("old")
    space.assemble(old)
    assert not (old / "old.txt").exists()
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "to.txt").write_text("dear")
    with pytest.raises(space.MissingError, match="holds something that is no Space"):
        space.assemble(tmp_path / "letters")
    assert (tmp_path / "letters" / "to.txt").exists()


def test_without_gradio_the_command_says_what_to_install(tmp_path: Path, monkeypatch, capsys) -> None:
    def none(name: str) -> str:
        raise space.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(space.metadata, "version", none)
    assert space.main([str(tmp_path / "space")]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert 'pip install "petseg[web]"' in error
    assert not list(tmp_path.iterdir())


def test_samples_need_no_more_than_the_requirements(folder: Path, tmp_path: Path) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(folder)!r}); from petseg import presentation; "
        "[draw() for draw in presentation.samples().values()]; "
        "print(presentation.__file__, *{name.split('.')[0] for name in sys.modules})"
    )
    command = [sys.executable, "-B", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, env=alone(tmp_path), cwd=tmp_path, check=True)
    place, *modules = done.stdout.split()
    assert Path(place).is_relative_to(folder)
    assert not LEFT_OUT & set(modules)


@pytest.fixture(scope="module")
def running(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The address of the Space's app, and Python's log of what it imports."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    log = elsewhere / "stderr.txt"
    with Path(log).open("w") as stderr:
        # as the Space does, but where tests may: at a port that is free, for this machine alone
        environment = alone(elsewhere) | {"GRADIO_SERVER_NAME": "127.0.0.1", "GRADIO_SERVER_PORT": "0"}
        process = subprocess.Popen(
            [sys.executable, "-B", "-v", str(folder / "app.py")],
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=environment,
            cwd=elsewhere,
            text=True,
        )
        assert process.stdout
        found = re.search(r"http://\S+:\d+", process.stdout.readline())
        assert found, log.read_text()[-2000:]
        yield found[0], log
        process.terminate()
        process.wait(20)


def test_the_space_runs_from_its_own_folder_and_cuts_out_right(
    running: tuple[str, Path], folder: Path, tmp_path: Path
) -> None:
    from gradio_client import Client, handle_file

    url, log = running
    photo = tmp_path / "chelsea.jpg"
    Image.fromarray(cat()).save(photo)
    start = time.perf_counter()
    client = Client(url, verbose=False, download_files=str(tmp_path))
    file, shares = client.predict(handle_file(photo), "cutout", "unet", api_name="/segment")
    print(f"first photo after {time.perf_counter() - start:.1f} s")
    result = Predictor("unet")(photo)
    difference = np.asarray(Image.open(file), dtype=int) - np.asarray(result.cutout(), dtype=int)
    assert np.abs(difference).mean() < 0.05
    assert shares == pytest.approx(result.fractions, abs=1e-3)

    imported = log.read_text(errors="replace")
    places = set(re.findall(r"# code object from '?([^'\n]*/petseg/[\w/]+\.py)", imported))
    assert any(place.endswith("/petseg/webapp/server.py") for place in places)
    assert all(Path(place).is_relative_to(folder) for place in places)
    # Gradio closes Matplotlib's figures where that happens to be installed
    assert not (LEFT_OUT - {"matplotlib"}) & set(re.findall(r"^import '([a-z]+)'", imported, flags=re.MULTILINE))


def test_the_page_is_there(running: tuple[str, Path]) -> None:
    assert b'content="petseg"' in urllib.request.urlopen(running[0]).read()
