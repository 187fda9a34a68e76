"""A `petseg` command in a separate process."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from petseg.files import cache_folder, data_folder


def run_command(
    line: str, folder: Path, threads: int | None = 1, show: bool = False, timeout: float | None = 300
) -> None:
    """Runs a `petseg` command in a separate process and waits for its end; what it prints is shown only when it fails.

    Ctrl-C and SIGTERM end the command, too, which would otherwise train on unseen.

    Args:
        line: as one would type it: `petseg fit --trainer.max_epochs 2`.
        folder: where it runs, and where `output.txt` keeps what it prints; made if missing.
        threads: of PyTorch, by default one: several processes run at once, and sums come out the same. None leaves the
            number to PyTorch.
        show: let it print to this process's own output instead.
        timeout: seconds after which it is killed; None waits for as long as it takes.

    Raises:
        RuntimeError: it failed or took longer; the message ends with what it printed last.
        SystemExit: with 143 after SIGTERM.
        ValueError: the line is none of `petseg`.
    """
    program, *arguments = shlex.split(line)
    if program != "petseg":
        raise ValueError(f"{line!r}: must begin with petseg.")
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "output.txt"
    environment = {**os.environ, **({} if threads is None else {"OMP_NUM_THREADS": str(threads)})}
    # absolute, since the process has another current folder
    environment |= {"PETSEG_DATA_DIR": str(data_folder()), "PETSEG_CACHE_DIR": str(cache_folder())}
    with _sigterm_raises() as begun, file.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "petseg.cli", *arguments],
            cwd=folder,
            env=environment,
            stdout=None if show else output,
            stderr=None if show else subprocess.STDOUT,
        )
        try:
            begun()
            status: int | str = process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            status = f"none after {timeout:.0f} s"
        except BaseException:
            process.terminate()
            process.wait()
            raise
    if status != 0:
        raise RuntimeError(f"{line}: exit status {status}. It said:\n{file.read_text()[-2000:]}")


@contextmanager
def _sigterm_raises() -> Iterator[Callable[[], None]]:
    """Turns SIGTERM into SystemExit, where Python allows it: in the main thread.

    Yields:
        a function to call when the process is there that must end with this one: a signal waits until then.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    ready, waiting = False, False

    def leave(number: int, frame: object) -> None:
        nonlocal waiting
        waiting = True
        if ready:
            raise SystemExit(128 + number)

    def begun() -> None:
        nonlocal ready
        ready = True
        if waiting:
            raise SystemExit(128 + signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield begun
    finally:
        signal.signal(signal.SIGTERM, before)
