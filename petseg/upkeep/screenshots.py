"""A picture of the notebook's panel, taken with Chelsea in JupyterLab by `make figures`."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from PIL import Image

from petseg.errors import MissingError
from petseg.files import atomic_write, write_json
from petseg.upkeep.server import Server, free_port, serving

BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

#: In a container, as root, Chromium cannot build its sandbox; the pages are this project's own.
CHROMIUM: Final = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync")

NOTEBOOK: Final = "panel.ipynb"
CODE: Final = "from petseg.apps.panel import segment_panel\n\nsegment_panel()"
SECONDS: Final = 1000  # Playwright counts milliseconds


def take(folder: Path) -> list[Path]:
    """Writes `panel.jpg`.

    Raises:
        MissingError: there is no browser, or Playwright or JupyterLab is not installed.
    """
    with chromium() as browser, tempfile.TemporaryDirectory() as work:
        write_notebook(Path(work, NOTEBOOK))
        with jupyterlab(Path(work)) as server:
            page = browser.new_page(viewport={"width": 1280, "height": 1200})
            if not run_all_until_panel(page, server.address):
                raise MissingError("no picture of the panel: JupyterLab did not show it within a minute.")
            picture = _shoot(page)
    with Image.open(BytesIO(picture)) as image, atomic_write(folder / "panel.jpg") as draft:
        image.convert("RGB").save(draft, "JPEG", quality=85, optimize=True)
    return [folder / "panel.jpg"]


def _shoot(page: Any) -> bytes:
    page.get_by_role("button", name="Chelsea the cat").click()
    page.locator(".petseg-after img[alt^='The pet']").wait_for(timeout=120 * SECONDS)
    page.wait_for_timeout(1.5 * SECONDS)  # the last picture is drawn, and nothing moves any more
    picture: bytes = page.locator(".petseg-panel").first.screenshot()
    return picture


@contextmanager
def chromium() -> Iterator[Any]:
    """A Chromium of this machine, driven by Playwright.

    Raises:
        MissingError: Playwright is not installed, or the PATH has none of `BROWSERS`.
    """
    path = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if path is None:
        raise MissingError(f"no browser: none of {', '.join(BROWSERS)} is on the PATH.")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise MissingError('Playwright is not installed. Install it with: pip install "petseg[dev]"') from error
    with sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=path, args=list(CHROMIUM))
        yield browser
        browser.close()


@contextmanager
def jupyterlab(folder: Path) -> Iterator[Server]:
    """JupyterLab that shows a folder, for this machine alone, without a token and without the user's own settings."""
    port = free_port()
    arguments: Sequence[str] = [f"--port={port}", "--no-browser", "--allow-root", f"--notebook-dir={folder}"]
    settings: Sequence[str] = [
        "--IdentityProvider.token=",
        "--LabApp.news_url=None",
        f"--LabApp.user_settings_dir={folder}/.lab",
    ]
    with serving(["-m", "jupyterlab", *arguments, *settings], port, folder) as server:
        yield server


def run_all_until_panel(page: Any, address: str, seconds: int = 60) -> bool:
    """Opens the notebook that `write_notebook` wrote and runs it; says whether the panel came into sight.

    On a busy machine JupyterLab may miss a click while it starts: then it is worth a second call.
    """
    page.goto(f"{address}/lab/tree/{NOTEBOOK}?reset", timeout=120 * SECONDS)
    page.locator(".jp-NotebookPanel .jp-Cell").first.wait_for(timeout=120 * SECONDS)
    idle = page.locator(".jp-Notebook-ExecutionIndicator[data-status='idle']").first
    idle.wait_for(state="attached", timeout=120 * SECONDS)
    page.get_by_role("menuitem", name="Kernel", exact=True).click()
    page.get_by_text("Restart Kernel and Run All Cells").click()
    page.locator(".jp-Dialog .jp-mod-accept").click()
    for _ in range(2 * seconds):
        if page.locator(".petseg-zone").count():
            return True
        page.wait_for_timeout(SECONDS / 2)
    return False


def write_notebook(path: Path) -> None:
    """Writes a notebook whose one cell shows the panel."""
    cell: dict[str, Any] = {"cell_type": "code", "id": "panel", "metadata": {}, "execution_count": None, "outputs": []}
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    write_json(
        path,
        {
            "cells": [cell | {"source": CODE}],
            "metadata": {"kernelspec": kernel},
            "nbformat": 4,
            "nbformat_minor": 5,
        },
    )
