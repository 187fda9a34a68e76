"""Sentences worth saying about a photo are collected for each thread apart."""

from __future__ import annotations

import threading
import warnings

import pytest

from petseg.apps.notes import notes_by_thread
from petseg.errors import PhotoWarning


def test_each_thread_gets_its_own_notes_each_time_and_once() -> None:
    meeting = threading.Barrier(3)
    taken: dict[str, list[list[str]]] = {}

    def work(name: str) -> None:
        taken[name] = []
        for _ in range(2):
            meeting.wait()
            warnings.warn(f"{name} is animated.", PhotoWarning, stacklevel=1)
            meeting.wait()
            taken[name].append(take())

    with notes_by_thread() as take:
        threads = [threading.Thread(target=work, args=(name,)) for name in "abc"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert take() == []
    assert taken == {name: [[f"{name} is animated."]] * 2 for name in "abc"}


def test_other_warnings_are_shown_as_ever(recwarn: pytest.WarningsRecorder) -> None:
    with notes_by_thread() as take:
        warnings.warn("old", RuntimeWarning, stacklevel=1)
        assert take() == []
    assert [str(warning.message) for warning in recwarn] == ["old"]
