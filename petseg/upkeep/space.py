"""`python -m petseg.upkeep.space [FOLDER]`: the web app as a folder that a Hugging Face Space runs as it is.

The folder holds the whole package with its weights, so that no list of modules can become stale. Of the package's
dependencies only those that the app imports are installed there.
"""

from __future__ import annotations

import hashlib
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
from petseg.files import read_json, write_json
from petseg.models import zoo

PACKAGE = Path(__file__).parents[1]

#: What the app imports of the package's dependencies. Gradio comes with the Space, in the version of its `sdk_version`.
NEEDED: Final = ("torch", "safetensors", "numpy", "pillow", "pillow-heif", "scipy", "scikit-image", "lazy-loader")

#: What the models on pretrained encoders need besides: the extra `pretrained`.
ENCODERS: Final = ("segmentation-models-pytorch", "timm")

#: PyTorch without CUDA: a Space that costs nothing has no GPU.
INDEX: Final = "--extra-index-url https://download.pytorch.org/whl/cpu"

#: What git keeps outside of itself: the hub takes no other file above 10 MB.
LARGE_FILES: Final = "*.safetensors filter=lfs diff=lfs merge=lfs -text\n"

#: The file that lists what `assemble` wrote, with checksums: nothing else may be replaced.
MARKER: Final = ".petseg-space.json"

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

Photos are segmented within this Space and are deleted after an hour or so. For programs there is one endpoint,
`/segment`; *Use it from a program* at the foot of the page shows how to call it.

This folder was made by `make space`. To put it into a Space of your own:

    hf upload YOUR-NAME/YOUR-SPACE . --repo-type space
"""

APP: Final = '''"""Starts the web app; the Space runs this file."""

import os

from petseg.apps.webapp.start import serve

if __name__ == "__main__":
    serve(host=os.environ.get("GRADIO_SERVER_NAME", "0.0.0.0"), port=int(os.environ.get("GRADIO_SERVER_PORT", "7860")))
'''


def assemble(folder: Path) -> Path:
    """Writes the folder, whole or not at all. One that an earlier call wrote is replaced.

    Args:
        folder: where to.

    Returns:
        The folder.

    Raises:
        MissingError: Gradio is not installed.
        SettingsError: the folder holds a file that an earlier call did not write, or that was changed since.
    """
    texts = {"README.md": _readme(), "app.py": APP, "requirements.txt": _requirements(), ".gitattributes": LARGE_FILES}
    _check_replaceable(folder)
    draft = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
    try:
        shutil.copytree(PACKAGE, draft / "petseg", ignore=shutil.ignore_patterns("__pycache__", ".*"))
        shutil.copy(PACKAGE.parent / "LICENSE", draft)
        for name, text in texts.items():
            (draft / name).write_text(text, encoding="utf-8")
        write_json(draft / MARKER, _checksums(draft))
        if folder.exists():
            shutil.rmtree(folder)
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder


def _check_replaceable(folder: Path) -> None:
    """Refuses to replace a folder with anything in it that `assemble` did not write, a clone's `.git` for instance."""
    if not folder.exists():
        return
    written = read_json(folder / MARKER) if (folder / MARKER).is_file() else {}
    for name, checksum in _checksums(folder).items():
        if written.get(name) != checksum:
            raise SettingsError(
                f"{folder}: {name} was not written by `make space`, or was changed since. "
                "Name another folder, or move this one away."
            )


def _checksums(folder: Path) -> dict[str, str]:
    """SHA-256 of each file by its path in the folder, but for the marker itself and what Python compiled."""
    files = sorted(path for path in folder.rglob("*") if not path.is_dir() and "__pycache__" not in path.parts)
    names = {path.relative_to(folder).as_posix(): path for path in files}
    return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in names.items() if name != MARKER}


def _readme() -> str:
    try:
        gradio = metadata.version("gradio")
    except metadata.PackageNotFoundError as error:
        raise MissingError('the Space needs Gradio\'s version. Install it with: pip install "petseg[web]"') from error
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    card = zoo.card()
    return README.format(gradio=gradio, python=python, model=card.name, parameters=card.parameters / 1e6)


def _requirements() -> str:
    """What to install: the lines of `pyproject.toml` for what the app imports."""
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [(NEEDED, project["dependencies"]), (ENCODERS, project["optional-dependencies"]["pretrained"])]
    lines = [line for names, lines in wanted for line in lines if re.split(r"[^\w-]", line)[0] in names]
    return "\n".join([INDEX, *lines, ""])


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
    except (PetsegError, OSError) as error:
        print(f"petseg: {error}", file=sys.stderr)
        return 1
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(f"{folder}: {size / 1e6:.1f} MB. Try it: python {folder}/app.py; README.md says how to publish it.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
