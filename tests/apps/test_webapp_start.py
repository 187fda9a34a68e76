"""`petseg app` starts and ends well wherever it is started: behind a proxy, on IPv6, beside a taken port."""

import os
import platform
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from shutil import disk_usage
from typing import Any

import pytest
from disks import NoDiskError, small_disk
from servers import Server, free_port
from visitor import CUTOUT, WAIT, Visitor, chelsea, encoded

from petseg import cli

pytestmark = pytest.mark.slow


@contextmanager
def started(folder: Path, *arguments: str, before: str = "", **variables: str) -> Iterator[Server]:
    """`petseg app` with `unet` at the address that it prints, perhaps with some lines of Python before it."""
    pytest.importorskip("gradio", reason='Gradio is not installed; pip install -e ".[web]" brings it')
    environment, log = {**os.environ, "TMPDIR": str(folder), **variables}, folder / "log.txt"
    code = f"import sys\n{before}\nfrom petseg.cli import main\nsys.exit(main(['app', *sys.argv[1:]]))"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", code, "--model", "unet", *arguments], env=environment, stdout=output, stderr=output
        )
    try:
        await_text(log, " shows the app", process)
        yield Server(log.read_text().split()[1], log, process)
    finally:
        process.terminate()
        process.wait(WAIT)


def await_text(log: Path, text: str, process: Any) -> None:
    while text not in log.read_text():
        assert process.poll() is None, log.read_text()
        time.sleep(0.1)


def files_in(folder: Path) -> set[str]:
    """The names of the files in a folder, without those that PyTorch keeps."""
    return {path.name for path in folder.rglob("*") if path.is_file() and "torchinductor" not in str(path)}


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
def test_the_printed_address_answers_also_behind_a_proxy_which_is_not_asked(
    tmp_path: Path, host: str, variable: str, scheme: str, modules: list[str]
) -> None:
    for name in modules:
        (tmp_path / f"{name}.py").touch()
    port = free_port() if ":" in host else 0  # 0 takes a free one
    with counting_proxy() as (proxy, connections):
        path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
        proxies = {variable: f"{scheme}://127.0.0.1:{proxy}", "NO_PROXY": "example.com", "PYTHONPATH": path}
        with started(tmp_path, "--host", host, "--port", str(port), **proxies) as server:
            address, _, shown = server.address.rpartition(":")
            assert address == f"http://{'[::1]' if ':' in host else '127.0.0.1'}"
            assert int(shown) == port or not port
            assert (
                Visitor(server).choose((encoded(chelsea()), "chelsea.jpg")).status.startswith('<p class="done">Ready')
            )
    assert not connections


