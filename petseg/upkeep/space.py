"""`python -m petseg.upkeep.space [FOLDER]`: the web app as a folder that a Hugging Face Space runs as it is.

The folder holds the whole package with its weights. Of the package's dependencies, the Space installs only those that
the app imports.
"""

from __future__ import annotations

import re
import shutil
import sys
import tomllib
import uuid
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Final

from petseg.errors import MissingError, PetsegError, SettingsError
from petseg.models import zoo

PACKAGE = Path(__file__).parents[1]

#: The package's dependencies that the app imports. Gradio comes with the Space, in the version of its `sdk_version`.
NEEDED: Final = ("torch", "safetensors", "numpy", "pillow", "pillow-heif", "scipy", "scikit-image", "lazy-loader")

#: Dependencies of the models on pretrained encoders: the extra `pretrained`.
ENCODERS: Final = ("segmentation-models-pytorch", "timm")

#: PyTorch without CUDA: a free Space has no GPU.
INDEX: Final = "--extra-index-url https://download.pytorch.org/whl/cpu"

#: Git stores these files outside of its history: the hub takes no other file above 10 MB.
LARGE_FILES: Final = "*.safetensors filter=lfs diff=lfs merge=lfs -text\n"

README: Final = """---
title: Cut pets out of photos
emoji: \U0001f408
colorFrom: yellow
colorTo: blue
sdk: gradio
sdk_version: "{gradio}"
python_version: "{python}"
app_file: app.py
pinned: false
license: mit
short_description: A small network cuts cats and dogs out of photos
---

# Cut pets out of photos

Choose a photo of a cat or a dog: a network with {parameters:.1f} million parameters, `{model}`, finds the animal, its
boundary and the background, and cuts it out with a soft edge. It was trained on Oxford-IIIT Pet, in the petseg course.

Photos are segmented inside this Space and are deleted after an hour or so. Programs use its one endpoint, `/segment`;
*Use via API* at the foot of the page shows how to call it.

`make space` wrote this folder. To publish it as your own Space:

    hf upload YOUR-NAME/YOUR-SPACE . --repo-type space
"""

APP: Final = '''"""Starts the web app; the Space runs this file."""

import os

from petseg.apps.webapp.server import serve

if __name__ == "__main__":
    serve(host=os.environ.get("GRADIO_SERVER_NAME", "0.0.0.0"), port=int(os.environ.get("GRADIO_SERVER_PORT", "7860")))
'''


def assemble(folder: Path) -> Path:
    """Writes the folder completely or not at all.

    Raises:
        MissingError: Gradio is not installed.
        SettingsError: the folder exists; it may be a clone of somebody's Space.
    """
    if folder.exists():
        raise SettingsError(f"{folder}: exists. Name another folder, or move this one away.")
    texts = {"README.md": _readme(), "app.py": APP, "requirements.txt": _requirements(), ".gitattributes": LARGE_FILES}
    draft = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
    try:
        shutil.copytree(PACKAGE, draft / "petseg", ignore=shutil.ignore_patterns("__pycache__", ".*"))
        shutil.copy(PACKAGE.parent / "LICENSE", draft)
        for name, text in texts.items():
            (draft / name).write_text(text, encoding="utf-8")
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder


def _readme() -> str:
    try:
        gradio = metadata.version("gradio")
    except metadata.PackageNotFoundError as error:
        raise MissingError('the Space needs Gradio\'s version. Install it with: pip install "petseg[web]"') from error
    card, python = zoo.card(), f"{sys.version_info.major}.{sys.version_info.minor}"
    return README.format(gradio=gradio, python=python, model=card.name, parameters=card.parameters / 1e6)


def _requirements() -> str:
    """The lines of `pyproject.toml` for what the app imports."""
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    required = [(NEEDED, project["dependencies"]), (ENCODERS, project["optional-dependencies"]["pretrained"])]
    lines = [line for names, lines in required for line in lines if re.split(r"[^\w-]", line)[0] in names]
    return "\n".join([INDEX, *lines, ""])


def main(argv: Sequence[str] | None = None) -> int:
    """Writes the folder named by the first argument, default `build/space`; returns the exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        folder = assemble(Path(arguments[0] if arguments else "build/space"))
    except (PetsegError, OSError) as error:
        print(f"petseg: {error}", file=sys.stderr)
        return 1
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(f"{folder}: {size / 1e6:.1f} MB. Try it: python {folder}/app.py; README.md says how to publish it.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
