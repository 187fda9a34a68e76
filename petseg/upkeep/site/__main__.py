"""`python -m petseg.upkeep.site`, run in the checkout: writes build/site/html and checks it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from petseg.errors import MissingError, PetsegError, exit_with_sentence
from petseg.upkeep.site import live
from petseg.upkeep.site.links import faults
from petseg.upkeep.site.sources import assemble

BUILD: Final = Path("build/site")


def build(folder: Path) -> Path:
    """Assembles the sources and runs Sphinx, for which every warning is an error.

    Returns:
        The folder of the pages.

    Raises:
        MissingError: the site's packages are not installed.
        PetsegError: Sphinx found a fault, which it has printed.
    """
    if find_spec("sphinx") is None or find_spec("myst_nb") is None:
        raise MissingError("the site needs Sphinx and MyST-NB. Install them with: make site")
    try:
        live.install()
    except MissingError as error:  # all other pages are built
        print(f"petseg: {error}", file=sys.stderr)
    shutil.rmtree(folder / "html", ignore_errors=True)  # no page of an earlier build stays
    sources = assemble(folder / "source")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", "-c", "notebooks/site"]
    if subprocess.run([*command, str(sources), str(folder / "html")], check=False).returncode:
        raise PetsegError("Sphinx found faults, see above. Mend them in the notebooks, docstrings or notebooks/site/.")
    if live.installed():
        live.write(folder / "html" / "live")
    return folder / "html"


@exit_with_sentence()
def main() -> int:
    """Builds the site; 1 when there is a fault, each said in a sentence on stderr."""
    pages = build(BUILD)
    found = faults(pages)
    for fault in found:
        print(f"petseg: {fault}", file=sys.stderr)
    if not found:
        print(f"{len(list(pages.rglob('*.html')))} pages. Look at them in a browser: {pages / 'index.html'}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
