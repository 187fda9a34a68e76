"""A real browser for the tests in this folder; they are skipped, with the reason, where there is none."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from petseg.upkeep.screenshots import BROWSERS, browser_path

QUIET = ("--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """Chromium, driven by Playwright."""
    reason = "Playwright is not installed; pip install playwright brings it"
    playwright = pytest.importorskip("playwright.sync_api", reason=reason)
    path = browser_path()
    if path is None:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is on the PATH")
    with playwright.sync_playwright() as engine:
        # in a container, as root, Chromium cannot build its sandbox; the pages are this project's own
        browser = engine.chromium.launch(executable_path=path, args=["--no-sandbox", *QUIET])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def app_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of `petseg app`, running."""
    pytest.importorskip("gradio", reason='Gradio is not installed; pip install -e ".[web]" brings it')
    folder: Path = tmp_path_factory.mktemp("app")
    log = folder / "stderr.txt"
    command = [sys.executable, "-m", "petseg.cli", "app", "--port", "0"]
    environment = os.environ | {"TMPDIR": str(folder)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log.open("w"), text=True, env=environment)
    assert process.stdout
    found = re.search(r"http://\S+", process.stdout.readline())
    assert found, log.read_text()
    yield found[0]
    process.terminate()
    process.wait(20)
    assert "Traceback" not in log.read_text()
