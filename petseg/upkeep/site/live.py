"""The live page of the site, on which the reader's browser cuts a pet out of a photo by the steps of `Predictor`.

Its sources are in `notebooks/site/live/`. onnxruntime-web, which runs the network there, comes from npm.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from urllib.parse import quote

from petseg.apps.cutouts import no_pet
from petseg.apps.display import CSS, comparison, sample_photos
from petseg.errors import MissingError
from petseg.files import read_json, write_json
from petseg.inference import segmentation, two_pass
from petseg.inference.matting import ColorSettings, MatteSettings
from petseg.inference.onnx import export_onnx
from petseg.labels import CLASSES, rgb
from petseg.models import zoo

SOURCE: Final = Path("notebooks/site/live")
PACKAGE: Final = "onnxruntime-web"

#: The files of the package that the page loads; beside them it has builds for graphics cards, which are larger.
RUNTIME: Final = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")

#: The smallest released model.
MODEL: Final = "unet-separable"

MISSING: Final = (
    "This copy of the site was built without the page. Install [Node.js](https://nodejs.org), then run `make site`."
)

#: A picture of one pixel, until the first photo is there.
EMPTY: Final = "data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw=="


def install(source: Path = SOURCE) -> None:
    """Fetches what `package-lock.json` lists, whole or not at all, unless it is there; needs no network then.

    Raises:
        MissingError: npm is missing, or it failed.
    """
    if installed(source):
        return
    npm = shutil.which("npm")
    if npm is None:
        raise MissingError("npm is missing, so the site has no live page. Install Node.js, then run make site again.")
    command = [npm, "ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"]
    with TemporaryDirectory(prefix=".npm-", dir=source) as name:
        folder = Path(name)
        for file in ("package.json", "package-lock.json"):
            shutil.copy(source / file, folder)
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode or not installed(folder):
            reason = (done.stderr.strip().splitlines() or ["no reason given"])[0]
            raise MissingError(
                f"npm ci failed in {source} ({reason}), so the site has no live page. Run make site again."
            )
        if installed(source):  # another process was faster
            return
        there = source / "node_modules"
        if there.exists():
            there.rename(folder / "replaced")
        (folder / "node_modules").rename(there)


def installed(source: Path = SOURCE) -> bool:
    """Whether onnxruntime-web is there, in the version that `package.json` names."""
    there = source / "node_modules" / PACKAGE / "package.json"
    wanted = read_json(source / "package.json")["dependencies"][PACKAGE]
    return there.is_file() and read_json(there)["version"] == wanted


def fragment(source: Path = SOURCE) -> str:
    """The HTML of the page, which looks for its files in `live/`."""
    markup = (source / "page.html").read_text(encoding="utf-8")
    compared = comparison((EMPTY, "The photo"), (EMPTY, "The cut-out"), (3, 2))
    return markup.replace("<!-- comparison -->", compared).replace("<!-- samples -->", _sample_buttons())


def _sample_buttons() -> str:
    return "".join(
        f'<button type="button"><img src="live/{quote(name)}.png" alt="{name}"></button>' for name in sample_photos()
    )


def page_parts(source: Path = SOURCE) -> dict[str, str]:
    """What stands in the site's text of the page in place of its marks, in Markdown."""
    card = zoo.card(MODEL)
    network = f"[`{MODEL}`](results/model-{MODEL}.md), with {card.parameters / 1e6:.1f} million parameters"
    return {
        "live": f"```{{raw}} html\n{fragment(source)}\n```" if installed(source) else MISSING,
        "live_model": f"The network is {network}. onnxruntime-web runs it.",
    }


def write(folder: Path, source: Path = SOURCE) -> Path:
    """Writes the files of the page into a folder.

    Raises:
        ModelError: the extra `export` is missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for path in [*source.glob("*.js"), *source.glob("*.css")]:
        shutil.copy(path, folder)
    for name in RUNTIME:
        shutil.copy(source / "node_modules" / PACKAGE / "dist" / name, folder)
    (folder / "comparison.css").write_text(CSS, encoding="utf-8")
    for name, load in sample_photos().items():
        load().save(folder / f"{name}.png")
    export_onnx(MODEL, folder / "model.onnx", half=True)
    write_json(folder / "settings.json", settings())
    return folder


def settings() -> Mapping[str, Any]:
    """The numbers that the page computes with, all of them the package's own."""
    passes = ("BEYOND", "SMALLEST_PET", "MOST_PETS", "MARGIN", "WEIGHT", "FADE")
    return {
        "model": MODEL,
        "size": zoo.card(MODEL).size,
        "colors": [rgb(label) for label in range(len(CLASSES))],
        "found": {"sure": segmentation.SURE, "smallest": segmentation.SMALLEST},
        "two_pass": {key.lower(): getattr(two_pass, key) for key in passes},
        "matte": asdict(MatteSettings()),
        "foreground": asdict(ColorSettings()),
        "no_pet": no_pet("{photo}"),
    }
