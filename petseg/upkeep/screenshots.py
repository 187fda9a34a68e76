"""Pictures of the panel and of the web app for README, taken with Chelsea in a real browser by `make figures`."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from petseg.apps.panel.__main__ import write_page
from petseg.errors import MissingError
from petseg.files import atomic_write

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SAMPLE = "Chelsea the cat"


def take(folder: Path) -> list[Path]:
    """Writes `panel.png` and `app.png`.

    Raises:
        MissingError: there is no browser, or Playwright, Voila or Gradio is not installed.
    """
    with _browser() as browser, tempfile.TemporaryDirectory() as work:
        write_page(Path(work, "panel.ipynb"))
        port = free_port()
        with served(["-m", "voila", "panel.ipynb", "--no-browser", f"--port={port}"], port, Path(work)) as address:
            panel = _shot(browser, address, _panel)
        port = free_port()
        with served(["-m", "petseg.cli", "app", "--port", str(port)], port, Path(work)) as address:
            app = _shot(browser, address, _app)
    return [_written(folder / "panel.png", panel), _written(folder / "app.png", app)]


def _panel(page: Any) -> None:
    page.locator(".petseg-dropzone").wait_for(timeout=90_000)
    page.get_by_label("or try").select_option(SAMPLE)
    page.locator("img[data-key='confidence']").wait_for(timeout=60_000)


def _app(page: Any) -> None:
    page.get_by_role("button", name=SAMPLE).click(timeout=60_000)
    page.locator("#pictures img").nth(4).wait_for(timeout=60_000)


def _shot(browser: Any, address: str, prepare: Callable[[Any], None]) -> bytes:
    page = browser.new_page(viewport={"width": 1100, "height": 580})
    page.goto(address)
    prepare(page)
    page.wait_for_timeout(1500)  # the last picture is drawn, and nothing moves any more
    picture: bytes = page.screenshot(full_page=True)
    page.close()
    return picture


def _written(path: Path, picture: bytes, max_bytes: int = 120_000) -> Path:
    """Writes a PNG of 128 colours, smaller than the screen was where it would have more bytes than that."""
    with Image.open(BytesIO(picture)) as image:
        shown = image.convert("RGB")
    with atomic_write(path) as draft:
        shown.quantize(128).save(draft, "PNG", optimize=True)
        while draft.stat().st_size > max_bytes:
            shown = shown.resize((int(0.9 * shown.width), int(0.9 * shown.height)), Image.Resampling.LANCZOS)
            shown.quantize(128).save(draft, "PNG", optimize=True)
    return path


def browser_path() -> str | None:
    """A Chromium of this machine; None where the PATH has none of `BROWSERS`."""
    return next((found for name in BROWSERS if (found := shutil.which(name))), None)


@contextmanager
def _browser() -> Iterator[Any]:
    path = browser_path()
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        path = None
    if path is None:
        raise MissingError("no screenshots: Playwright and a Chromium on the PATH are needed.")
    with sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@contextmanager
def served(command: Sequence[str], port: int, folder: Path, **variables: str) -> Iterator[str]:
    """Runs a server in a process of its own and gives its address, once it answers.

    Args:
        command: arguments of Python, for instance `["-m", "voila", ...]`.
        port: where it will listen.
        folder: where it runs, and where `server.txt` keeps what it says.
        variables: of its environment, beside those of this process.

    Raises:
        MissingError: it ended before it answered.
    """
    address = f"http://127.0.0.1:{port}"
    environment = os.environ | variables
    with (folder / "server.txt").open("w") as log:
        server = subprocess.Popen([sys.executable, *command], cwd=folder, env=environment, stdout=log, stderr=log)
        try:
            while not _answers(f"{address}/api"):  # a page of no weight: Voila's own would start a kernel
                if server.poll() is not None:
                    words = (folder / "server.txt").read_text().splitlines()[-1:]
                    raise MissingError(f"no screenshots: {' '.join(command[:3])} ended with {words}.")
                time.sleep(0.5)
            yield address
        finally:
            server.terminate()
            server.wait(20)


def _answers(address: str) -> bool:
    try:
        urllib.request.urlopen(address, timeout=30).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def free_port() -> int:
    """A port that nothing listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
