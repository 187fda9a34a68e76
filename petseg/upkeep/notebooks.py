"""Runs the notebooks: `make course` writes a page of each, `make notebooks` keeps their outputs for the repository.

The pages need no network. `make practice` writes the practice version and the solutions of each lesson; see
`petseg.upkeep.practice`. All work in the checkout that is the current folder.
"""

import argparse
import os
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import nbformat
from bs4 import BeautifulSoup
from docutils.utils.math.latex2mathml import tex2mathml
from nbconvert import HTMLExporter, SlidesExporter
from nbformat import NotebookNode

from petseg.course.setup import chosen_profile
from petseg.errors import DataError, exit_with_sentence
from petseg.files import read_json, write_json, write_text
from petseg.models.device import machine
from petseg.models.segmenter import best_device
from petseg.upkeep.execution import run, strip
from petseg.upkeep.practice import NOTEBOOKS, write_practice

PAGES: Final = Path("build/course")
SLIDES: Final = Path("build/slides")
SCRIPTS: Final = {
    "reveal_url_prefix": "node_modules/reveal.js",
    "require_js_url": "node_modules/requirejs/require.js",
    "jquery_url": "node_modules/jquery/dist/jquery.min.js",
}
INDEX: Final = Path(__file__).with_name("index.html")
REPOSITORY: Final = "https://github.com/petseg/petseg/blob/main/notebooks/"

#: How long each notebook takes, by profile; the site's first page shows it.
MINUTES: Final = Path("figures/minutes.json")

MAX_BYTES: Final = 300_000  # GitHub shows no larger notebook

#: Code, which is left alone, or a formula: on a separate line, or within one.
FORMULA: Final = re.compile(r"(?P<code>```.*?```|`[^`\n]+`)|\$\$(?P<block>.+?)\$\$|\$(?P<inline>[^$\n]+)\$", re.DOTALL)


def course(path: Path) -> None:
    """Runs a notebook and writes its page, an HTML file that needs none beside it; your own runs stay as they are."""
    os.environ.setdefault("PETSEG_RUNS_DIR", str(Path("build/runs/course").resolve()))
    write_text(PAGES / f"{path.stem}.html", page(run(path)))


def write_slides(path: Path) -> None:
    """Writes a notebook as slides, with its committed outputs."""
    write_text(SLIDES / f"{path.stem}.html", slides(nbformat.read(path, as_version=4)))


def renew(path: Path) -> None:
    """Runs a notebook, with a separate folder of runs, and writes it with its outputs, stripped."""
    os.environ["PETSEG_RUNS_DIR"] = str(Path("build/runs", path.stem).resolve())
    text = nbformat.writes(strip(run(path), path.name)) + "\n"
    if len(text.encode()) > MAX_BYTES:
        raise DataError(f"{path.name}: {len(text.encode()):,} bytes; at most {MAX_BYTES:,} are shown on GitHub.")
    write_text(path, text)


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
    if soup.title and soup.h1:
        soup.title.string = soup.h1.text.removesuffix("¶")
    for number, badge in enumerate(soup.select("a > img[src^=http]")):  # from another server; words need no network
        if number and badge.parent:
            badge.parent.insert_before("· ")
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
    """HTML of a notebook as slides: each section is a column, each text a slide, with the code below it.

    Scripts come from `SLIDES` where they were installed, see the site's page for teachers, else from the network.
    """
    cells: list[NotebookNode] = []
    for cell in notebook.cells:
        text = cell.cell_type == "markdown"
        for source in re.split(r"^(?=## )", cell.source, flags=re.MULTILINE) if text else [cell.source]:
            kind = "slide" if text and re.match(r"##? ", source) else "subslide" if text and source else "-"
            shown = "skip" if "setup" in cell.metadata.get("tags", []) else kind
            source = FORMULA.sub(_as_mathml, source) if text else source
            own = {"id": f"slide-{len(cells)}", "metadata": {"slideshow": {"slide_type": shown}}}
            cells.append(NotebookNode(cell, source=source, **own))
    notebook.cells = cells
    scripts = SCRIPTS if (SLIDES / "node_modules").is_dir() else {}
    html: str = SlidesExporter(reveal_scroll=True, **scripts).from_notebook_node(notebook)[0]
    return html


def index(paths: Sequence[Path]) -> str:
    """HTML of a list of pages, each called by its heading."""
    items = []
    for path in paths:
        heading = BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser").select_one("h1")
        title = heading.text.removesuffix("¶") if heading else path.stem
        items.append(f'<li><a href="{path.name}">{title}</a></li>')
    return INDEX.read_text(encoding="utf-8").replace("<!-- items -->", "\n".join(items))


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


def record(name: str, seconds: float) -> None:
    """Writes into `MINUTES` how long a notebook took on this machine in the chosen profile."""
    times = read_json(MINUTES) if MINUTES.is_file() else {}
    profile = chosen_profile()
    key = "full on a GPU" if profile == "full" and best_device() != "cpu" else profile
    times[name] = times.get(name, {}) | {key: {"seconds": round(seconds), "machine": machine()}}
    write_json(MINUTES, dict(sorted(times.items())))


COMMANDS: Final = {"course": course, "notebooks": renew, "practice": write_practice, "slides": write_slides}


@exit_with_sentence()
def main(argv: Sequence[str] | None = None) -> int:
    """Runs `python -m petseg.upkeep.notebooks course|notebooks|practice|slides [01 02 ...]`."""
    parser = argparse.ArgumentParser(prog="petseg.upkeep.notebooks", description=__doc__)
    parser.add_argument("command", choices=tuple(COMMANDS))
    parser.add_argument("names", nargs="*", help="numbers of the notebooks; default: all")
    parser.add_argument("--record", action="store_true", help=f"write how long each took into {MINUTES}")
    parser.add_argument("--force", action="store_true", help="practice: overwrite a student's answers")
    options = parser.parse_intermixed_args(argv)  # flags may stand before the numbers
    os.environ.setdefault("PETSEG_PROFILE", "full" if options.command == "notebooks" else "quick")
    paths = [path for path in sorted(NOTEBOOKS.glob("*.ipynb")) if path.name.startswith(tuple(options.names or [""]))]
    if not paths:
        raise DataError(f"{NOTEBOOKS}/ holds no notebook {' or '.join(options.names)}".rstrip() + ".")
    for number, path in enumerate(paths, start=1):
        print(f"[{number}/{len(paths)}] {path.stem} ... ", end="", flush=True)
        start = time.monotonic()
        if options.command == "practice":
            write_practice(path, options.force)
        else:
            COMMANDS[options.command](path)
        seconds = time.monotonic() - start
        print(f"{seconds:.0f} s", flush=True)
        if options.record:
            record(path.stem, seconds)
    if options.command == "course":
        write_text(PAGES / "index.html", index(sorted(PAGES.glob("[0-9]*.html"))))
        print(f"All of them ran. Look at them in a browser: {PAGES / 'index.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
