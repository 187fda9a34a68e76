"""Oxford-IIIT Pet from its authors' server: downloaded, verified, and repaired where files are missing.

torchvision can download it too, but it accepts any folder that exists, even after an interrupted download, and it
starts such a download from the beginning.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from petseg.data.archive import AGAIN, fetch_archive, unpack
from petseg.errors import DataError

if sys.platform != "win32":
    import fcntl

SERVER: Final = "https://www.robots.ox.ac.uk/~vgg/data/pets/data"

#: Address and MD5 of each archive, in the order of download: the annotations' lists name the photos.
ARCHIVES: Final = {
    "annotations": (f"{SERVER}/annotations.tar.gz", "95a8c909bbe2e81eed6a22bccdf3f68f"),
    "images": (f"{SERVER}/images.tar.gz", "5c4f3ee8e5d25df40f4fd59a7f44e54c"),
}


def fetch_oxford(root: Path, *, progress: bool = True) -> Path:
    """Downloads Oxford-IIIT Pet to `root`, or completes it; a complete folder needs no network.

    Only archives with missing files are fetched: photos (0.8 GB) or annotations (20 MB). An archive is downloaded
    beside the data, verified, unpacked into a temporary folder and then moved, file by file: existing files stay until
    their replacement is whole. Archives that torchvision has left are used. Of two processes at the same time, the
    second waits for the first.

    Args:
        root: the data folder; the data set is written to `root/oxford-iiit-pet`.
        progress: show progress bars on stderr.

    Returns:
        The folder `root/oxford-iiit-pet`.

    Raises:
        DataError: the network or the disk fails, or a checksum is wrong.
    """
    folder = root / "oxford-iiit-pet"
    try:
        if verify_oxford(folder):
            folder.mkdir(parents=True, exist_ok=True)
            with _locked(folder):
                _complete(folder, progress)
    except OSError as error:
        raise DataError(
            f"{folder}: cannot be written ({error.strerror or error}). Free some space or choose another folder "
            f"with PETSEG_DATA_DIR. {AGAIN}"
        ) from error
    return folder


def verify_oxford(folder: Path) -> list[str]:
    """What a folder in the layout of Oxford-IIIT Pet lacks, one sentence each; an empty list means complete.

    Every photo and trimap that the split lists name must exist and not be empty. Other files are ignored: the official
    folder has photos that no list names, and macOS's `._` files among the trimaps.

    Args:
        folder: holds `images/` and `annotations/`.
    """
    problems: list[str] = []
    names: set[str] = set()
    for split in ("trainval.txt", "test.txt"):
        listed, wrong = _names(folder, split)
        names |= listed
        problems += wrong
    if not problems and (folder / "annotations/list.txt").is_file():
        unlisted = _names(folder, "list.txt")[0] - names
        if unlisted:
            problems.append(f"annotations/trainval.txt and test.txt lack {len(unlisted)} names of list.txt")
    for subfolder, suffix in (("annotations/trimaps", ".png"), ("images", ".jpg")):
        sizes = _sizes(folder / subfolder)
        for file in sorted(name + suffix for name in names):
            if not sizes.get(file):
                problems.append(f"{subfolder}/{file} is {'empty' if file in sizes else 'missing'}")
    return problems


def _names(folder: Path, file: str) -> tuple[set[str], list[str]]:
    """Image names of a list in `annotations/`, and what is wrong with the list."""
    path = folder / "annotations" / file
    if not path.is_file():
        return set(), [f"annotations/{file} is missing"]
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    rows = [line.split() for line in lines if line.strip() and not line.startswith("#")]
    if not rows:
        return set(), [f"annotations/{file} names no image"]
    wrong = [" ".join(row) for row in rows if len(row) != 4]
    problems = [f"annotations/{file} holds {wrong[0]!r}; expected a name and three numbers"] if wrong else []
    return {row[0] for row in rows if len(row) == 4}, problems


def _sizes(folder: Path) -> dict[str, int]:
    """Size in bytes of each file of a folder; empty if there is no such folder."""
    if not folder.is_dir():
        return {}
    with os.scandir(folder) as entries:  # one pass instead of a call per file
        return {entry.name: entry.stat().st_size for entry in entries if entry.is_file()}


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Waits until no other process works on `folder`, then locks it.

    The lock belongs to the operating system and ends with the process, so that a killed process blocks nobody. Windows
    has no `flock`: there, start one download at a time.
    """
    if sys.platform == "win32":
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"Another process is filling {folder}; waiting for it.", file=sys.stderr)
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError as error:  # some network drives have no locks
            print(f"{folder} cannot be locked ({error.strerror}): start one download at a time.", file=sys.stderr)
        yield
    finally:
        os.close(handle)


def _complete(folder: Path, progress: bool) -> None:
    """Fetches and unpacks the archives with missing files."""
    for part, (url, md5) in ARCHIVES.items():
        if any(problem.startswith(f"{part}/") for problem in verify_oxford(folder)):
            archive = fetch_archive(url, md5, folder, progress)
            unpack(archive, folder, progress)
            if archive.suffix == ".part":  # downloaded here; archives of torchvision stay
                archive.unlink()
    problems = verify_oxford(folder)
    if problems:
        raise DataError(
            f"{folder}: still incomplete after unpacking the official archives: {problems[0]} "
            f"({len(problems)} such problems). Remove the folder and run `petseg data oxford` again."
        )
