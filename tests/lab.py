"""JupyterLab in a browser, with a notebook whose one cell shows the panel, and what people do there."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, Final

import nbformat
from servers import Server, free_port, serving

NOTEBOOK: Final = "panel.ipynb"
CODE: Final = 'from petseg.apps.panel import segment_panel\n\nsegment_panel("unet")'
SECONDS: Final = 1000  # Playwright counts milliseconds

NUMBERS: Final = count(1)  # of uploads


@contextmanager
def jupyterlab(folder: Path) -> Iterator[Server]:
    """JupyterLab that shows a folder, for this machine alone, without a token and without the user's own settings."""
    port = free_port()
    arguments = ["-m", "jupyterlab", f"--port={port}", "--no-browser", "--allow-root", f"--notebook-dir={folder}"]
    arguments.append("--expose-app-in-browser")  # its commands, such as that for the theme
    settings = ["--IdentityProvider.token=", "--LabApp.news_url=None", f"--LabApp.user_settings_dir={folder}/.lab"]
    with serving([*arguments, *settings], port, folder) as server:
        yield server


def open_panel(browser: Any, lab: Server) -> Any:
    """A page with the panel after Restart and Run All."""
    page = browser.new_page(viewport={"width": 1280, "height": 1200})
    page.set_default_timeout(120 * SECONDS)
    page.on("dialog", lambda dialog: dialog.accept())  # leave a page with unsaved changes
    shown = any(run_all_until_panel(page, lab.address) for _ in range(3))
    assert shown, f"JupyterLab shows no panel after Run All: {page.locator('body').inner_text()[-2000:]}"
    return page


def run_all_until_panel(page: Any, address: str, seconds: int = 60) -> bool:
    """Opens the notebook that `write_notebook` wrote, runs it, and returns whether the panel appeared.

    Where the kernel's status is idle before it is connected, what is run then is lost: it is asked for again.
    """
    page.goto(f"{address}/lab/tree/{NOTEBOOK}?reset", timeout=120 * SECONDS)
    page.locator(".jp-NotebookPanel .jp-Cell").first.wait_for(timeout=120 * SECONDS)
    idle = page.locator(".jp-Notebook-ExecutionIndicator[data-status='idle']").first
    started = page.locator(".jp-InputPrompt", has_text=re.compile(r"[*\d]")).first
    for _ in range(seconds // 10):
        idle.wait_for(state="attached", timeout=120 * SECONDS)
        page.get_by_role("menuitem", name="Kernel", exact=True).click()
        page.get_by_text("Restart Kernel and Run All Cells").click()
        page.locator(".jp-Dialog .jp-mod-accept").click()
        if _appears(started, 10):
            break
    return _appears(page.locator(".petseg-zone"), seconds)


def _appears(locator: Any, seconds: int) -> bool:
    for _ in range(2 * seconds):
        if locator.count():
            return True
        locator.page.wait_for_timeout(SECONDS / 2)
    return False


def write_notebook(path: Path) -> None:
    """Writes a notebook whose one cell shows the panel."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CODE, id="panel")])
    notebook.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    nbformat.write(notebook, path)


def upload(page: Any, *paths: Path) -> list[str]:
    """Chooses files through the file chooser; gives the names that they go by, which nothing else has gone by."""
    names = [f"{next(NUMBERS)} {path.name}" for path in paths]
    payloads: list[Any] = [
        {"name": name, "mimeType": "image/jpeg", "buffer": path.read_bytes()}
        for name, path in zip(names, paths, strict=True)
    ]
    with page.expect_file_chooser() as chooser:
        page.get_by_text("Choose photos").click()
    chooser.value.set_files(payloads)
    return names


def show(page: Any, path: Path) -> str:
    """Uploads a photo and waits for its cut-out; gives its name."""
    (name,) = upload(page, path)
    wait_for(page, f"{name}: ")
    page.locator(f"img[alt^='The pet of {name}']").wait_for()
    return name


def wait_for(page: Any, words: str, seconds: float = 180) -> None:
    page.get_by_text(words).first.wait_for(timeout=seconds * SECONDS)
