"""Executes a notebook, and strips it of what a repository must not hold."""

import os
from pathlib import Path
from typing import Final

import nbformat
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbconvert.preprocessors import ExecutePreprocessor
from nbformat import NotebookNode

from petseg.errors import DataError, PetsegError

WIDGET: Final = "application/vnd.jupyter.widget-view+json"
HOURS: Final = 3600  # in seconds


def run(path: Path, notebook: NotebookNode | None = None) -> NotebookNode:
    """The notebook, by default as the file has it, executed in the file's folder by a new kernel."""
    notebook = notebook or nbformat.read(path, as_version=4)
    quiet = ["--log-level=40"]  # each kernel would warn that it talks over TCP
    kernel = ExecutePreprocessor(timeout=2 * HOURS, kernel_name="python3", extra_arguments=quiet)
    try:
        kernel.preprocess(notebook, {"metadata": {"path": str(path.parent)}})
    except (CellTimeoutError, DeadKernelError) as error:
        raise PetsegError(
            f"{path}: its kernel ended, or a cell took more than two hours ({type(error).__name__}). "
            "Free some memory, and run this notebook alone."
        ) from error
    except CellExecutionError as error:
        traceback = "\n".join(str(error).splitlines()[-25:])
        raise PetsegError(f"{path} failed:\n{traceback}") from error
    return notebook


def strip(notebook: NotebookNode, name: str) -> NotebookNode:
    """The notebook without photos, widgets and what differs between machines; changes it in place."""
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            photos = "photos" in cell.metadata.get("tags", [])
            cell.outputs = [] if photos else [out for out in cell.outputs if WIDGET not in out.get("data", {})]
            _refuse(cell, name)
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return notebook


def _refuse(cell: NotebookNode, name: str) -> None:
    first_line = cell.source.partition("\n")[0]
    where = f"{name}: the cell '{first_line}'"
    for output in cell.outputs:
        if output.get("name") == "stderr":
            raise DataError(f"{where} wrote to stderr: {output.text[:300]!r}. Make it silent.")
    written = str(cell.outputs)
    for folder in {str(Path.cwd()), str(Path.home()), os.environ.get("PETSEG_DATA_DIR", "/")} - {"/", ""}:
        if folder in written:
            raise DataError(f"{where} names the folder {folder} of this machine. Print only its last part.")
