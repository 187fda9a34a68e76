"""Oxford-IIIT Pet from its makers' server: fetched, checked, unpacked; repaired where something is missing.

torchvision can download it as well, but it trusts any folder that exists, so that a download that broke off
stays broken, and after a break it begins anew. Addresses and checksums are torchvision's own.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse
from pathlib import Path, PurePosixPath
from tarfile import TarFile, TarInfo

from tqdm import tqdm

from petseg.errors import DataError

if sys.platform != "win32":
    import fcntl

#: Tries in a row that bring no new byte before a download gives up; the first pause between two, in seconds.
TRIES = 5
PAUSE = 1.0

_AGAIN = "Run `petseg data oxford` again: it goes on where it stopped."
_OF_THIS_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.EFBIG}


def fetch_oxford(root: Path, *, progress: bool = True) -> Path:
    """Bring Oxford-IIIT Pet to `root`, or complete what is there; a complete folder needs no network.

    What is missing decides what is fetched: photos (0.8 GB) or annotations (20 MB). An archive is downloaded
    beside the data, checked, unpacked into a folder of its own and only then moved into place, file by file:
    what is already there stays until its replacement is whole. An archive that torchvision left is used.
    Of two processes at the same time, the second waits and finds the work done.

    Args:
        root: the data folder; the data set lands in `root/oxford-iiit-pet`.
        progress: show progress bars on stderr.

    Returns:
        The folder `root/oxford-iiit-pet`.

    Raises:
        DataError: network, disk or checksum are in the way.
    """
    folder = root / "oxford-iiit-pet"
    try:
        if verify_oxford(folder):
            folder.mkdir(parents=True, exist_ok=True)
            with _alone(folder):
                _complete(folder, progress)
    except OSError as error:
        raise DataError(
            f"{folder}: cannot be written ({error.strerror or error}). Make room or choose another folder "
            f"with PETSEG_DATA_DIR. {_AGAIN}"
        ) from error
    return folder


def verify_oxford(folder: Path) -> list[str]:
    """What a folder in the layout of Oxford-IIIT Pet lacks, one sentence each; an empty list means complete.

    Every photo and trimap that the split lists name must be there and hold something. More files are welcome:
    the official folder has photos that no list names, and macOS's `._` files among the trimaps.

    Args:
        folder: holds `images/` and `annotations/`.
    """
    problems: list[str] = []
    names: set[str] = set()
    for split in ("trainval.txt", "test.txt"):
        found, wrong = _names(folder, split)
        names |= found
        problems += wrong
    if not problems and (folder / "annotations/list.txt").is_file():
        forgotten = _names(folder, "list.txt")[0] - names
        if forgotten:
            problems.append(f"annotations/trainval.txt and test.txt lack {len(forgotten)} names of list.txt")
    for place, suffix in (("annotations/trimaps", ".png"), ("images", ".jpg")):
        sizes = _sizes(folder / place)
        for file in sorted(name + suffix for name in names):
            if not sizes.get(file):
                problems.append(f"{place}/{file} is {'empty' if file in sizes else 'missing'}")
    return problems


def resources() -> dict[str, tuple[str, str]]:
    """Address and MD5 of the archives `annotations` and `images`, from torchvision."""
    from torchvision.datasets import OxfordIIITPet  # here, because a complete folder needs no torchvision

    return {_name(url).split(".")[0]: (url, md5) for url, md5 in OxfordIIITPet._RESOURCES}


def _names(folder: Path, file: str) -> tuple[set[str], list[str]]:
    """Image names of a list of `annotations/`, and what is wrong with it."""
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
    """Size in bytes of each file of a folder; of none where there is no folder."""
    if not folder.is_dir():
        return {}
    with os.scandir(folder) as entries:
        return {entry.name: entry.stat().st_size for entry in entries if entry.is_file()}


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait until no other process works on `folder`, then keep the others out.

    The lock is the operating system's and ends with the process, however that ends: no stale lock file can
    block the next run. Windows has no `flock`; one download at a time is the user's care there.
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
        except OSError as error:  # some network drives know no locks
            print(f"{folder} cannot be locked ({error.strerror}): fill it once at a time.", file=sys.stderr)
        yield
    finally:
        os.close(handle)


def _complete(folder: Path, progress: bool) -> None:
    """Fetch and unpack what is missing: annotations first, for their lists name the photos."""
    sources = resources()
    for part in ("annotations", "images"):
        if any(problem.startswith(f"{part}/") for problem in verify_oxford(folder)):
            archive = _archive(*sources[part], folder, progress)
            _unpack(archive, folder, progress)
            if archive.suffix == ".part":  # ours; what torchvision left stays
                archive.unlink()
    problems = verify_oxford(folder)
    if problems:
        raise DataError(
            f"{folder}: still incomplete after unpacking the official archives: {problems[0]} "
            f"({len(problems)} such problems). Remove the folder and run `petseg data oxford` again."
        )


def _archive(url: str, md5: str, folder: Path, progress: bool) -> Path:
    """The archive with the checksum `md5`: one that lies in `folder`, else a `.part` file, downloaded."""
    whole = folder / _name(url)
    part = folder / f"{whole.name}.part"
    for path in (whole, part):
        if path.is_file() and _md5(path) == md5:
            return path
    for _ in range(2):  # a second time, anew: the file on the server may have changed between two parts
        _download(url, part, progress)
        came = _md5(part)
        if came == md5:
            return part
        part.unlink()
    raise DataError(
        f"{url}: came with MD5 {came}, expected {md5}. A proxy or a login page may have answered "
        "instead of the server; open the address in a browser, then run `petseg data oxford` again."
    )


def _download(url: str, part: Path, progress: bool) -> None:
    """Bring `part` to the full length of `url`; every try goes on where the one before broke off."""
    longest, failures = _length(part), 0
    while True:
        try:
            return _try(url, part, progress)
        except (OSError, HTTPException) as error:
            if getattr(error, "errno", None) in _OF_THIS_DISK:
                raise
            failures = 0 if _length(part) > longest else failures + 1
            longest = max(longest, _length(part))
            if failures == TRIES or _is_final(error):
                raise DataError(
                    f"{url}: {longest / 1e6:.1f} MB came, then: {_reason(error)}. "
                    f"Check the connection to {urllib.request.Request(url).host}. {_AGAIN}"
                ) from error
        time.sleep(PAUSE * 2 ** max(failures - 1, 0))


def _try(url: str, part: Path, progress: bool) -> None:
    """One request for the bytes that `part` lacks.

    A server that does not know ranges sends the whole file; then `part` begins anew.
    """
    have = _length(part)
    request = urllib.request.Request(url, headers={"User-Agent": "petseg"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        response = urllib.request.urlopen(request, timeout=60)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # `part` is longer than the file: it is another file's
            part.unlink()
        raise
    with response:
        if not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            have = 0
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else None
        _check_room(part, have, total)
        _append(response, part, have, total, progress)


def _append(response: HTTPResponse, part: Path, have: int, total: int | None, progress: bool) -> None:
    """Write the body of `response` to `part` behind its first `have` bytes."""
    bar = tqdm(total=total, initial=have, unit="B", unit_scale=True, desc=part.stem, disable=not progress)
    with bar, part.open("ab" if have else "wb") as file:
        while chunk := response.read(1 << 16):
            file.write(chunk)
            bar.update(len(chunk))
    if total is not None and _length(part) < total:
        raise ConnectionError(f"the connection ended {total - _length(part):,} bytes early")


def _check_room(part: Path, have: int, total: int | None) -> None:
    """Refuse what the disk cannot hold: the rest of the archive, and its files, which are no smaller."""
    needed = 2 * (total or 0) - have
    free = shutil.disk_usage(part.parent).free
    if free < needed:
        raise DataError(
            f"{part.stem}: needs {needed / 1e9:.1f} GB in {part.parent}, where {free / 1e9:.1f} GB are free. "
            f"Make room or choose another folder with PETSEG_DATA_DIR. {_AGAIN}"
        )


def _unpack(archive: Path, folder: Path, progress: bool) -> None:
    """Unpack `archive` beside the data, then move every file into place in one step each."""
    fresh = folder / ".unpacking"
    shutil.rmtree(fresh, ignore_errors=True)  # of a run that was killed
    fresh.mkdir()
    with TarFile.open(archive, "r|gz") as tar:
        title = f"unpack {archive.name.split('.')[0]}"
        for member in tqdm(tar, desc=title, unit=" files", disable=not progress):
            _extract(tar, member, fresh)
    for path in sorted(path for path in fresh.rglob("*") if path.is_file()):
        place = folder / path.relative_to(fresh)
        place.parent.mkdir(parents=True, exist_ok=True)
        path.replace(place)
    shutil.rmtree(fresh)


def _extract(tar: TarFile, member: TarInfo, fresh: Path) -> None:
    """Write one plain file of an archive below `fresh`; links, devices and macOS's `._` files are left out.

    `TarFile.extractall(filter="data")` would guard as well, but Python 3.11.0 to 3.11.3 do not know it.
    """
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts:
        raise DataError(f"The archive holds {member.name!r}, outside of its folder; nothing was moved.")
    source = tar.extractfile(member) if member.isfile() and not path.name.startswith("._") else None
    if source is not None:
        place = fresh / path
        place.parent.mkdir(parents=True, exist_ok=True)
        with source, place.open("wb") as file:
            shutil.copyfileobj(source, file)


def _is_final(error: Exception) -> bool:
    """Whether the server has said no, so that asking again brings nothing."""
    code = error.code if isinstance(error, urllib.error.HTTPError) else 0
    return 400 <= code < 500 and code not in (408, 416, 429)  # time-out, bad range, too many requests


def _reason(error: Exception) -> str:
    """What went wrong, in the words of the error below: a `URLError` only wraps one."""
    cause: object = error.reason if type(error) is urllib.error.URLError else error
    return str(cause) or type(error).__name__


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _name(url: str) -> str:
    return url.rsplit("/", 1)[-1]
