import ast
import sys
from pathlib import Path

import pytest

import petseg
from petseg import errors
from petseg.errors import DataError, PetsegError, exit_with_sentence


@exit_with_sentence(stopped="stopped; call it again")
def main(outcome):
    """A command."""
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome


@pytest.mark.parametrize(
    ("outcome", "status", "sentence"),
    [
        (0, 0, ""),
        (2, 2, ""),
        (DataError("x.csv: not there. Fetch it."), 1, "petseg: x.csv: not there. Fetch it.\n"),
        (OSError(28, "No space left", "log"), 1, "petseg: log cannot be written (No space left). Free some space.\n"),
        (FileNotFoundError(2, "No usable temporary directory"), 1, f"petseg: {errors.TEMPORARY_FOLDER_REMEDY}\n"),
        (BrokenPipeError(), 141, ""),
        (KeyboardInterrupt(), 130, "petseg: stopped; call it again\n"),
    ],
)
def test_a_command_ends_with_its_status_or_with_a_sentence(outcome, status, sentence, capsys):
    assert main(outcome) == status
    assert capsys.readouterr().err == sentence


def test_without_stdout_and_stderr_a_command_ends_with_its_status_all_the_same(monkeypatch):
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    assert [main(0), main(DataError("x.csv: not there. Fetch it."))] == [0, 1]


def test_a_pipe_that_nobody_reads_ends_a_command_on_windows_too(monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    assert main(OSError(22, "Invalid argument")) == 141


@pytest.mark.parametrize("defect", [ZeroDivisionError, FileNotFoundError])
def test_a_defect_keeps_its_traceback(defect):
    with pytest.raises(defect):
        main(defect())


def test_all_kinds_of_error_but_those_of_exercises_are_in_one_module_and_they_are_at_most_five():
    known = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, PetsegError)]
    assert len(set(known) - {PetsegError}) <= 5
    package = Path(petseg.__file__).parent
    for path in package.rglob("*.py"):
        if path in (package / "errors.py", package / "course" / "hints.py"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                bases = [ast.unparse(base) for base in node.bases]
                assert not any(base.endswith(("Error", "Exception")) for base in bases), f"{path}: {node.name}"
