"""Oxford-IIIT Pet from its authors' server: downloaded, verified, and completed where files are missing.

torchvision can download it too, but accepts any folder that exists, even after an interrupted download, and starts such
a download from the beginning.
"""

import hashlib
import os
import shutil
import ssl
import sys
import tarfile
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from filelock import FileLock, Timeout
from tqdm import tqdm

from petseg.data.splits import SPLITS, read_split
from petseg.errors import DISK_ERRORS, DataError

SERVER: Final = "https://www.robots.ox.ac.uk/~vgg/data/pets/data"

#: Address and MD5 of each archive. The annotations come first: their lists name the photos.
ARCHIVES: Final = {
    "annotations": (f"{SERVER}/annotations.tar.gz", "95a8c909bbe2e81eed6a22bccdf3f68f"),
    "images": (f"{SERVER}/images.tar.gz", "5c4f3ee8e5d25df40f4fd59a7f44e54c"),
}

#: Attempts in a row without a new byte before a download gives up; seconds before the second attempt, and seconds
#: after which a silent server counts as failed.
ATTEMPTS = 5
PAUSE = 1.0
SILENCE = 60.0

AGAIN = "Start the download again: it continues where it stopped."


def fetch_oxford(root: Path) -> Path:
    """Download Oxford-IIIT Pet to `root/oxford-iiit-pet`, or complete it; a complete folder needs no network.

    Only archives with missing files are fetched: photos (0.8 GB) or annotations (20 MB). Existing files stay until
    their replacement is complete. Archives that torchvision has left are used. Raises DataError if the network or the
    disk fails, a checksum is wrong, or the folder holds other data in the same layout.
    """
    folder = root / "oxford-iiit-pet"
    try:
        if (problems := verify_oxford(folder)) or _leftovers(folder):
            folder.mkdir(parents=True, exist_ok=True)
            with _locked(folder):
                if problems:
                    _refuse_own_data(folder, problems)
                _complete(folder)
                for leftover in _leftovers(folder):
                    shutil.rmtree(leftover, ignore_errors=True)
                    with suppress(OSError):  # a read-only folder is complete all the same
                        leftover.unlink(missing_ok=True)
    except OSError as error:
        raise DataError(
            f"{folder}: cannot be written ({error.strerror or error}). Free some space or choose another folder: "
            f"--dir, or PETSEG_DATA_DIR where that is not given. {AGAIN}"
        ) from error
    return folder


def verify_oxford(folder: Path) -> list[str]:
    """Problems of a data set in the layout of Oxford-IIIT Pet, one sentence each; an empty list means complete.

    Every photo and trimap that the split lists name must exist and not be empty; other files are ignored.
    """
    problems: list[str] = []
    names: dict[str, set[str]] = {}
    for split in (*SPLITS, *(["list"] if (folder / "annotations/list.txt").is_file() else [])):
        try:
            names[split] = {example.name for example in read_split(folder, split)}
        except DataError as error:
            problems.append(f"annotations/{split}.txt cannot be used: {error}")
    if not problems and (unlisted := names.pop("list", set()) - names["trainval"] - names["test"]):
        problems.append(f"annotations/trainval.txt and test.txt lack {len(unlisted)} names of list.txt")
    for subfolder, suffix in (("annotations/trimaps", ".png"), ("images", ".jpg")):
        sizes = _sizes(folder / subfolder)
        for file in sorted(name + suffix for name in set().union(*names.values())):
            if not sizes.get(file):
                problems.append(f"{subfolder}/{file} is {'empty' if file in sizes else 'missing'}")
    return problems


def _sizes(folder: Path) -> dict[str, int]:
    """Size in bytes of each file of a folder; empty if there is no such folder."""
    if not folder.is_dir():
        return {}
    with os.scandir(folder) as entries:
        return {entry.name: entry.stat().st_size for entry in entries if entry.is_file()}


def _leftovers(folder: Path) -> list[Path]:
    """What a download leaves, and one that is killed at its end; torchvision's archives stay."""
    return [path for path in (folder / ".unpacking", *folder.glob("*.tar.gz.part")) if path.exists()]


def _locked(folder: Path) -> AbstractContextManager[Any]:
    """Wait for another process that completes the same folder: two would write to one `.part` file."""
    lock = FileLock(folder.with_name(f".{folder.name}.lock"))
    try:
        return lock.acquire(timeout=0)
    except Timeout:
        print(f"Another process is filling {folder}; waiting for it.", file=sys.stderr)
        return lock.acquire()
    except (OSError, NotImplementedError):  # some network drives have no locks
        return nullcontext()


def _refuse_own_data(folder: Path, problems: Sequence[str]) -> None:
    """Leaves alone what somebody put into the layout of Oxford-IIIT Pet, whose annotations come with a list.txt."""
    lists = [folder / f"annotations/{split}.txt" for split in SPLITS]
    if not (folder / "annotations/list.txt").is_file() and any(path.is_file() for path in lists):
        raise DataError(
            f"{folder}: has no annotations/list.txt, so it seems to hold data of your own, and stays as it is: "
            f"{problems[0]} ({len(problems)} such problems). Mend it, or choose another folder: --dir. If the data "
            "are Oxford-IIIT Pet, delete the lists in annotations/ and start again."
        )


