"""A server in a separate process, for screenshots and for the tests of panel, web app and Space."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from petseg.errors import MissingError


@dataclass(frozen=True)
class Server:
    """A server that answers.

    Attributes:
        address: `http://127.0.0.1:PORT`.
        log: the file of what it prints.
        process: that it runs in.
    """

    address: str
    log: Path
    process: subprocess.Popen[bytes]

    def stop(self, seconds: float = 30) -> int:
        """Ends it as Ctrl+C or a supervisor does, with SIGTERM, and returns its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)


@contextmanager
def serving(
    arguments: Sequence[str], port: int, folder: Path, environment: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """Starts a server, waits until it answers, and stops it at the end of the `with` block.

    Args:
        arguments: of Python, for instance `["-m", "jupyterlab", ...]`.
        port: that they tell it to listen at.
        folder: where it runs and where its log is written, `server.txt`.
        environment: variables of the process; default: those of this one.

    Raises:
        MissingError: it ended before it answered.
    """
    log = folder / "server.txt"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=folder,
            env=None if environment is None else dict(environment),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    server = Server(f"http://127.0.0.1:{port}", log, process)
    try:
        while not _answers(f"{server.address}/api"):  # a small answer from every server, if only that it is not found
            if process.poll() is not None:
                last = log.read_text(errors="replace").splitlines()[-1:]
                raise MissingError(f"{' '.join(arguments[:3])}: ended before it answered, with {last}. See {log}.")
            time.sleep(0.2)
        yield server
    finally:
        if process.poll() is None:
            server.stop()


def free_port() -> int:
    """A port that nothing listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(address: str) -> bool:
    try:
        urllib.request.urlopen(address, timeout=30).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True
