"""Puts the records that notebooks show into the wheel; all else about the package stands in pyproject.toml."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

FIGURES = Path(__file__).parent / "figures"


class BuildWithRecords(build_py):
    """Copies `figures/`, without its pictures, to `petseg/course/records/` of what is built."""

    def run(self) -> None:
        """Builds, then copies; an editable installation reads `figures/` itself."""
        super().run()
        if self.editable_mode:
            return
        for path in FIGURES.rglob("*"):
            if path.suffix in (".json", ".yaml", ".csv"):
                copy = Path(self.build_lib, "petseg", "course", "records", path.relative_to(FIGURES))
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, copy)


setup(cmdclass={"build_py": BuildWithRecords})