def _complete(folder: Path) -> None:
    for part, (url, md5) in ARCHIVES.items():
        if any(problem.startswith(f"{part}/") for problem in verify_oxford(folder)):
            _unpack(_fetch(url, md5, folder), folder)
    problems = verify_oxford(folder)
    if problems:
        raise DataError(
            f"{folder}: still incomplete after unpacking the official archives: {problems[0]} "
            f"({len(problems)} such problems). Remove the folder and start again."
        )


def _fetch(url: str, md5: str, folder: Path) -> Path:
    """A file with this checksum: one that exists in `folder`, or else a downloaded `.part` file."""
    archive = folder / url.rsplit("/", 1)[-1]
    part = folder / f"{archive.name}.part"
    for path in (archive, part):
        if path.is_file() and _md5(path) == md5:
            return path
    for _ in range(2):  # a second time from the start: the server's file may have changed between two attempts
        _download(url, part)
        if _md5(part) == md5:
            return part
        part.unlink()
    raise DataError(
        f"{url}: the downloaded file does not have the MD5 {md5}. A proxy or a login page may have answered "
        "instead of the server; open the address in a browser, then start again."
    )


def _download(url: str, part: Path) -> None:
    """Complete `part`; each attempt continues where the last one stopped."""
    earlier = longest = _length(part)  # `earlier`: what another run left
    failures = 0
    while True:
        try:
            return _attempt(url, part)
        except (OSError, HTTPException, ValueError) as error:  # ValueError: a header that is no number
            if getattr(error, "errno", None) in DISK_ERRORS:
                raise
            failures = 0 if _length(part) > longest else failures + 1
            longest = max(longest, _length(part))
            if isinstance(error, HTTPError) and error.code == 416 and earlier:
                part.unlink()  # it is no shorter than the file, so it belongs to another file
                earlier = longest = failures = 0
                continue
            again, remedy = _verdict(error, Request(url).host)
            if failures == ATTEMPTS or not again:
                reason = error.reason if type(error) is URLError else error
                cause = " ".join(str(reason).split()) or type(reason).__name__
                raise DataError(f"{url}: {longest / 1e6:.1f} MB came, then: {cause}. {remedy} {AGAIN}") from error
        time.sleep(PAUSE * 2 ** max(failures - 1, 0))  # twice as long each time, so that a busy server can recover


def _verdict(error: Exception, host: str) -> tuple[bool, str]:
    """Whether another attempt may succeed, and what the user can do."""
    if isinstance(getattr(error, "reason", None), ssl.SSLCertVerificationError):
        mac = "With Python from python.org, run 'Install Certificates.command', which is in its folder, first. "
        proxy = "If your network uses its own certificates, set SSL_CERT_FILE to a file that holds them."
        remedy = f"{mac if sys.platform == 'darwin' else ''}{proxy}"
        return False, f"The certificate of {host} is not trusted here. {remedy}"
    if not isinstance(error, HTTPError):
        return True, f"Check the connection to {host}."
    if error.code >= 500:
        return True, f"The fault is that of {host}, not yours: wait a while."
    return error.code in (408, 429), f"{host} refuses: open the address in a browser."  # time-out, too many requests


def _attempt(url: str, part: Path) -> None:
    """Request the bytes that `part` lacks and append them."""
    start = _length(part)
    headers = {"User-Agent": "petseg"} | ({"Range": f"bytes={start}-"} if start else {})
    with urlopen(Request(url, headers=headers), timeout=SILENCE) as response:
        if response.headers.get_content_type() == "text/html":
            raise DataError(
                f"{url}: a page came instead of the file, as from a proxy or a login. Open the address in a browser, "
                "then start again: what came before is kept."
            )
        if not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
            start = 0  # the server does not support ranges and sends the whole file
        total = start + int(response.headers.get("Content-Length", 0))
        bar = tqdm(total=total, initial=start, unit="B", unit_scale=True, desc=part.stem)
        with bar, part.open("ab" if start else "wb") as file:
            while chunk := response.read(1 << 16):
                file.write(chunk)
                bar.update(len(chunk))
    if _length(part) < total:
        raise ConnectionError(f"the connection ended {total - _length(part):,} bytes early")


def _unpack(archive: Path, folder: Path) -> None:
    """Unpack a .tar.gz beside the data, then move file by file: a reader sees the old file or the complete new one."""
    work = folder / ".unpacking"
    shutil.rmtree(work, ignore_errors=True)  # of a process that was killed
    try:
        work.mkdir()
        with tarfile.open(archive, "r|gz") as tar:
            tar.extraction_filter = getattr(tarfile, "data_filter", None)  # before Python 3.11.4 only the MD5 protects
            files = (member for member in tar if member.isfile() and "/._" not in member.name)  # `._` files are macOS's
            title = f"unpack {archive.name.split('.')[0]}"
            tar.extractall(work, tqdm(files, desc=title, unit=" files"))
        for path in sorted(path for path in work.rglob("*") if path.is_file()):
            target = folder / path.relative_to(work)
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)
    finally:
        shutil.rmtree(work, ignore_errors=True)  # if the disk is full, at least not by this


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
