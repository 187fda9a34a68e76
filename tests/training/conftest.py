"""Runs and caches of tests go to folders of the tests."""

import pytest


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, tmp_path_factory, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PETSEG_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "cache"))
