"""Serving the page, closed to all that it does not need."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import gradio as gr
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from petseg.apps.webapp.html import CSS
from petseg.apps.webapp.page import build
from petseg.apps.webapp.session import Desk
from petseg.errors import MissingError

MAX_FILE: Final = "20mb"  # each
MAX_WAITING: Final = 100  # requests in the queue; the next is told that it is full
MAX_SESSIONS: Final = 100  # visitors whose photos are kept; of more, the one who was away longest begins anew

#: Of glibc's malloc.h, for `mallopt`: how many pools threads share, and from which size memory goes back when freed.
M_ARENA_MAX: Final = -8
M_MMAP_THRESHOLD: Final = -3

#: Fonts of the reader's machine: none is fetched.
SANS: Final = [gr.themes.Font(name) for name in ("system-ui", "sans-serif")]
MONO: Final = [gr.themes.Font(name) for name in ("ui-monospace", "monospace")]


class OwnFilesOnly:
    """Middleware: refuses what Gradio would fetch from another server for whoever asks.

    Args:
        app: that it protects.
    """

    ELSEWHERE: Final = re.compile(r"/(proxy=|file=\s*https?:)", re.IGNORECASE)

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers 403 or passes the request on."""
        if self.ELSEWHERE.search(scope.get("path", "")):
            await PlainTextResponse("Only files of this app are served.", 403)(scope, receive, send)
        else:
            await self.app(scope, receive, send)


def serve(model: str | Path | None = None, host: str = "127.0.0.1", port: int = 7860) -> None:
    """Serves the page until somebody stops the program.

    Args:
        model: the one to begin with, as `Predictor` takes it.
        host: address to listen at; `0.0.0.0` lets other machines in.
        port: to listen at; 0 takes a free one.

    Raises:
        MissingError: the address cannot be had.
        ModelError: the model cannot be loaded.
    """
    port = _free(host, port)
    _hand_memory_back()
    desk = Desk(model)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # or the photos would outlive the app
    try:
        with _own_folder() as folder:
            blocks = launch(desk, folder, host, port)
            print(f"petseg: http://{host}:{port} shows the app; Ctrl+C ends it.", flush=True)
            blocks.block_thread()
    except SystemExit:  # of the signal; the photos are gone by now
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)  # Python's own end aborts where a thread is still within PyTorch


def launch(desk: Desk, folder: Path, host: str, port: int) -> gr.Blocks:
    """Begins to serve in a thread; `close()` of the result ends it."""
    blocks = build(desk, folder)
    blocks.queue(max_size=MAX_WAITING, default_concurrency_limit=2)
    blocks.launch(
        server_name=host,
        server_port=port,
        prevent_thread_lock=True,
        quiet=True,
        share=False,
        ssr_mode=False,
        pwa=False,
        enable_monitoring=False,
        run_history=False,
        mcp_server=False,
        num_workers=0,
        max_threads=8,
        max_file_size=MAX_FILE,
        state_session_capacity=MAX_SESSIONS,
        allowed_paths=[],
        footer_links=["api", "settings"],
        app_kwargs={"middleware": [Middleware(OwnFilesOnly)]},
        theme=gr.themes.Default(primary_hue="blue", font=SANS, font_mono=MONO),
        css=CSS,
    )
    return blocks


@contextmanager
def _own_folder() -> Iterator[Path]:
    """A folder for all that Gradio writes, removed at the end."""
    with tempfile.TemporaryDirectory(prefix="petseg-app-", ignore_cleanup_errors=True) as name:
        folder = Path(name).resolve()
        os.environ["GRADIO_TEMP_DIR"] = str(folder)
        os.environ["GRADIO_EXAMPLES_CACHE"] = str(folder / "examples")
        yield folder


def _hand_memory_back() -> None:
    """Keeps glibc from holding on to the memory of photos long gone, in a pool for each thread."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt:
        mallopt(M_ARENA_MAX, 2)
        mallopt(M_MMAP_THRESHOLD, 1 << 20)


def _free(host: str, port: int) -> int:
    """The port, or a free one for 0."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.create_server((host, port), family=family) as probe:
            found: int = probe.getsockname()[1]
            return found
    except (OSError, OverflowError) as error:
        raise MissingError(
            f"{host}:{port} cannot be listened at ({error}). Choose another --host or --port."
        ) from error
