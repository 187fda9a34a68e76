"""Caches and downloads: killed, on a full disk, two at once, with flipped bytes, from servers that misbehave."""

import os
import random
import resource
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, suppress
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from archives import Handler, Server, archive_server, photo
from disks import NoDiskError, small_disk
from PIL import Image
from tqdm import tqdm

from petseg.data import download
from petseg.data.cache import Pixels, open_pixels
from petseg.data.cartoons import write_dataset
from petseg.data.decode import decode
from petseg.data.download import fetch_oxford, verify_oxford
from petseg.errors import PetsegError
from petseg.files import write_json
from petseg.training.callbacks import AtomicCheckpointIO

from . import Skipped, Tally, refused

NAME = "caches and downloads"


def run(scale: str) -> dict[str, Any]:
    """Tries everything once, in full with hundreds of kills and flips at random places."""
    if not hasattr(os, "fork"):
        raise Skipped("kills processes that only `os.fork` starts fast enough")
    tally, generator = Tally(), random.Random(0)
    tqdm.set_lock(threading.RLock())  # its own is shared by processes: a killed one would keep it for ever
    with TemporaryDirectory() as name, redirect_stderr(StringIO()):  # each damaged cache says a line
        root = Path(name)
        count = 6 if scale == "short" else 150
        files = draw(root / "files", 120)
        truth = [np.stack(arrays) for arrays in zip(*(decode(*pair, 64) for pair in files), strict=True)]

        def right(pixels: Pixels) -> None:
            assert np.array_equal(pixels.images, truth[0])
            assert np.array_equal(pixels.masks, truth[1])
            assert not list((root / "cache").glob(".*")), "a draft is left"

        def opened() -> Pixels:
            return open_pixels(files, 64, root / "cache", "some", progress=False)

        caches(tally, generator, count, root, opened, right)
        limited_files(tally, root, files)
        with tally.unless(NoDiskError):
            full_disks(tally, root, files)
        with archive_server() as server, patch.object(download, "ARCHIVES", server.table()), no_pauses():
            downloads(tally, generator, count, root, server)
    return tally.row()


def draw(folder: Path, count: int) -> list[tuple[Path, Path]]:
    """Random photos and trimaps."""
    folder.mkdir()
    generator = np.random.default_rng(0)
    pairs = [(folder / f"{number}.jpg", folder / f"{number}.png") for number in range(count)]
    for image, trimap in pairs:
        Image.fromarray(generator.integers(0, 256, (96, 128, 3), np.uint8)).save(image)
        Image.fromarray(generator.integers(1, 4, (96, 128), np.uint8)).save(trimap)
    return pairs


