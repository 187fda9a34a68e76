"""What is published as wheel and sdist: built offline from the files in git, they hold what an installation needs."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist and the wheel; the wheel is built from what the sdist holds."""
    folder = tmp_path_factory.mktemp("distribution")
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        found = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"needs a git checkout: {error}")
    for name in filter(None, found.split("\0")):
        if (ROOT / name).is_file() and not name.startswith(("tests/", "notebooks/")):
            (folder / "checkout" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / "checkout" / name)
    build(folder / "checkout", "build_sdist", folder)
    with tarfile.open(next(folder.glob("*.tar.gz"))) as archive:
        archive.extractall(folder / "unpacked", filter="data")
    build(next((folder / "unpacked").iterdir()), "build_wheel", folder)
    return folder


def build(source: Path, what: str, folder: Path) -> None:
    """Builds with the setuptools that is installed: no network, and no environment of its own."""
    code = f"from setuptools import build_meta; build_meta.{what}({str(folder)!r})"
    done = subprocess.run([sys.executable, "-c", code], cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.fixture(scope="module")
def wheel(built: Path) -> zipfile.ZipFile:
    return zipfile.ZipFile(next(built.glob("*.whl")))


def test_the_wheel_holds_the_package_its_licence_and_the_records_that_notebooks_show_and_nothing_else(
    wheel: zipfile.ZipFile,
) -> None:
    names = set(wheel.namelist())
    files = [path.relative_to(ROOT).as_posix() for path in (ROOT / "petseg").rglob("[!.]*") if path.is_file()]
    records = [path.relative_to(ROOT / "figures").as_posix() for path in (ROOT / "figures").rglob("*")]
    shown = {f"petseg/course/records/{name}" for name in records if name.endswith((".json", ".yaml", ".csv"))}
    assert {name for name in files if "__pycache__" not in name} | shown <= names
    assert [name for name in names if not re.match(r"petseg/(?!.*__pycache__)|petseg-[^/]+\.dist-info/", name)] == []
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_sdist_holds_what_the_wheel_is_built_from(built: Path) -> None:
    (unpacked,) = (built / "unpacked").iterdir()
    names = {path.relative_to(unpacked).as_posix() for path in unpacked.rglob("*") if path.is_file()}
    assert {"pyproject.toml", "setup.py", "README.md", "LICENSE", "figures/results.json"} <= names


#: What notebook 05 begins with, and what it and others take from the package's files.
NOTEBOOK = """
import petseg
from petseg import Predictor, course
from petseg.apps.panel import segment_panel
from petseg.data.cartoons import sample
from petseg.training.recipes import read_recipe
course.start(seed=5)
assert "unet" in course.results()["models"] and course.published("ablation.json").is_file()
assert read_recipe()["trainer"] and segment_panel()
assert Predictor("unet")(sample("cat")).found
print(petseg.__file__)
"""


def test_what_notebooks_need_runs_from_the_wheel_without_a_checkout(built: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(next(built.glob("*.whl"))) as archive:
        archive.extractall(tmp_path / "installed")
    variables = os.environ | {"PYTHONPATH": str(tmp_path / "installed"), "PETSEG_PROFILE": "quick"}
    command = [sys.executable, "-c", NOTEBOOK]
    done = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.splitlines()[-1].startswith(str(tmp_path / "installed"))
