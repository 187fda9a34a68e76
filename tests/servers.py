"""A server in a separate process, for tests of the web app, the panel, the Space and the live page."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

STARTS: Final = 180  # seconds in which a server must answer


@dataclass(frozen=True)
class Server:
    """A server that answers at `address`, `http://127.0.0.1:PORT`, and writes what it prints to the file `log`."""

    address: str
    log: Path
    process: subprocess.Popen[bytes]

    def stop(self, seconds: float = 120) -> int:
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
    end = time.monotonic() + STARTS
    try:
        while not _answers(f"{server.address}/api"):  # a short answer from every server, if only that it is not found
            waits = process.poll() is None and time.monotonic() < end
            assert waits, f"{arguments[:3]} ended, or did not answer:\n{log.read_text(encoding='utf-8')}"
            time.sleep(0.2)
        yield server
    finally:
        try:
            if process.poll() is None:
                server.stop()
        finally:
            process.kill()


@contextmanager
def web_app(folder: Path, port: int, *arguments: str) -> Iterator[Server]:
    """`petseg app`, which must end without a traceback."""
    command = ["-m", "petseg.cli", "app", "--port", str(port), *arguments]
    with serving(command, port, folder, os.environ | {"TMPDIR": str(folder)}) as server:
        yield server
    assert "Traceback" not in server.log.read_text(encoding="utf-8"), server.log.read_text(encoding="utf-8")


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


class Proxy(ThreadingHTTPServer):
    """A reverse proxy that shows the server at a port of this machine below a path."""

    daemon_threads = True

    def __init__(self, port: int, path: str, strips_path: bool = True, keeps_host: bool = True) -> None:
        super().__init__(("127.0.0.1", 0), _Forwarder)
        self.port, self.path, self.strips_path, self.keeps_host = port, path, strips_path, keeps_host
        self.address = f"http://127.0.0.1:{self.server_port}{path}"
        self.cuts = ""  # answers to requests for paths with this text end after their first bytes
        threading.Thread(target=self.serve_forever, daemon=True).start()


class _Forwarder(BaseHTTPRequestHandler):
    server: Proxy

    def do_GET(self) -> None:
        proxy = self.server
        if not self.path.startswith(f"{proxy.path}/"):
            return self.send_error(404)
        path = self.path.removeprefix(proxy.path) if proxy.strips_path else self.path
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = dict(self.headers) | ({} if proxy.keeps_host else {"Host": f"127.0.0.1:{proxy.port}"})
        behind = http.client.HTTPConnection("127.0.0.1", proxy.port)
        behind.request(self.command, path, body, headers)
        answer = behind.getresponse()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "transfer-encoding"):
                self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        while data := answer.read1():
            self.wfile.write(data)
            self.wfile.flush()
            if proxy.cuts and proxy.cuts in path:
                break
        behind.close()

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Says nothing."""
