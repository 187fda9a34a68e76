"""HTML pages of notebooks."""

from __future__ import annotations

import warnings
from typing import Any

from bs4 import BeautifulSoup
from nbconvert import HTMLExporter


def page(notebook: Any) -> str:
    """HTML of a notebook that needs no file beside it, each figure with the words for readers who cannot see it.

    Args:
        notebook: executed.
    """
    exporter = HTMLExporter()
    with warnings.catch_warnings():
        exporter.log.disabled = True  # it warns of missing alt texts, which come next
        body, _ = exporter.from_notebook_node(notebook)
    soup = BeautifulSoup(body, "html.parser")
    for image, words in zip(soup.select(".jp-RenderedImage img"), alt_texts(notebook), strict=True):
        image["alt"] = words
    return str(soup)


def alt_texts(notebook: Any) -> list[str]:
    """Alt text of each picture among the outputs, in their order; empty where it has none."""
    outputs = (output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs)
    kinds = ("image/png", "image/jpeg")
    return [
        output.metadata.get(kind, {}).get("alt", "")
        for output in outputs
        for kind in kinds
        if kind in output.get("data", {}) and "text/html" not in output.data
    ]