@pytest.mark.parametrize(("host", "shown"), [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]")])
def test_a_taken_port_is_one_sentence(capsys: Any, host: str, shown: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as other:
        port = other.getsockname()[1]
        assert cli.main(["app", "--host", host, "--port", str(port)]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"petseg: {shown}:{port} is not available (")
    assert error.endswith("). Choose another --host or --port.\n")
    assert error.count("\n") == 1


def test_a_missing_model_is_one_sentence(capsys: Any) -> None:
    assert cli.main(["app", "--port", "0", "--model", "resnet"]) == 1
    assert "resnet: no released model has this name" in capsys.readouterr().err


def test_without_gradio_the_command_says_what_to_install(monkeypatch: Any, capsys: Any) -> None:
    for name in [name for name in sys.modules if name.startswith(("petseg.apps.webapp.", "gradio"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "gradio", None)
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("no_proxy", "")
    assert cli.main(["app", "--port", "0"]) == 1
    assert capsys.readouterr().err == 'petseg: the web app needs Gradio. Install it with: pip install "gradio>=6.31"\n'


def test_old_photos_and_their_folders_are_deleted_while_the_app_runs_and_samples_stay(tmp_path: Path) -> None:
    short = "from petseg.apps.webapp import application\napplication.KEEP_SECONDS, application.SWEEP_SECONDS = 10, 1"
    with started(tmp_path, "--port", "0", before=short) as server:
        visitor = Visitor(server)
        assert visitor.choose((encoded(chelsea()), "secret.jpg")).status.startswith('<p class="done">Ready')
        folder = next(tmp_path.glob("petseg-app-*"))
        end = time.monotonic() + WAIT
        while len(list(folder.iterdir())) > 1 and time.monotonic() < end:
            time.sleep(0.2)
        assert [path.name for path in folder.iterdir()] == ["samples"]
        assert "was deleted in the meantime. Choose" in visitor.do("click", "Download", None, *CUTOUT)["error"]
        assert "the pet of Chelsea the cat is cut out" in visitor.data("click", "Chelsea the cat", "unet")[0]


def test_a_full_disk_is_a_sentence_and_once_there_is_space_the_app_goes_on(tmp_path: Path) -> None:
    try:
        with (
            small_disk(tmp_path / "small", "3m") as small,
            started(tmp_path, "--port", "0", TMPDIR=str(small)) as server,
        ):
            visitor, photo = Visitor(server), encoded(chelsea())
            sentence = r"cannot store the file \(No space left on device\)\. Free some space there"
            with pytest.raises(urllib.error.HTTPError) as error:
                visitor.upload(bytes(4_000_000), "large.jpg")
            assert re.search(sentence, error.value.read().decode())
            assert visitor.choose((photo, "small.jpg")).status.startswith('<p class="done">Ready')
            filler = small / "filler"
            filler.write_bytes(bytes(disk_usage(small).free))
            for button, values in (("Download", CUTOUT), ("Download all (ZIP)", CUTOUT)):
                assert re.search(sentence, visitor.do("click", button, None, *values)["error"])
            filler.unlink()
            assert visitor.saved("Download", *CUTOUT)[1] == "small.cutout.png"
            assert not list(small.rglob("tmp*")), "a part of the large photo is left"
    except NoDiskError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize(("number", "status"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 143)])
def test_an_app_that_is_ended_while_it_computes_leaves_no_photo_and_no_traceback(
    tmp_path: Path, number: str, status: int
) -> None:
    draws = """
import signal, time, torch
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the tests may have been started with nohup
from petseg.apps import display
def preview(result, drawn=display.preview):
    print("DRAWS", flush=True)
    end = time.monotonic() + 3
    while time.monotonic() < end:
        torch.rand(64, 64).softmax(dim=0)
    return drawn(result)
display.preview = preview"""
    with started(tmp_path, "--port", "0", before=draws) as server, ThreadPoolExecutor(4) as visitors:
        for name in "abcd":
            visitors.submit(Visitor(server).choose, (encoded(chelsea(5000, 4000)), f"{name}.jpg"))
        await_text(server.log, "DRAWS", server.process)
        server.process.send_signal(signal.Signals[number])
        assert server.process.wait(WAIT) == status
    assert files_in(tmp_path) == {"log.txt"}
    assert not re.search(r"\b(terminate|Traceback|ERROR)\b", server.log.read_text())


def test_threads_share_two_memory_pools() -> None:
    if not sys.platform.startswith("linux") or platform.libc_ver()[0] != "glibc":
        pytest.skip("memory pools are those of glibc")
    code = """
import ctypes, threading
from petseg.apps.webapp import server
server._share_memory_pools()
libc, ready = ctypes.CDLL(None), threading.Barrier(16)
libc.malloc.restype = ctypes.c_void_p
threads = [threading.Thread(target=lambda: (ready.wait(), libc.malloc(1000))) for _ in range(16)]
for thread in threads: thread.start()
for thread in threads: thread.join()
libc.malloc_info(0, ctypes.c_void_p.in_dll(libc, "stdout"))
libc.fflush(None)
"""
    report = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert 1 <= report.count("<heap nr=") <= 2
