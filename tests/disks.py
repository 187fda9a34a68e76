"""A disk of its own for tests of full and read-only disks."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class NoDiskError(Exception):
    """This machine lets tests mount no disk."""


@contextmanager
def small_disk(folder: Path, size: str = "1m") -> Iterator[Path]:
    """Mounts an empty disk in memory of this size, such as `1m` or `64k`, at a folder; needs Linux and root."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise NoDiskError("only root on Linux may mount a small disk") from error
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def make_read_only(folder: Path) -> None:
    """Remounts the disk at this folder: not even root can write to it."""
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
