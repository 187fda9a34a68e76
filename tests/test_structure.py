"""The package stays small: names in its top level, one module per name, lengths of files and functions; and UTF-8."""

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "petseg"
MODULES = [path for path in sorted(PACKAGE.rglob("*.py")) if path.name not in ("__init__.py", "__main__.py")]

#: Modules with more than 250 lines: one job each, which would not be clearer in two files. None may grow.
LONG = {
    "apps/batch.py": 401,
    "inference/photo.py": 315,
    "models/zoo.py": 315,
    "training/benchmark.py": 392,
}


def test_at_most_16_names_stand_directly_in_the_package() -> None:
    names = [path for path in PACKAGE.iterdir() if path.is_file() or any(path.rglob("*.py"))]
    assert len(names) <= 16


def test_no_two_modules_have_the_same_name() -> None:
    assert [name for name, count in Counter(path.stem for path in MODULES).items() if count > 1] == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_a_module_has_40_to_250_lines_and_no_function_over_40(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert 40 <= len(text.splitlines()) <= LONG.get(path.relative_to(PACKAGE).as_posix(), 250)
    lengths = {node.name: own_lines(node) for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)}
    assert {name: length for name, length in lengths.items() if length > 40} == {}


def own_lines(function: ast.FunctionDef) -> int:
    """Lines of a function without its docstring and without the functions that it defines."""
    docstring = ast.get_docstring(function, clean=False)
    inner = (node for node in ast.walk(function) if isinstance(node, ast.FunctionDef) and node is not function)
    return span(function) - (docstring.count("\n") + 1 if docstring else 0) - sum(map(span, inner))


def span(function: ast.FunctionDef) -> int:
    return (function.end_lineno or 0) - function.lineno + 1


#: Statements that open text, as `ast.unparse` writes them: of a file, or of a process.
TEXT = re.compile(r"\.(?:read|write)_text\(|text=True|\bopen\((?:[^()]*'[rwax]t?\+?'|\))")


def test_every_file_and_process_is_read_and_written_as_utf_8_whatever_the_encoding_of_the_machine() -> None:
    sources = [*PACKAGE.rglob("*.py"), *PACKAGE.with_name("figures").rglob("*.py")]
    lines = [line for path in sources for line in ast.unparse(ast.parse(path.read_bytes())).splitlines()]
    calls = [line for line in lines if TEXT.search(line)]
    assert len(calls) > 20  # the search finds them
    assert [call for call in calls if "encoding=" not in call] == []
