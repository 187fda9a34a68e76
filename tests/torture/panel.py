"""The panel in JupyterLab: uploads in a row, some of them no photos, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from chrome import NoBrowserError, launched
from lab import NOTEBOOK, jupyterlab, open_panel, show, upload, wait_for, write_notebook
from PIL import Image
from servers import Server
from visitor import animation, chelsea, encoded, on_its_side, some_photo

from . import Skipped, Tally

NAME = "panel"

#: Files by name, and what the panel says of each after its name.
FILES: dict[str, tuple[bytes, str]] = {
    "chelsea.jpg": (encoded(chelsea()), "451 x 300 pixels"),
    "diary.jpg": (b"Dear diary, today I met a cat.", "not an image"),
    "on its side.jpg": (on_its_side(), "451 x 300 pixels"),
    "empty.jpg": (b"", "the file is empty"),
    "large.jpg": (encoded(chelsea(4000, 3000)), "4000 x 3000 pixels"),
    "bomb.png": (encoded(Image.new("1", (20_000, 20_000)), "PNG"), "400 megapixels"),
    "grey.png": (encoded(chelsea().convert("L"), "PNG"), "451 x 300 pixels"),
    "cut.jpg": (some_photo(1)[:4_000], ""),
    "moving.gif": (animation(), "451 x 300 pixels"),
    "drawing.svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", ""),
    "printer.jpg": (encoded(chelsea().convert("CMYK")), "451 x 300 pixels"),
    "zeros.png": (b"\x89PNG\r\n\x1a\n" + bytes(9_000), ""),
    "<b>&amp;.jpg": (encoded(chelsea()), "451 x 300 pixels"),
    "wall.png": (encoded(Image.new("RGB", (300, 200), "grey"), "PNG"), "No pet found in "),
}


def run(scale: str) -> dict[str, Any]:
    """In short six files; in full 50."""
    with ThreadPoolExecutor(1) as thread:  # Playwright has one browser per thread, and other tests may have one open
        try:
            return thread.submit(uploads, islice(cycle(FILES), 50) if scale == "full" else islice(FILES, 6)).result()
        except NoBrowserError as error:
            raise Skipped(str(error)) from error


def uploads(names: Iterator[str]) -> dict[str, Any]:
    tally = Tally()
    held: list[float] = []
    with TemporaryDirectory() as name, launched() as browser:
        folder = Path(name)
        write_notebook(folder / NOTEBOOK)
        for file, (data, _) in FILES.items():
            (folder / file).write_bytes(data)
        with jupyterlab(folder) as lab:
            page = open_panel(browser, lab)
            process, _ = kernel(lab)
            for file in names:
                with tally.case(f"{file}, number {tally.tried}", seconds=60):
                    said(page, folder / file, FILES[file][1])
                held.append(kernel(lab)[1])
            with tally.case("the kernel is alive and shows the next photo"):
                show(page, folder / "chelsea.jpg")
                assert kernel(lab)[0] == process
            if len(held) > len(FILES):  # each kind of photo takes some memory when it is first decoded
                with tally.case("memory is flat"):
                    assert held[-1] - held[len(FILES)] < 100, f"{held} MB"
    return tally.row(memory_mb=[round(held[0]), round(held[-1])])


def said(page: Any, path: Path, words: str) -> None:
    """Uploads a file and waits until the panel has said the right thing about it."""
    (name,) = upload(page, path)
    wait_for(page, f"{words}{name}" if words.endswith(" in ") else f"{name}: {words}", 60)


def kernel(lab: Server) -> tuple[int, float]:
    """Process and megabytes of JupyterLab's only kernel; 0 and 0 where the system does not say."""
    for status in Path("/proc").glob("[0-9]*/status"):
        text = status.read_text(encoding="utf-8")
        if f"PPid:\t{lab.process.pid}\n" in text and (size := re.search(r"VmRSS:\s+(\d+)", text)):
            return int(status.parent.name), int(size[1]) / 1024
    return 0, 0.0
