"""`python -m petseg.apps.panel FILE.ipynb`: the panel as a notebook of one cell."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from petseg.files import atomic_write

CELLS = {
    "markdown": "# Segment your pet\n\nPhotos go to the computer that runs this page and are not kept there.",
    "code": "from petseg.demo import segment_panel\n\nsegment_panel()",
}


def write_page(path: Path) -> None:
    """Writes the notebook; makes its folder if missing."""
    cells = []
    for kind, source in CELLS.items():
        extra: dict[str, Any] = {"execution_count": None, "outputs": []} if kind == "code" else {}
        cells.append({"cell_type": kind, "id": kind, "metadata": {}, "source": source, **extra})
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook = {
        "cells": cells,
        "metadata": {"kernelspec": kernel, "title": "petseg"},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    with atomic_write(path) as draft:
        draft.write_text(json.dumps(notebook, indent=1) + "\n")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m petseg.apps.panel FILE.ipynb")
    write_page(Path(sys.argv[1]))
