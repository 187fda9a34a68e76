"""Text is UTF-8 in every file that is read or written, also in Windows, whose own encoding is another."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = [path for folder in ("petseg", "figures") for path in sorted((ROOT / folder).rglob("*.py"))]


def calls_without_encoding(source: str) -> Iterator[str]:
    """The calls that open text, of a file or of a process, in the encoding of the machine."""
    for call in ast.walk(ast.parse(source)):
        if not isinstance(call, ast.Call) or any(keyword.arg == "encoding" for keyword in call.keywords):
            continue
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        texts = [str(node.value) for node in call.args if isinstance(node, ast.Constant)]
        modes = [
            text for text in [*texts, keywords.get("mode", "").strip("'\"")] if re.fullmatch("[rwax+bt]{1,3}", text)
        ]
        is_open = (
            name == "open"
            and bool(modes or (not call.args and set(keywords) <= {"newline"}))
            and not any("b" in mode for mode in modes)
        )
        if name in ("read_text", "write_text") or keywords.get("text") == "True" or is_open:
            yield f"{call.lineno}: {ast.unparse(call)[:100]}"


@pytest.mark.parametrize(
    ("call", "is_found"),
    [
        ("path.read_text()", True),
        ("path.write_text(text)", True),
        ("path.open()", True),
        ("path.open('w', newline='')", True),
        ("open(name, 'a')", True),
        ("subprocess.run(command, text=True)", True),
        ("path.read_text(encoding='utf-8')", False),
        ("path.open('rb')", False),
        ("Image.open(name)", False),
        ("tarfile.open(fileobj=file, mode='w:gz')", False),
        ("path.read_bytes()", False),
    ],
)
def test_the_search_knows_text_from_bytes(call: str, is_found: bool) -> None:
    assert bool(list(calls_without_encoding(call))) == is_found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_file_and_process_is_read_and_written_as_utf_8(path: Path) -> None:
    assert list(calls_without_encoding(path.read_text(encoding="utf-8"))) == []


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
