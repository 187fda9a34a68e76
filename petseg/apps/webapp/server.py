"""Serving the page, closed to everything that it does not need."""

from __future__ import annotations

import os
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import gradio as gr
from gradio import http_server
from gradio.exceptions import ServerFailedToStartError
from starlette.middleware import Middleware

from petseg.apps import comparison
from petseg.apps.samples import sample_thumbnails
from petseg.apps.webapp.middleware import OwnFilesOnly
from petseg.apps.webapp.page import build
from petseg.apps.webapp.session import Session
from petseg.apps.webapp.uploads import MAX_MEGABYTES
from petseg.errors import MissingError

MAX_WAITING: Final = 100  # requests in the queue; the next one is told that it is full
MAX_SESSIONS: Final = 100  # visitors whose photos are kept; beyond, the one who was away longest loses them

#: Seconds that the app's end waits for a photo that is being segmented.
PATIENCE: Final = 30

#: Fonts of the reader's machine: none is fetched.
SANS: Final = [gr.themes.Font(name) for name in ("system-ui", "sans-serif")]
MONO: Final = [gr.themes.Font(name) for name in ("ui-monospace", "monospace")]


def serve(model: str | Path | None = None, host: str = "127.0.0.1", port: int = 7860) -> None:
    """Serves the page until Ctrl+C or SIGTERM ends the program.

    Args:
        model: the one to begin with, as `Predictor` takes it.
        host: address to listen at; `0.0.0.0` and `::` let other machines in.
        port: to listen at; 0 takes a free one.

    Raises:
        MissingError: the address is not available.
        ModelError: the model cannot be loaded.
    """
    host = host.strip("[]")  # an IPv6 address may be written as in a URL
    port = _free(host, port)
    session = Session(model)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl+C, so that the photos are removed
    with _temporary_folder() as folder:
        blocks = launch(session, folder, host, port)
        print(f"petseg: {address(host, port)} shows the app; Ctrl+C ends it.", flush=True)
        blocks.block_thread()  # until Ctrl+C, which closes the server
        session.finish(PATIENCE)  # Python's end would abort within PyTorch


def launch(session: Session, folder: Path, host: str, port: int) -> gr.Blocks:
    """Begins to serve in a thread; `close()` of the result ends it.

    Raises:
        MissingError: the port was taken in the meantime.
    """
    blocks = build(session, folder)
    blocks.queue(max_size=MAX_WAITING, default_concurrency_limit=2)
    try:
        _launch(blocks, host, port)
    except OSError as error:
        _free("127.0.0.1", port)  # which Gradio asks for, whatever the host
        raise MissingError("The server ended before it answered. Try again.") from error
    return blocks


def address(host: str, port: int) -> str:
    """What a browser on this machine opens to reach a server that listens at this host and port."""
    return f"http://{_in_url({'0.0.0.0': '127.0.0.1', '::': '::1'}.get(host, host))}:{port}"


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


class PatientServer(http_server.Server):
    """Gradio's server, whose own class gives up where a busy machine needs more than 5 seconds to start it."""

    def run_in_thread(self) -> None:
        """Begins to serve, and returns once it does.

        Raises:
            ServerFailedToStartError: its thread ended before.
        """
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        while not self.started and self.thread.is_alive():
            time.sleep(0.01)
        if not self.started:
            raise ServerFailedToStartError("The thread of the server ended.")


def _launch(blocks: gr.Blocks, host: str, port: int) -> None:
    http_server.Server = PatientServer  # type: ignore[misc]
    blocks.launch(
        server_name=_in_url(host),
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
        max_threads=4,
        max_file_size=MAX_MEGABYTES * 1_000_000,
        state_session_capacity=MAX_SESSIONS,
        allowed_paths=[],
        footer_links=[],
        app_kwargs={"middleware": [Middleware(OwnFilesOnly)]},
        _frontend=False,  # no look at its own page, which a busy machine would fail
        theme=_theme(),
        css=_css(),
    )


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
    return "\n".join([comparison.CSS, page, *samples])


@contextmanager
def _temporary_folder() -> Iterator[Path]:
    """A folder for all that Gradio writes, removed at the end."""
    with tempfile.TemporaryDirectory(prefix="petseg-app-", ignore_cleanup_errors=True) as name:
        folder = Path(name).resolve()
        os.environ["GRADIO_TEMP_DIR"] = str(folder)
        os.environ["GRADIO_EXAMPLES_CACHE"] = str(folder / "examples")
        yield folder


def _free(host: str, port: int) -> int:
    """The port, or a free one for 0."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.create_server((host, port), family=family) as probe:
            free: int = probe.getsockname()[1]
            return free
    except (OSError, OverflowError) as error:
        raise _taken(host, port, error) from error


def _taken(host: str, port: int, reason: object) -> MissingError:
    return MissingError(f"{_in_url(host)}:{port} cannot be listened at ({reason}). Choose another --host or --port.")
