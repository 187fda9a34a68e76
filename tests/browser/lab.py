"""JupyterLab in a browser, with a notebook whose one cell shows the panel."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import nbformat
from servers import Server, free_port, serving

NOTEBOOK: Final = "panel.ipynb"
CODE: Final = "from petseg.apps.panel import segment_panel\n\nsegment_panel()"
SECONDS: Final = 1000  # Playwright counts milliseconds


@contextmanager
def jupyterlab(folder: Path) -> Iterator[Server]:
    """JupyterLab that shows a folder, for this machine alone, without a token and without the user's own settings."""
    port = free_port()
    arguments = ["-m", "jupyterlab", f"--port={port}", "--no-browser", "--allow-root", f"--notebook-dir={folder}"]
    settings = ["--IdentityProvider.token=", "--LabApp.news_url=None", f"--LabApp.user_settings_dir={folder}/.lab"]
    with serving([*arguments, *settings], port, folder) as server:
        yield server


def run_all_until_panel(page: Any, address: str, seconds: int = 60) -> bool:
    """Opens the notebook that `write_notebook` wrote, runs it, and returns whether the panel appeared.

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
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CODE, id="panel")])
    notebook.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    nbformat.write(notebook, path)
