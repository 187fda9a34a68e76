"""Runs of tests go to folders of the tests; one training serves all tests that only look at a whole run."""

import shutil
from pathlib import Path

import pytest
from tiny import flags, version

from petseg.training import fit


@pytest.fixture(scope="session")
def once(cartoons, tmp_path_factory) -> Path:
    """The folder of a run of four epochs with `flags`."""
    folder = tmp_path_factory.mktemp("once")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("PL_GLOBAL_SEED", raising=False)
        fit.run(["fit", *flags(cartoons)])
    return folder / version()


@pytest.fixture
def fitted(once, _elsewhere) -> Path:
    """A copy of that run in the current folder, which a test may change and resume: its checkpoints are named by it."""
    return shutil.copytree(once, version())


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
