"""Text in a notebook's output that is replaced while a cell runs."""

from __future__ import annotations

from typing import Any

from IPython.display import display


class LiveText:
    """A plain-text output of the running cell; outside a notebook the first text is printed and then stays."""

    def __init__(self, text: str) -> None:
        self._handle: Any = display({"text/plain": text}, raw=True, display_id=True)

    def show(self, text: str) -> None:
        """Replaces the text."""
        if self._handle is not None:  # outside a notebook there is no output to replace
            self._handle.update({"text/plain": text}, raw=True)
