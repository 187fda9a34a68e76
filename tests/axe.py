"""Faults that axe-core finds in what a browser shows: names, roles, contrast, focus, by the rules of WCAG 2.1."""

from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[1] / "notebooks/site/live/node_modules/axe-core/axe.min.js"


def axe_faults(page: Any, part: str) -> list[str]:
    """The faults within a part of the page, one line each; the test is skipped where axe-core is not installed."""
    if not SCRIPT.is_file():
        pytest.skip("axe-core is not installed; npm ci in notebooks/site/live brings it")
    page.evaluate(SCRIPT.read_text(encoding="utf-8"))
    found = page.evaluate("part => axe.run(part, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa'] })", part)
    return [f"{fault['id']}: {node['html'][:200]}" for fault in found["violations"] for node in fault["nodes"]]
