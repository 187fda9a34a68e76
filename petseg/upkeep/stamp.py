"""What every notebook shares: its set-up cell, its badges, and the pictures that its texts show."""

from __future__ import annotations

import re
import tomllib
from base64 import b64encode
from mimetypes import guess_type
from pathlib import Path
from typing import Any, Final

from petseg.errors import DataError

BADGE: Final = "https://colab.research.google.com/assets/colab-badge.svg"

#: What every notebook begins with. In a checkout it installs that, elsewhere what the repository holds; pip keeps the
#: PyTorch, NumPy and ipywidgets that are there, since they are new enough.
SETUP: Final = """\
# The same in every notebook: installs petseg where it is missing, as on Colab.
import sys
from importlib.util import find_spec
from pathlib import Path

if find_spec("petseg") is None:
    in_checkout = Path("../petseg").is_dir()
    where = "--editable .." if in_checkout else "git+{repository}"
    %pip install --quiet {{where}}
    if in_checkout:  # Python looks there by itself only from its next start on
        sys.path.append(str(Path("..").resolve()))"""


def repository() -> str:
    """The project's address, from the checkout's `pyproject.toml`: the only place where it is written by hand."""
    found: str = tomllib.loads(Path("pyproject.toml").read_text())["project"]["urls"]["Repository"]
    return found


def setup_cell(address: str) -> str:
    """Source of the set-up cell for a repository at this address."""
    return SETUP.format(repository=address)


def badge(address: str, name: str) -> str:
    """Markdown of the badge that opens a notebook on Colab."""
    project = address.removeprefix("https://github.com/")
    return f"[![Open in Colab]({BADGE})](https://colab.research.google.com/github/{project}/blob/main/notebooks/{name})"


def badges(address: str, name: str) -> str:
    """Markdown of all badges of a notebook: Colab, Kaggle and SageMaker Studio Lab, which need only a link."""
    page = f"{address.removeprefix('https://')}/blob/main/notebooks/{name}"
    kaggle = "https://kaggle.com/static/images/open-in-kaggle.svg"
    lab = "https://studiolab.sagemaker.aws"
    return (
        f"{badge(address, name)} [![Open in Kaggle]({kaggle})](https://kaggle.com/kernels/welcome?src=https://{page}) "
        f"[![Open in Studio Lab]({lab}/studiolab.svg)]({lab}/import/{page.replace('github.com', 'github', 1)})"
    )


def stamped(notebook: Any, address: str, name: str) -> Any:
    """The notebook with its set-up cell (tag `setup`) and its line of badges written again.

    Raises:
        DataError: it does not have one of each.
    """
    setups = [cell for cell in notebook.cells if "setup" in cell.metadata.get("tags", [])]
    opening = notebook.cells[0]
    source, count = re.subn(r"^\[!\[Open in Colab\].*$", badges(address, name), opening.source, flags=re.MULTILINE)
    if len(setups) != 1 or count != 1:
        raise DataError(
            f"{name}: has {len(setups)} cells tagged 'setup' and {count} badges in its first cell; one of each is "
            "needed. Tag a code cell, or put the line '[![Open in Colab]()]()' below the title."
        )
    setups[0].source, opening.source = setup_cell(address), source
    return notebook


def stamped_readme(readme: str, address: str) -> str:
    """README's text with each of its Colab badges leading to this repository."""
    pattern = r"\[!\[Open in Colab\]\([^)]*\)\]\(\S*?/notebooks/([\w.]+)\)"
    return re.sub(pattern, lambda found: badge(address, found[1]), readme)


def with_pictures(notebook: Any, folder: Path) -> Any:
    """The notebook with its attached pictures read again from a folder, where it holds files of these names.

    A text shows a picture as an attachment, `![words](attachment:panel.jpg)`: a path to another folder would be broken
    on Colab.
    """
    for cell in notebook.cells:
        for name, content in cell.get("attachments", {}).items():
            if (folder / name).is_file():
                content[guess_type(name)[0]] = b64encode((folder / name).read_bytes()).decode()
    return notebook
