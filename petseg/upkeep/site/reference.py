"""The reference's pages: one for each folder of the package, one for each module; Sphinx fills in the docstrings."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path
from typing import Final

#: What only maintainers run.
LEFT_OUT: Final = ("petseg.upkeep",)


def reference_pages(package: Path) -> dict[str, str]:
    """Markdown of each page by its name, `index` first.

    Args:
        package: the folder `petseg/`.
    """
    modules = _modules(package)
    pages = {
        "index": "# Reference\n\nThe package's folders follow the notebooks.\n\n"
        + _listing({name: line for name, line in modules.items() if name.count(".") == 1})
    }
    for name in modules:
        below = {other: line for other, line in modules.items() if other.rpartition(".")[0] == name}
        parts = [f"# {name}", f"```{{eval-rst}}\n.. automodule:: {name}\n   :members:\n   :ignore-module-all:\n```"]
        pages[name] = "\n\n".join([*parts, *([_listing(below)] if below else [])]) + "\n"
    return pages


def _modules(package: Path) -> dict[str, str]:
    """First line of the docstring of each public module, by the module's name, read without an import."""
    lines = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        private = any(part.startswith("_") for part in name.split("."))
        if name != package.name and docstring and not private and not name.startswith(LEFT_OUT):
            lines[name] = docstring.partition("\n")[0]
    return dict(sorted(lines.items()))


def _listing(modules: Mapping[str, str]) -> str:
    """A table of modules with a line on each, and the entries of the navigation."""
    rows = [f"| [`{name}`]({name}.md) | {line} |" for name, line in modules.items()]
    entries = "\n".join(f"{name.rpartition('.')[2]} <{name}>" for name in modules)
    head = "| module | |\n|---|---|"
    return "\n".join([head, *rows]) + f"\n\n```{{toctree}}\n:hidden:\n\n{entries}\n```"
