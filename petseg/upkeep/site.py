"""`make site`: the course as web pages in build/site/html, which Sphinx makes from notebooks, docstrings and records.

Its texts and settings are in `notebooks/site/`, and so is the JavaScript of the live page, on which the reader's
browser cuts a pet out by the steps of `Predictor`.
"""

import json
import math
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import nbformat
from nbformat import NotebookNode

from petseg.apps import cutouts, display, edge
from petseg.apps.cutouts import no_pet
from petseg.apps.display import COLOR, sample_photos, source
from petseg.apps.panel.widget import PanelWidget
from petseg.errors import PetsegError, exit_with_sentence
from petseg.files import read_json, write_json, write_text
from petseg.inference import correction, matting, segmentation, two_pass
from petseg.inference.foreground import ColorSettings
from petseg.inference.matting import MatteSettings
from petseg.inference.onnx import export_classifier, export_onnx
from petseg.labels import CLASSES, HATCH_STEP, palette_with_ink
from petseg.models import zoo
from petseg.models.classifier import SIZE
from petseg.upkeep.notebooks import REPOSITORY, alt_texts
from petseg.upkeep.record_pages import draw_chart, record_page, released_page

BUILD: Final = Path("build/site")
TEXTS: Final = Path("notebooks/site")
LIVE: Final = TEXTS / "live"

#: onnxruntime-web, which runs the network in the browser; beside these files it has larger builds for graphics cards.
RUNTIME: Final = LIVE / "node_modules/onnxruntime-web/dist"
FRONT: Final = Path("petseg/apps/front")
RUNTIME_FILES: Final = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")

#: The live page's network, the most accurate released one; its weights are stored in 8 bits.
MODEL: Final = "unet-lite0"

PHOTOS: Final = "*The output shows photos of Oxford-IIIT Pet, which belong to others: run the notebook to see them.*"
NO_LIVE_PAGE: Final = "<p>This copy of the site has no live page: install Node.js and run <code>make site</code>.</p>"


def build() -> Path:
    """Writes the pages; Sphinx treats every warning as an error, for instance a link that leads nowhere."""
    shutil.rmtree(BUILD, ignore_errors=True)
    source, pages = BUILD / "source", BUILD / "html"
    live = install_runtime()
    assemble(source, live)
    sphinx = [sys.executable, "-m", "sphinx", "-W", "-n", "--keep-going", "-q", "-c", str(TEXTS)]
    if subprocess.run([*sphinx, "-d", str(BUILD / "doctrees"), str(source), str(pages)], check=False).returncode:
        raise PetsegError(
            "Sphinx found faults, see above. Correct them in the notebooks, docstrings or notebooks/site/."
        )
    if live:
        write_live(pages)
    return pages


def assemble(source: Path, live: bool) -> None:
    """Writes the folder that Sphinx reads."""
    shutil.copytree(TEXTS, source, ignore=shutil.ignore_patterns("live", "static", "templates", "*.py", "*.yaml"))
    copies = {"notebooks/glossary.md": "glossary.md", "CHANGELOG.md": "changelog.md", "data/README.md": "data.md"}
    for original, name in (copies | {"figures/chelsea.jpg": "chelsea.jpg"}).items():
        shutil.copy(original, source / name)
    for path in [*Path("notebooks").glob("*.ipynb"), *Path("notebooks/solutions").glob("*.ipynb")]:
        page = source / path.relative_to("notebooks")
        page.parent.mkdir(exist_ok=True)
        nbformat.write(prepared(nbformat.read(path, as_version=4)), page)
    for card in zoo.cards():
        write_text(source / f"results/model-{card.name}.md", card.markdown())
    write_text(source / "results/released.md", released_page())
    for path in sorted(Path("figures").glob("*.json")):
        record = read_json(path)
        chart = draw_chart(source / "results", path.stem, record)
        write_text(source / f"results/{path.stem}.md", record_page(path.stem, record, chart))
    write_text(source / "live/page.html", fragment() if live else NO_LIVE_PAGE)


def prepared(notebook: NotebookNode) -> NotebookNode:
    """A notebook as MyST-NB reads it: set-up folded, alt texts, attachments as `data:`; changes it in place."""
    cells = []
    for cell in notebook.cells:
        cells.append(cell)
        cell.source = cell.source.replace("](practice/", f"]({REPOSITORY}practice/")  # they are no pages
        tags = cell.metadata.get("tags", [])
        for name, content in cell.pop("attachments", {}).items():
            ((kind, data),) = content.items()
            cell.source = cell.source.replace(f"attachment:{name}", f"data:{kind};base64,{data}")
        if "setup" in tags:
            cell.metadata["tags"] = [*tags, "hide-cell"]
        if text := " ".join(alt_texts(NotebookNode(cells=[cell]))):
            cell.metadata["mystnb"] = {"image": {"alt": text}}
        if "photos" in tags and not cell.outputs:
            cells.append(nbformat.v4.new_markdown_cell(PHOTOS))
    notebook.cells = cells
    return notebook


