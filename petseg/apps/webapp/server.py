"""Serving the page, closed to everything that it does not need."""

from __future__ import annotations

import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import gradio as gr
import uvicorn
from fastapi import FastAPI
from starlette.middleware import Middleware

from petseg.apps.display import CSS, sample_thumbnails
from petseg.apps.webapp.middleware import OwnFilesOnly
from petseg.apps.webapp.page import build
from petseg.apps.webapp.session import Session
from petseg.apps.webapp.uploads import MAX_MEGABYTES
from petseg.errors import MissingError

MAX_WAITING: Final = 100  # requests in the queue; the next one is told that it is full
MAX_SESSIONS: Final = 100  # visitors whose photos are kept; beyond, the one who was away longest loses them

#: Seconds that the app's end waits for open pages; one that is looked at keeps a connection for as long.
CLOSING: Final = 5

#: Fonts of the reader's machine: none is fetched.
SANS: Final = [gr.themes.Font(name) for name in ("system-ui", "sans-serif")]
MONO: Final = [gr.themes.Font(name) for name in ("ui-monospace", "monospace")]


def serve(
    model: str | Path | None = None, host: str = "127.0.0.1", port: int = 7860, device: str | None = None
) -> None:
    """Serves the page until Ctrl+C or SIGTERM ends the program, at once and with exit status 0.

    Args:
        model: the one to begin with, as `Predictor` takes it.
        host: address to listen at; `0.0.0.0` and `::` let other machines in.
        port: to listen at; 0 takes a free one.
        device: of all models, as `Predictor` takes it.

    Raises:
        MissingError: the address is not available, or the server ended before it answered.
        ModelError: the model cannot be loaded.
    """
    host = host.strip("[]")  # an IPv6 address may be written as in a URL
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl+C, so that the photos are removed
    interrupted = False
    with _listening(host, port) as socket_, _temporary_folder() as folder:
        session = Session(model, device)
        server = uvicorn.Server(uvicorn.Config(page_app(session, folder), log_level="warning"))
        # not in this thread: uvicorn would wait for every open page before it ends
        thread = threading.Thread(target=server.run, args=([socket_.dup()],), daemon=True)  # it closes its own copy
        thread.start()
        try:
            _await_start(server, thread)
            print(f"petseg: {address(host, socket_.getsockname()[1])} shows the app; Ctrl+C ends it.", flush=True)
            while thread.is_alive():
                thread.join(1)  # in turns, between which Ctrl+C is noticed on Windows, too
        except KeyboardInterrupt:
            interrupted = server.should_exit = True
            thread.join(CLOSING)
    if interrupted:  # Python's own end would abort in threads that still compute with PyTorch
        sys.stdout.flush()
        os._exit(0)


def page_app(session: Session, folder: Path) -> FastAPI:
    """The page, with a guard in front of it; photos are kept in the folder."""
    blocks = build(session, folder)
    blocks.max_threads = 4  # before the queue, which takes it over
    blocks.queue(max_size=MAX_WAITING, default_concurrency_limit=2)
    blocks.state_session_capacity = MAX_SESSIONS
    blocks.has_launched = True  # as `launch` sets it: from then on only uploaded files are read, not any that is named
    return gr.mount_gradio_app(
        FastAPI(openapi_url=None, middleware=[Middleware(OwnFilesOnly)]),
        blocks,
        path="/",
        show_error=False,  # what a visitor can mend is said by name; nothing else of an error leaves the program
        ssr_mode=False,
        pwa=False,
        enable_monitoring=False,
        run_history=False,
        mcp_server=False,
        max_file_size=MAX_MEGABYTES * 1_000_000,
        footer_links=[],
        theme=_theme(),
        css=_css(),
    )


def _await_start(server: uvicorn.Server, thread: threading.Thread) -> None:
    """Returns once the server answers, however busy the machine is."""
    while not server.started:
        if not thread.is_alive():
            raise MissingError("The server ended before it answered. Try again.")
        time.sleep(0.01)


def address(host: str, port: int) -> str:
    """What a browser on this machine opens to reach a server that listens at this host and port."""
    return f"http://{_in_url({'0.0.0.0': '127.0.0.1', '::': '::1'}.get(host, host))}:{port}"


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _theme() -> gr.themes.Base:
    theme = gr.themes.Default(primary_hue="blue", font=SANS, font_mono=MONO)
    return theme.set(  # texts have a contrast above 4.5, and borders of what is chosen above 3
        body_text_color_subdued="*neutral_500",
        block_info_text_color="*neutral_500",
        checkbox_border_color="*neutral_500",
        checkbox_border_color_dark="*neutral_400",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_background_fill_dark="*primary_600",
        button_primary_background_fill_hover_dark="*primary_700",
    )


def _css() -> str:
    """The style sheets of page and comparison, and the samples' thumbnails."""
    page = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
    samples = (
        f"#sample-{index} {{ background-image: url({uri}) }}" for index, uri in enumerate(sample_thumbnails().values())
    )
    return "\n".join([CSS, page, *samples])


@contextmanager
def _temporary_folder() -> Iterator[Path]:
    """A folder for all that Gradio writes, removed at the end."""
    with tempfile.TemporaryDirectory(prefix="petseg-app-", ignore_cleanup_errors=True) as name:
        folder = Path(name).resolve()
        os.environ["GRADIO_TEMP_DIR"] = str(folder)
        os.environ["GRADIO_EXAMPLES_CACHE"] = str(folder / "examples")
        yield folder


def _listening(host: str, port: int) -> socket.socket:
    """A socket that listens at the address, from now on and until it is closed: no other program can take it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        raise MissingError(
            f"{_in_url(host)}:{port} cannot be listened at ({error}). Choose another --host or --port."
        ) from error
