"""`python -m petseg.upkeep.space [FOLDER]`: the web app as a folder that a Hugging Face Space runs as it is.

The folder holds the whole package with its weights, so that no list of modules can grow stale; what is installed
beside it is only what the app imports.
"""

from __future__ import annotations

import re
import shutil
import sys
import uuid
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Final

from petseg.errors import MissingError, ModelError
from petseg.models import zoo

PACKAGE = Path(__file__).parents[1]

#: What the app imports of the package's dependencies. Gradio comes with the Space, in the version of its `sdk_version`.
NEEDED: Final = ("torch", "safetensors", "numpy", "pillow", "scikit-image")

#: What the models on pretrained encoders need besides: the extra `pretrained`.
ENCODERS: Final = ("segmentation-models-pytorch", "timm")

#: PyTorch without CUDA: a Space that costs nothing has no GPU.
INDEX: Final = "--extra-index-url https://download.pytorch.org/whl/cpu"

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

Photos are worked on in this Space alone and are deleted after an hour or so. For programs there is one endpoint,
`/segment`; *Use via API* at the foot of the page shows how to call it.

This folder was made by `make space`. To put it into a Space of your own:

    hf upload YOUR-NAME/YOUR-SPACE . --repo-type space
"""

APP: Final = '''"""Starts the web app; the Space runs this file."""

import os

from petseg.webapp.server import serve

if __name__ == "__main__":
    serve(host=os.environ.get("GRADIO_SERVER_NAME", "0.0.0.0"), port=int(os.environ.get("GRADIO_SERVER_PORT", "7860")))
'''


def assemble(folder: Path) -> Path:
    """Writes the folder, whole or not at all; one that is there is replaced.

    Args:
        folder: where to.

    Returns:
        The folder.

    Raises:
        MissingError: Gradio is not installed, or the folder holds something else.
    """
    files = {"README.md": _readme(), "app.py": APP, "requirements.txt": _requirements(), ".gitattributes": _large()}
    if folder.exists() and any(folder.iterdir()) and not (folder / "app.py").is_file():
        raise MissingError(f"{folder}: holds something that is no Space. Name another folder.")
    made = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
    try:
        shutil.copytree(PACKAGE, made / "petseg", ignore=shutil.ignore_patterns("__pycache__", ".*"))
        shutil.copy(PACKAGE.parent / "LICENSE", made)
        for name, text in files.items():
            (made / name).write_text(text, encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        made.rename(folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return folder


def _readme() -> str:
    try:
        gradio = metadata.version("gradio")
    except metadata.PackageNotFoundError as error:
        raise MissingError('the Space needs Gradio\'s version. Install it with: pip install "petseg[web]"') from error
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    card = zoo.card()
    return README.format(gradio=gradio, python=python, model=card.name, parameters=card.parameters / 1e6)


def _requirements() -> str:
    """The lines of `pyproject.toml` for what is needed."""
    needed = []
    for line in metadata.requires("petseg") or []:
        requirement, _, marker = line.partition(";")
        name = re.split(r"[^\w-]", requirement)[0]
        if (name in NEEDED and not marker) or (name in ENCODERS and "pretrained" in marker):
            needed.append(requirement.strip())
    return "\n".join([INDEX, *needed, ""])


def _large() -> str:
    """What git keeps outside of itself: the hub takes nothing above 10 MB otherwise."""
    return "*.safetensors filter=lfs diff=lfs merge=lfs -text\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `python -m petseg.upkeep.space ARGUMENTS`.

    Args:
        argv: the folder, `build/space` when empty; those of the process when None.

    Returns:
        0; 1 when the folder could not be made, said in a sentence on stderr.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        folder = assemble(Path(arguments[0] if arguments else "build/space"))
    except (MissingError, ModelError, OSError) as error:
        print(f"petseg: {error}", file=sys.stderr)
        return 1
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(f"{folder}: {size / 1e6:.1f} MB. Try it: python {folder}/app.py; README.md says how to publish it.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