def anchor(heading: str) -> str:
    """The anchor of a heading, as JupyterLab makes it."""
    return heading.replace(" ", "-")


def install_runtime() -> bool:
    """Fetches onnxruntime-web with npm if it is missing, and returns whether it is there."""
    npm = shutil.which("npm")
    if not all((RUNTIME / name).is_file() for name in RUNTIME_FILES) and npm:
        subprocess.run([npm, "ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=LIVE, check=False)
    return all((RUNTIME / name).is_file() for name in RUNTIME_FILES)


def fragment() -> str:
    """The HTML of the live page, which looks for its files in `live/`; its state at first is that of a panel."""
    widget = PanelWidget(lambda message, data: None, samples=list(sample_photos()), paths=False)
    state = {name: getattr(widget, name) for name in PanelWidget.class_own_traits(sync=True) if name[0] != "_"}
    text = json.dumps(state).replace("<", "\\u003c")  # a script element must not end early
    return (LIVE / "page.html").read_text(encoding="utf-8").replace("<!-- state -->", text)


def write_live(pages: Path) -> None:
    """Writes the files that the live page loads: its modules, the runtime, the model, samples and settings."""
    folder = pages / "live"
    (folder / "front").mkdir(parents=True)
    for path in [*LIVE.glob("*.js"), *LIVE.glob("icon.*"), *(RUNTIME / name for name in RUNTIME_FILES)]:
        shutil.copy(path, folder)
    for path in FRONT.iterdir():
        shutil.copy(path, folder / "front")
    write_text(folder / "comparison.css", source("comparison.css"))
    for name, load in sample_photos().items():
        load().save(folder / f"{name}.png")
    export_onnx(MODEL, folder / "model.onnx", bytes_only=True, any_size=True)
    export_classifier(folder / "classifier.onnx")
    sizes = {name: (folder / name).stat().st_size for name in ("model.onnx", RUNTIME_FILES[-1])}
    write_json(folder / "settings.json", {**live_settings(), "bytes": sizes})
    icon = {"src": "icon.svg", "sizes": "any", "type": "image/svg+xml"}
    about = {"name": "petseg: cut out your pet", "short_name": "petseg", "start_url": "../live.html", "scope": "../"}
    write_json(folder / "manifest.json", about | {"display": "standalone", "theme_color": COLOR, "icons": [icon]})
    _write_offline(pages)


def _write_offline(pages: Path) -> None:
    """Writes the script that keeps the live page for use without a network; it must lie beside the page."""
    script = (pages / "live/offline.js").read_text(encoding="utf-8")
    (pages / "live/offline.js").unlink()  # first: of a file that is missing, the browser would keep none
    files = sorted(path for path in (pages / "live").rglob("*") if path.is_file())
    version = sha256(b"".join(path.read_bytes() for path in [pages / "live.html", *files])).hexdigest()[:12]
    names = ["live.html", *(quote(path.relative_to(pages).as_posix()) for path in files)]
    script = script.replace('"<version>"', json.dumps(version)).replace('["<files>"]', json.dumps(names))
    write_text(pages / "offline.js", script)


def live_settings() -> Mapping[str, Any]:
    """The numbers that the live page computes with, all of them the package's own."""
    passes = ("SMALL", "LEAST", "BEYOND", "SMALLEST_PET", "MOST_PETS", "MARGIN", "WEIGHT", "FADE")
    return {
        "model": MODEL,
        "size": zoo.card(MODEL).size,
        "colors": [palette_with_ink()[start : start + 3] for start in range(0, 12, 3)],
        "hatch": HATCH_STEP,
        "found": {"sure": segmentation.SURE, "smallest": segmentation.SMALLEST},
        "two_pass": {key.lower(): getattr(two_pass, key) for key in passes},
        "matte": {**asdict(MatteSettings()), "certain": matting.CERTAIN},
        "foreground": asdict(ColorSettings()),
        "correction": {
            "side": MatteSettings().side,
            "unsure": correction.UNSURE,
            "reach": correction.REACH,
            "spread": correction.SPREAD,
            "certain": matting.CERTAIN,
            "smallest_pet": two_pass.SMALLEST_PET,
        },
        "edge": {"side": edge.EDGE_SIDE, "visible": cutouts.VISIBLE, "margin": cutouts.MARGIN},
        "edges": cutouts.EDGES,
        "shadow": [edge.FALL, edge.BLUR, edge.DARKNESS],
        "confidence": display.CONFIDENCE,
        "legend": display.legend(dict.fromkeys(CLASSES, math.nan)),
        "pet_check": {
            "threshold": segmentation.PET_THRESHOLD,
            "size": SIZE,
            "most": two_pass.MOST_SQUARES,
            "smallest": two_pass.SMALLEST_SQUARE,
            "margin": two_pass.SQUARE_MARGIN,
        },
        "no_pet": no_pet("{photo}"),
        "doubtful": no_pet("{photo}", doubtful=True),
    }


@exit_with_sentence()
def main() -> int:
    """Builds the site."""
    pages = build()
    print(f"{len(list(pages.rglob('*.html')))} pages. Look at them in a browser: {pages / 'index.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
