"""`python -m petseg.upkeep.space [FOLDER]`: the web app as a folder that a Hugging Face Space runs as it is.

The folder holds the whole package with its weights. Of the package's dependencies, the Space installs only those that
the app imports.
"""

import re
import shutil
import sys
import tomllib
import uuid
from argparse import ArgumentParser
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Final

from petseg.errors import MissingError, SettingsError, exit_with_sentence
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

README: Final = Path(__file__).with_suffix(".md")

APP: Final = '''"""Starts the web app; the Space runs this file."""

import os

from petseg.apps.webapp.server import serve

if __name__ == "__main__":
    serve(host=os.environ.get("GRADIO_SERVER_NAME", "0.0.0.0"), port=int(os.environ.get("GRADIO_SERVER_PORT", "7860")))
'''


def assemble(folder: Path) -> Path:
    """Writes the folder completely or not at all."""
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
        raise MissingError('the Space needs Gradio\'s version. Install it with: pip install "gradio>=6.31"') from error
    card, python = zoo.card(), f"{sys.version_info.major}.{sys.version_info.minor}"
    return README.read_text(encoding="utf-8").format(
        gradio=gradio, python=python, model=card.name, parameters=card.parameters / 1e6
    )


def _requirements() -> str:
    """The lines of `pyproject.toml` for what the app imports."""
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    required = [(NEEDED, project["dependencies"]), (ENCODERS, project["optional-dependencies"]["pretrained"])]
    lines = [line for names, lines in required for line in lines if re.split(r"[^\w-]", line)[0] in names]
    return "\n".join([INDEX, *lines, ""])


@exit_with_sentence()
def main(argv: Sequence[str] | None = None) -> int:
    """Writes the folder named by the first argument, default `build/space`."""
    parser = ArgumentParser(prog="make space", description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("build/space"), help="default: build/space")
    folder = assemble(parser.parse_args(argv).folder)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(f"{folder}: {size / 1e6:.1f} MB. Try it: python {folder}/app.py; README.md says how to publish it.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