def caches(
    tally: Tally,
    generator: random.Random,
    count: int,
    root: Path,
    opened: Callable[[], Pixels],
    right: Callable[[Pixels], None],
) -> None:
    """Decoding that is killed or done twice at once, and caches that are damaged later."""
    start = time.perf_counter()
    right(opened())
    taken = time.perf_counter() - start
    for number in range(count):
        shutil.rmtree(root / "cache")
        with tally.case(f"decoding killed, number {number}", seconds=10):
            killed(opened, generator.uniform(0, taken))
            right(opened())
    for number in range(count // 4):
        shutil.rmtree(root / "cache")
        with tally.case(f"three decode at once, one is killed, number {number}", seconds=20):
            processes = [child(opened) for _ in range(3)]
            time.sleep(generator.uniform(0, taken))
            os.kill(processes[0], signal.SIGKILL)
            assert [os.waitpid(process, 0)[1] for process in processes][1:] == [0, 0]
            right(opened())
    folder = Path(opened().images.filename).parent
    for number in range(3 * count):
        path = folder / ("images.npy", "masks.npy", "checksums.json")[number % 3]
        content = bytearray(path.read_bytes())
        with tally.case(f"{path.name} with a flipped byte, number {number}", seconds=10):
            content[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
            path.write_bytes(content)
            right(opened())
        with tally.case(f"{path.name} cut off, number {number}", seconds=10):
            os.truncate(path, generator.randrange(len(content) - 1))
            right(opened())
    for name in ("images.npy", "masks.npy", "checksums.json"):
        with tally.case(f"{name} missing", seconds=10):
            (folder / name).unlink()
            right(opened())


def full_disks(tally: Tally, root: Path, files: list[tuple[Path, Path]]) -> None:
    """Everything that writes, on disks of several sizes; the old file stays, and nothing else."""
    writers: dict[str, tuple[Callable[[Path], object], str]] = {
        "decoding": (lambda disk: open_pixels(files, 64, disk, "some", progress=False), "PETSEG_CACHE_DIR"),
        "json": (lambda disk: write_json(disk / "a.json", "x" * 2_000_000), r"a\.json: cannot be written"),
        "cartoons": (lambda disk: write_dataset(disk), r"(jpg|png): cannot be written"),
        "checkpoint": (
            lambda disk: AtomicCheckpointIO().save_checkpoint({"weights": torch.zeros(500_000)}, disk / "a.ckpt"),
            r"a\.ckpt: cannot be written",
        ),
    }
    for size in ("16k", "100k", "500k", "1m"):
        for title, (write, sentence) in writers.items():
            with small_disk(root / "disk", size) as disk, tally.case(f"{title} on a disk of {size}", seconds=10):
                for name in ("a.json", "a.ckpt"):
                    (disk / name).write_text("old")
                refused(lambda disk=disk, write=write: write(disk), sentence)
                assert (disk / "a.json").read_text() == (disk / "a.ckpt").read_text() == "old"
                assert not list(disk.glob(".[pd]*")), "a part is left"


def limited_files(tally: Tally, root: Path, files: list[tuple[Path, Path]]) -> None:
    """Decoding where files may not become as large as the cache."""
    for size in (1_000, 100_000, 400_000):
        with tally.case(f"decoding with files of at most {size} bytes", seconds=10):

            def limited(size: int = size) -> None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
                refused(lambda: open_pixels(files, 64, root / "limited", "some", progress=False), "PETSEG_CACHE_DIR")

            assert os.waitpid(child(limited), 0)[1] == 0


def downloads(tally: Tally, generator: random.Random, count: int, root: Path, server: Server) -> None:
    """After each trouble the next try, from a healthy server, completes the data set."""
    for number, (name, answer) in enumerate(ANSWERS.items()):
        with tally.case(f"download: {name}", seconds=20):
            server.misbehave = answer
            with suppress(PetsegError):
                fetch_oxford(root / f"download {number}")
                assert name.startswith("moved"), "complete without the right files"
            server.misbehave = None
            complete(root / f"download {number}")
    for number in range(count):
        folder = root / f"killed download {number}"
        with tally.case(f"download killed, number {number}", seconds=10):
            killed(lambda folder=folder: fetch_oxford(folder), generator.uniform(0, 0.05))
            complete(folder)
    with tally.unless(NoDiskError), small_disk(root / "disk", "700k") as disk:
        with tally.case("download on a full disk", seconds=10):
            refused(lambda: fetch_oxford(disk), "No space left.*PETSEG_DATA_DIR")
        with tally.case("download without an end on a full disk", seconds=10):
            server.misbehave = without_an_end
            refused(lambda: fetch_oxford(disk / "other"), "No space left.*PETSEG_DATA_DIR")


def complete(root: Path) -> None:
    folder = fetch_oxford(root)
    assert verify_oxford(folder) == []
    assert (folder / "images/Birman_1.jpg").read_bytes() == photo("Birman_1")
    assert {path.name for path in folder.iterdir()} == {"annotations", "images"}


def send(request: Handler, body: bytes, length: object = None, code: int = 200, **headers: str) -> None:
    """An answer whose header need not tell the truth."""
    request.send_response(code)
    for name, value in headers.items():
        request.send_header(name.replace("_", "-"), value)
    if length is not None:
        request.send_header("Content-Length", str(length))
    request.end_headers()
    with suppress(OSError):  # the client has gone away
        request.wfile.write(body)


def half_then_silence(request: Handler, body: bytes) -> None:
    send(request, body[: len(body) // 2], len(body))
    time.sleep(0.3)


def moved(request: Handler, body: bytes) -> None:
    if "moved" in request.path:
        send(request, body, len(body))
    else:
        request.server.files |= {f"moved/{request.path[1:]}": body}
        send(request, b"", 0, 301, Location=f"/moved{request.path}")


def without_an_end(request: Handler, _: bytes) -> None:
    with suppress(OSError):
        send(request, b"")
        while True:
            request.wfile.write(bytes(1 << 16))


#: What a server may answer to a request `r` for the bytes `b`.
ANSWERS: dict[str, Callable[[Handler, bytes], object]] = {
    "a wrong checksum": lambda r, b: send(r, b[:-1] + b"x", len(b)),
    "a page for the login": lambda r, b: send(r, b"<html>Log in</html>", 19),
    "silence": lambda r, b: time.sleep(0.3),
    "half of it, then silence": half_then_silence,
    "a circle of redirects": lambda r, b: send(r, b"", 0, 302, Location=r.path),
    "a redirect to a file": lambda r, b: send(r, b"", 0, 302, Location="file:///etc/hostname"),
    "a redirect to nowhere": lambda r, b: send(r, b"", 0, 302, Location="http://[nowhere/"),
    "moved": moved,
    "a length that is no number": lambda r, b: send(r, b, "many"),
    "a length below zero": lambda r, b: send(r, b[:100], -5),
    "a length that is too small": lambda r, b: send(r, b, len(b) - 1),
    "another range": lambda r, b: send(r, b[7:], len(b) - 7, 206, Content_Range=f"bytes 7-{len(b) - 1}/{len(b)}"),
    "no answer": lambda r, b: r.connection.close(),
    "no HTTP": lambda r, b: r.wfile.write(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"),
    "headers without an end": lambda r, b: r.wfile.write(b"HTTP/1.0 200 OK\r\n" + b"X-More: x\r\n" * 1000),
    "broken chunks": lambda r, b: send(r, b"ffff\r\n" + b[:100], Transfer_Encoding="chunked"),
    "nothing at all": lambda r, b: send(r, b"", 0, 204),
    **{
        f"status {code}": lambda r, b, code=code: r.send_error(code)
        for code in (400, 403, 404, 408, 410, 416, 429, 500, 502, 503, 504)
    },
    **{
        f"cut at {tenth}0%": lambda r, b, tenth=tenth: send(r, b[: tenth * len(b) // 10], len(b)) for tenth in range(10)
    },
}


@contextmanager
def no_pauses() -> Iterator[None]:
    """Attempts follow at once, a server counts as silent after a fifth of a second, and no proxy is asked."""
    with patch.object(download, "PAUSE", 0), patch.object(download, "SILENCE", 0.2), patch.dict(os.environ):
        for proxy in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            os.environ.pop(proxy, None)
        yield


def child(action: Callable[[], object]) -> int:
    """A process that does this and ends with status 0, or 1 if it fails."""
    process = os.fork()
    if process == 0:
        try:
            action()
            os._exit(0)
        finally:
            os._exit(1)
    return process


def killed(action: Callable[[], object], seconds: float) -> None:
    """Does this in a process that is killed after so many seconds, if it is not done by then."""
    process = child(action)
    timer = threading.Timer(seconds, os.kill, (process, signal.SIGKILL))
    timer.start()
    os.waitpid(process, 0)
    timer.cancel()
