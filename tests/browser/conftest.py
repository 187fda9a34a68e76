"""A real browser for the tests in this folder; they are skipped, with the reason, where there is none."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from petseg.errors import MissingError
from petseg.upkeep import screenshots
from petseg.upkeep.server import free_port, serving


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """Chromium, driven by Playwright."""
    try:
        with screenshots.chromium() as browser:
            yield browser
    except MissingError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def app_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of `petseg app`, running."""
    pytest.importorskip("gradio", reason='Gradio is not installed; pip install -e ".[web]" brings it')
    folder, port = tmp_path_factory.mktemp("app"), free_port()
    command, environment = ["-m", "petseg.cli", "app", "--port", str(port)], os.environ | {"TMPDIR": str(folder)}
    with serving(command, port, folder, environment) as server:
        yield server.address
    assert "Traceback" not in server.log.read_text(), server.log.read_text()
