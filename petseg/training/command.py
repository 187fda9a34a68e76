"""A `petseg` command in a separate process."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from petseg.files import cache_folder, data_folder


class Command:
    """A `petseg` command in a separate process, begun at once; what it prints is shown only when it fails.

    Args:
        line: as one would type it: `petseg fit --trainer.max_epochs 2`.
        folder: where it runs, and where `output.txt` keeps what it prints; made if missing.
        threads: of PyTorch, by default one: several processes run at once, and sums come out the same. None leaves the
            number to PyTorch.
        show: let it print to this process's own output instead.
    """

    def __init__(self, line: str, folder: Path, threads: int | None = 1, show: bool = False) -> None:
        program, *arguments = shlex.split(line)
        if program != "petseg":
            raise ValueError(f"{line!r}: must begin with petseg.")
        folder.mkdir(parents=True, exist_ok=True)
        self.line, self.output = line, folder / "output.txt"
        environment = {**os.environ, **({} if threads is None else {"OMP_NUM_THREADS": str(threads)})}
        # absolute, since the process has another current folder
        environment |= {"PETSEG_DATA_DIR": str(data_folder()), "PETSEG_CACHE_DIR": str(cache_folder())}
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "petseg.cli", *arguments],
                cwd=folder,
                env=environment,
                stdout=None if show else output,
                stderr=None if show else subprocess.STDOUT,
            )

    def finish(self, timeout: float | None = 300) -> None:
        """Waits for the end, at most `timeout` seconds; None waits for as long as it takes.

        Ctrl-C and SIGTERM end the command, too, which would otherwise train on unseen.

        Raises:
            RuntimeError: it failed or took longer; the message ends with what it printed last.
            SystemExit: with 143 after SIGTERM.
        """
        try:
            with _sigterm_raises():
                status: int | str = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = f"none after {timeout:.0f} s"
        except BaseException:
            self.process.terminate()
            self.process.wait()
            raise
        if status != 0:
            raise RuntimeError(f"{self.line}: exit status {status}. {self._tail()}")

    def _tail(self) -> str:
        return "It said:\n" + self.output.read_text()[-2000:]


@contextmanager
def _sigterm_raises() -> Iterator[None]:
    """Turns SIGTERM into SystemExit, where Python allows it: in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
