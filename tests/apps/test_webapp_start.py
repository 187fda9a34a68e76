"""`petseg app` starts and works wherever it is started: behind a proxy, on IPv6, beside a taken port."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from servers import Server, free_port
from visitor import WAIT, Visitor, chelsea, encoded

from petseg import cli
from petseg.errors import MissingError

pytestmark = pytest.mark.slow

pytest.importorskip("gradio", reason='Gradio is not installed; pip install -e ".[web]" brings it')


@contextmanager
def started(folder: Path, *arguments: str, **variables: str) -> Iterator[Server]:
    """`petseg app`, at the address that it prints."""
    environment = {**os.environ, "TMPDIR": str(folder), **variables}
    log = folder / "log.txt"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "petseg.cli", "app", *arguments], env=environment, stdout=output, stderr=output
        )
    try:
        while " shows the app" not in log.read_text():
            assert process.poll() is None, log.read_text()
            time.sleep(0.1)
        yield Server(log.read_text().split()[1], log, process)
    finally:
        process.terminate()
        process.wait(WAIT)


@contextmanager
def counting_proxy() -> Iterator[tuple[int, list[Any]]]:
    """A port, and the connections that were made to it."""
    connections: list[Any] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                connections.append(connection)
                connection.close()

        threading.Thread(target=accept, daemon=True).start()
        yield server.getsockname()[1], connections


@pytest.mark.parametrize(
    ("host", "variable", "scheme", "modules"),
    [
        ("[::1]", "HTTP_PROXY", "http", []),
        ("::", "ALL_PROXY", "socks5", []),
        ("0.0.0.0", "ALL_PROXY", "socks5", ["socksio"]),  # as far as HTTPX looks
    ],
)
def test_the_address_that_is_printed_answers_also_behind_a_proxy_which_is_not_asked(
    tmp_path: Path, host: str, variable: str, scheme: str, modules: list[str]
) -> None:
    for name in modules:
        (tmp_path / f"{name}.py").touch()
    port = free_port() if ":" in host else 0  # 0 takes a free one
    with counting_proxy() as (proxy, connections):
        proxies = {variable: f"{scheme}://127.0.0.1:{proxy}", "NO_PROXY": "example.com", "PYTHONPATH": str(tmp_path)}
        with started(tmp_path, "--host", host, "--port", str(port), **proxies) as server:
            address, _, shown = server.address.rpartition(":")
            assert address == f"http://{'[::1]' if ':' in host else '127.0.0.1'}"
            assert int(shown) == port or not port
            assert Visitor(server).choose((encoded(chelsea()), "chelsea.jpg")).status == ""
    assert not connections


def test_a_start_that_takes_long_is_waited_for_and_one_that_fails_is_one_sentence() -> None:
    from petseg.apps.webapp.server import _await_start

    server: Any = SimpleNamespace(started=False)

    def slowly() -> None:
        time.sleep(0.2)
        server.started = True

    thread = threading.Thread(target=slowly)
    thread.start()
    _await_start(server, thread)
    assert server.started
    failed = threading.Thread(target=lambda: None)
    failed.start()
    with pytest.raises(MissingError, match=r"^The server ended before it answered\. Try again\.$"):
        _await_start(SimpleNamespace(started=False), failed)  # type: ignore[arg-type]


@pytest.mark.parametrize(("host", "shown"), [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]")])
def test_a_port_that_is_taken_is_one_sentence(capsys: Any, host: str, shown: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as other:
        port = other.getsockname()[1]
        assert cli.main(["app", "--host", host, "--port", str(port)]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"petseg: {shown}:{port} cannot be listened at (")
    assert error.endswith("). Choose another --host or --port.\n")
    assert error.count("\n") == 1
