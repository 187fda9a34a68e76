"""Text is UTF-8 in every file that is read or written, also in Windows, whose own encoding is another."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = [path for folder in ("petseg", "figures") for path in sorted((ROOT / folder).rglob("*.py"))]


#: Statements that open text, as `ast.unparse` writes them: of a file, or of a process.
TEXT = re.compile(r"\.(?:read|write)_text\(|text=True|\bopen\((?:[^()]*'[rwax]t?\+?'|\))")


def test_every_file_and_process_is_read_and_written_as_utf_8() -> None:
    lines = [line for path in SOURCES for line in ast.unparse(ast.parse(path.read_bytes())).splitlines()]
    calls = [line for line in lines if TEXT.search(line)]
    assert len(calls) > 20  # the search finds them
    assert [call for call in calls if "encoding=" not in call] == []


COMMANDS = (
    "data cartoon --dir data",
    "fit --data.source cartoon --data.data_dir data --data.image_size 32 --trainer.accelerator cpu "
    "--trainer.max_epochs 1 --trainer.default_root_dir runs",
    "models unet",
    "segment chelsea.jpg --out out --model unet",
)


@pytest.mark.slow
def test_no_command_asks_for_the_encoding_of_the_machine(tmp_path: Path) -> None:
    (tmp_path / "chelsea.jpg").write_bytes((ROOT / "figures" / "chelsea.jpg").read_bytes())
    code = "import warnings, sys; warnings.filterwarnings('error', category=EncodingWarning, module='petseg');"
    code += f"from petseg import cli; sys.exit(sum(cli.main(line.split()) for line in {COMMANDS}))"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "cp1252"}
    command = [sys.executable, "-X", "warn_default_encoding", "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, encoding="cp1252")
    assert done.returncode == 0, done.stderr[-2000:]
