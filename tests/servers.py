"""A server in a separate process, for tests of the web app, the panel, the Space and the live page."""

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


@dataclass(frozen=True)
class Server:
    """A server that answers at `address`, `http://127.0.0.1:PORT`, and writes what it prints to the file `log`."""

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
    """Starts Python with these arguments in a folder, waits until the port answers, and stops it in the end."""
    log = folder / "server.txt"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *arguments], cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
    server = Server(f"http://127.0.0.1:{port}", log, process)
    try:
        while not _answers(f"{server.address}/api"):  # a short answer from every server, if only that it is not found
            assert process.poll() is None, (
                f"{arguments[:3]} ended before it answered:\n{log.read_text(encoding='utf-8')}"
            )
            time.sleep(0.2)
        yield server
    finally:
        if process.poll() is None:
            server.stop()


def free_port() -> int:
    """A port on which nothing listens."""
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
