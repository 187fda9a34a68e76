"""Starting and ending the web app."""

import asyncio
import ctypes
import gc
import logging
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from petseg.apps.webapp.session import Session
from petseg.errors import MissingError

#: Begins the names of the folders of running apps; one that was not used for `ABANDONED` seconds is none's.
FOLDER: Final = "petseg-app-"
ABANDONED: Final = 3600

#: Seconds that open requests may take after the app was told to end.
CLOSING: Final = 1

#: Hosts with which the app may connect: those of this machine.
LOCAL: Final = ("127.0.0.1", "::1", "localhost", None)

M_ARENA_MAX: Final = -8  # of glibc's mallopt


def serve(
    model: str | Path | None = None,
    host: str = "127.0.0.1",
    port: int = 7860,
    device: str | None = None,
    root_path: str = "",
) -> None:
    """Serves the page until Ctrl+C, SIGTERM or the end of its terminal ends the program.

    `model` and `device` are as `Predictor` takes them. The hosts `0.0.0.0` and `::` let other machines in; port 0 is a
    free one. `root_path` is where a proxy shows the page, such as `/cutouts` or `https://example.com/cutouts`.

    Raises:
        MissingError: Gradio is not installed, or the address is not available.
        SystemExit: SIGTERM, or SIGHUP, unless that is ignored, as by nohup; 143.
    """
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # so that the photos are removed
    hangup = getattr(signal, "SIGHUP", None)  # Windows has none
    if hangup and signal.getsignal(hangup) == signal.SIG_DFL:
        signal.signal(hangup, lambda *_: signal.raise_signal(signal.SIGTERM))
    _share_memory_pools()
    remove_abandoned(Path(tempfile.gettempdir()))
    host = host.strip("[]")  # an IPv6 address may be written as in a URL
    with (
        _listening(host, port) as listener,
        tempfile.TemporaryDirectory(prefix=FOLDER, ignore_cleanup_errors=True) as name,
    ):
        folder = Path(name).resolve()
        os.environ["GRADIO_TEMP_DIR"] = str(folder)  # for all that Gradio writes
        server = _server(Session(model, device), folder, root_path)
        sys.addaudithook(_refuse_connections)
        print(f"petseg: {_address(host, listener)} shows the app; Ctrl+C ends it.", flush=True)
        try:
            server.run([listener])
        finally:
            gc.freeze()  # at its end Python would search models and sessions for garbage, which takes seconds


def _server(session: Session, folder: Path, root_path: str) -> Any:
    """The uvicorn server of the page.

    From here on, this process uses no proxy: the app needs no other server, and Gradio cannot be imported if a SOCKS
    proxy is set whose package is missing.
    """
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "*"
    try:
        import uvicorn

        from petseg.apps.webapp.application import web_app
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in ("gradio", "uvicorn"):
            raise
        raise MissingError('the web app needs Gradio. Install it with: pip install "gradio>=6.31"') from error
    root = root_path.strip("/")
    app = web_app(session, folder, f"/{root}" if root and "://" not in root else root)
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=CLOSING)
    logging.getLogger("uvicorn.error").addFilter(_unexpected)  # after the configuration, which removes filters
    return uvicorn.Server(config)


def _unexpected(record: logging.LogRecord) -> bool:
    """Whether a message of uvicorn is about anything but the requests that it cancels at the end."""
    cancelled = record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError)
    return not cancelled and "graceful shutdown" not in record.getMessage()


def _refuse_connections(event: str, arguments: tuple[Any, ...]) -> None:
    """An audit hook that refuses connections to other machines.

    Gradio would fetch any address that a visitor sends in place of a file.
    """
    if event not in ("socket.connect", "socket.getaddrinfo"):
        return
    host = arguments[1] if event == "socket.connect" else arguments[0]
    host = host[0] if isinstance(host, tuple) else host
    if host not in LOCAL:
        raise PermissionError(f"{host}: the web app connects with no other machine.")


def remove_abandoned(folder: Path) -> None:
    """Removes what apps that were killed left in a folder for temporary files; one that runs marks its own as used."""
    for path in folder.glob(f"{FOLDER}*"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > ABANDONED:
                shutil.rmtree(path, ignore_errors=True)


def _share_memory_pools() -> None:
    """Has all threads share two of glibc's memory pools: each pool keeps the most that it ever held."""
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # other C libraries than glibc have none
        if mallopt:
            mallopt(M_ARENA_MAX, 2)


def _address(host: str, listener: socket.socket) -> str:
    """What a browser on this machine opens."""
    shown = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://{_in_url(shown)}:{listener.getsockname()[1]}"


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _listening(host: str, port: int) -> socket.socket:
    """A socket that listens at the address, from now on and until it is closed: no other program can take it."""
    if not host:
        raise MissingError("--host is empty, which would let all machines in. Name an address, such as 127.0.0.1.")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        raise MissingError(
            f"{_in_url(host)}:{port} is not available ({error}). Choose another --host or --port."
        ) from error
