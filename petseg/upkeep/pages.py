"""The pages of `make course`, a file per notebook and an index, which need no network; and a notebook as slides."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bs4 import BeautifulSoup
from docutils.utils.math.latex2mathml import tex2mathml
from nbconvert import HTMLExporter, SlidesExporter
from nbformat import NotebookNode

REPOSITORY: Final = "https://github.com/petseg/petseg/blob/main/notebooks/"

#: Code, which is left alone, or a formula: in a line of its own, or within one.
FORMULA: Final = re.compile(r"(?P<code>```.*?```|`[^`\n]+`)|\$\$(?P<block>.+?)\$\$|\$(?P<inline>[^$\n]+)\$", re.DOTALL)

INDEX: Final = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>petseg: the course</title>
<style>
  :root {{ color-scheme: light dark; font-family: sans-serif; }}
  body {{ max-width: 40rem; margin: 3rem auto; padding: 0 1rem; line-height: 1.6; }}
</style>
<h1>The course</h1>
<p>Each notebook was run on this computer.</p>
<ul>
{items}
</ul>
</html>
"""


def page(notebook: NotebookNode) -> str:
    """HTML of an executed notebook: light or dark as the reader's system, its formulas drawn by the browser itself."""
    exporter = HTMLExporter()
    exporter.log.disabled = True  # it warns of missing alt texts, which are added here
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = FORMULA.sub(_as_mathml, cell.source)
    html, _ = exporter.from_notebook_node(notebook)
    soup = BeautifulSoup(html, "html.parser")
    for image, text in zip(soup.select(".jp-RenderedImage img"), alt_texts(notebook), strict=True):
        image["alt"] = text
    for badge in soup.select("img[src^=http]"):  # a picture from another server; its words need no network
        badge.replace_with(str(badge["alt"]))
    for script in soup.select("script[src*=mathjax i]"):
        script.decompose()
    for link in soup.select("a[href]"):
        link["href"] = _address(str(link["href"]))
    style = soup.new_tag("style")
    style.string = f"@media screen and (prefers-color-scheme: dark) {{ {_dark(exporter)} }}"
    soup.select("head")[0].append(style)
    return str(soup)


def slides(notebook: NotebookNode) -> str:
    """HTML of a notebook as slides: each section is a column, each text a slide, with the code below it."""
    for cell in notebook.cells:
        kind = "subslide" if cell.cell_type == "markdown" else "-"
        kind = "slide" if re.match(r"##? ", cell.source) and kind == "subslide" else kind
        cell.metadata["slideshow"] = {"slide_type": "skip" if "setup" in cell.metadata.get("tags", []) else kind}
    html: str = SlidesExporter(reveal_scroll=True).from_notebook_node(notebook)[0]
    return html


def index(paths: Sequence[Path]) -> str:
    """HTML of a list of pages, each called by its heading."""
    headings = (BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser").select_one("h1") for path in paths)
    titles = [
        heading.text.removesuffix("¶") if heading else path.stem for heading, path in zip(headings, paths, strict=True)
    ]
    items = (f'<li><a href="{path.name}">{title}</a></li>' for path, title in zip(paths, titles, strict=True))
    return INDEX.format(items="\n".join(items))


def alt_texts(notebook: NotebookNode) -> list[str]:
    """The alt text of each picture among the outputs, in order; empty where there is none."""
    outputs = (output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs)
    return [
        output.metadata.get(kind, {}).get("alt", "")
        for output in outputs
        for kind in ("image/png", "image/jpeg")
        if kind in output.get("data", {}) and "text/html" not in output.data
    ]


def _as_mathml(match: re.Match[str]) -> str:
    if match["code"]:
        return match["code"]
    formula = tex2mathml(match["block"] or match["inline"], as_block=bool(match["block"]))
    return " ".join(formula.split())  # Markdown would end a paragraph at an empty line


def _address(target: str) -> str:
    """Where a link of a notebook leads: another lesson's page, or the repository."""
    if re.match(r"#|\w+:", target):
        return target
    name, mark, anchor = target.partition("#")
    lesson = re.fullmatch(r"(\d\d_\w+)\.ipynb", name)
    return f"{lesson[1]}.html{mark}{anchor}" if lesson else REPOSITORY + target


def _dark(exporter: HTMLExporter) -> str:
    """JupyterLab's dark colours; figures, which are drawn on white, stay so."""
    name = "static/theme-dark.css"
    (theme, *_) = [Path(folder, name) for folder in exporter.template_paths if Path(folder, name).is_file()]
    return theme.read_text(encoding="utf-8") + ".jp-RenderedImage img { background: white; }"
