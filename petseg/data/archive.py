"""An archive from a server: downloaded in as many parts as it takes, checked, and unpacked file by file."""

from __future__ import annotations

import errno
import hashlib
import shutil
import time
import urllib.error
import urllib.request
from http.client import HTTPException, HTTPResponse
from pathlib import Path, PurePosixPath
from tarfile import TarFile, TarInfo

from tqdm import tqdm

from petseg.errors import DataError

#: Attempts in a row without a new byte before a download gives up; the first pause between two, in seconds.
ATTEMPTS = 5
PAUSE = 1.0

#: Errors of the local disk, which no further attempt can mend.
DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.EFBIG}

AGAIN = "Run `petseg data oxford` again: it continues where it stopped."


def fetch_archive(url: str, md5: str, folder: Path, progress: bool) -> Path:
    """A file with the checksum `md5`: one that is in `folder` already, else a `.part` file, downloaded.

    Raises:
        DataError: the server cannot be reached, or sends another file.
        OSError: the disk cannot be written.
    """
    whole = folder / url.rsplit("/", 1)[-1]
    part = folder / f"{whole.name}.part"
    for path in (whole, part):
        if path.is_file() and _md5(path) == md5:
            return path
    for _ in range(2):  # a second time from the start, as the server's file may have changed between two attempts
        _download(url, part, progress)
        checksum = _md5(part)
        if checksum == md5:
            return part
        part.unlink()
    raise DataError(
        f"{url}: came with MD5 {checksum}, expected {md5}. A proxy or a login page may have answered "
        "instead of the server; open the address in a browser, then run `petseg data oxford` again."
    )


def unpack(archive: Path, folder: Path, progress: bool) -> None:
    """Unpacks a .tar.gz beside the data, then moves its files into `folder` one by one.

    Raises:
        DataError: the archive names a file outside the folder.
        OSError: the disk cannot be written.
    """
    temporary = folder / ".unpacking"
    shutil.rmtree(temporary, ignore_errors=True)  # of a run that was killed
    temporary.mkdir()
    with TarFile.open(archive, "r|gz") as tar:
        title = f"unpack {archive.name.split('.')[0]}"
        for member in tqdm(tar, desc=title, unit=" files", disable=not progress):
            _extract(tar, member, temporary)
    for path in sorted(path for path in temporary.rglob("*") if path.is_file()):
        target = folder / path.relative_to(temporary)
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)  # a reader sees the old file or the whole new one
    shutil.rmtree(temporary)


def _download(url: str, part: Path, progress: bool) -> None:
    """Completes `part`; every attempt continues where the one before stopped."""
    longest, failures = _length(part), 0
    while True:
        try:
            return _attempt(url, part, progress)
        except (OSError, HTTPException) as error:
            if getattr(error, "errno", None) in DISK_ERRORS:
                raise
            failures = 0 if _length(part) > longest else failures + 1
            longest = max(longest, _length(part))
            if failures == ATTEMPTS or _is_final(error):
                raise DataError(
                    f"{url}: {longest / 1e6:.1f} MB came, then: {_reason(error)}. "
                    f"Check the connection to {urllib.request.Request(url).host}. {AGAIN}"
                ) from error
        time.sleep(PAUSE * 2 ** max(failures - 1, 0))  # twice as long each time, so that a busy server can recover


def _attempt(url: str, part: Path, progress: bool) -> None:
    """One request for the bytes that `part` lacks."""
    have = _length(part)
    request = urllib.request.Request(url, headers={"User-Agent": "petseg"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        response = urllib.request.urlopen(request, timeout=60)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # `part` is longer than the file, so it belongs to another file
            part.unlink()
        raise
    with response:
        if not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            have = 0  # the server does not support ranges and sends the whole file
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else None
        _check_free_space(part, have, total)
        _append(response, part, have, total, progress)


def _append(response: HTTPResponse, part: Path, have: int, total: int | None, progress: bool) -> None:
    """Writes the body of `response` to `part` after its first `have` bytes."""
    bar = tqdm(total=total, initial=have, unit="B", unit_scale=True, desc=part.stem, disable=not progress)
    with bar, part.open("ab" if have else "wb") as file:
        while chunk := response.read(1 << 16):
            file.write(chunk)
            bar.update(len(chunk))
    if total is not None and _length(part) < total:
        raise ConnectionError(f"the connection ended {total - _length(part):,} bytes early")


def _check_free_space(part: Path, have: int, total: int | None) -> None:
    needed = 2 * (total or 0) - have  # the rest of the archive and its files, which are about as large as the archive
    free = shutil.disk_usage(part.parent).free
    if free < needed:
        raise DataError(
            f"{part.stem}: needs {needed / 1e9:.1f} GB in {part.parent}, where {free / 1e9:.1f} GB are free. "
            f"Free some space or choose another folder with PETSEG_DATA_DIR. {AGAIN}"
        )


def _extract(tar: TarFile, member: TarInfo, folder: Path) -> None:
    """Writes a plain file of an archive below `folder`; links, devices and macOS's `._` files are left out.

    `TarFile.extractall(filter="data")` would check paths as well, but Python 3.11.0 to 3.11.3 do not have it.
    """
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts:
        raise DataError(f"The archive holds {member.name!r}, outside of its folder; nothing was moved.")
    source = tar.extractfile(member) if member.isfile() and not path.name.startswith("._") else None
    if source is not None:
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with source, target.open("wb") as file:
            shutil.copyfileobj(source, file)


def _is_final(error: Exception) -> bool:
    """Whether the server has refused, so that another attempt is useless."""
    code = error.code if isinstance(error, urllib.error.HTTPError) else 0
    return 400 <= code < 500 and code not in (408, 416, 429)  # time-out, bad range, too many requests


def _reason(error: Exception) -> str:
    """The message of the error; a `URLError` only wraps another one."""
    cause: object = error.reason if type(error) is urllib.error.URLError else error
    return str(cause) or type(error).__name__


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
