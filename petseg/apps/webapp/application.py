"""The page as a web application: its limits, its look, and the deletion of old files."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import gradio as gr
from fastapi import FastAPI

from petseg.apps import display
from petseg.apps.webapp.limits import MAX_MEGABYTES, Requests, adapt_gradio, unknown
from petseg.apps.webapp.page import KEEP_SECONDS, Page
from petseg.apps.webapp.session import ChosenPhoto, Session, remove_empty_folders

MAX_WAITING: Final = 100  # requests in the queue; the next one is told that it is full
MAX_VISITORS: Final = 100  # whose photos are kept; the one who was away longest loses them first

#: Shades of the apps' accent, `display.COLOR`, from light to dark; it is the seventh.
ACCENT: Final = (
    *("#eef7f4", "#d5ebe4", "#abd7ca", "#7fbfae", "#55a691", "#3b8f7b"),
    *(display.COLOR, "#256557", "#1d4f44", "#163c34", "#0d2520"),
)

SWEEP_SECONDS: Final = 600  # from one deletion of old files to the next

#: Fonts of the reader's machine: none is fetched.
FONTS: Final = ("system-ui", "sans-serif"), ("ui-monospace", "monospace")


def web_app(session: Session, folder: Path, root_path: str = "") -> FastAPI:
    """The page as a web application that keeps all files of visitors in a folder; `root_path` as `serve` takes it."""
    blocks = Page(session, folder, _samples(folder / "samples")).blocks
    blocks.delete_cache = (SWEEP_SECONDS, KEEP_SECONDS)
    blocks.max_threads = 4  # before the queue, which takes it over
    blocks.queue(max_size=MAX_WAITING)
    blocks.state_session_capacity = MAX_VISITORS
    blocks.has_launched = True  # as `launch` sets it: from then on Gradio reads uploaded files alone, not any file
    app = FastAPI(openapi_url=None, lifespan=lambda _: _sweeping(folder, blocks))
    adapt_gradio()
    app.add_middleware(Requests, root_path=root_path)
    gr.mount_gradio_app(
        app,
        blocks,
        path="/",
        root_path=root_path or None,
        show_error=False,  # a visitor sees sentences; nothing else of an error leaves the program
        ssr_mode=False,
        pwa=False,
        enable_monitoring=False,
        run_history=False,
        mcp_server=False,
        max_file_size=MAX_MEGABYTES * 1024**2,
        footer_links=["api"],
        theme=_theme(),
        css=display.source("comparison.css", "webapp/page.css"),
        head=f"<script>{display.source('webapp/requests.js')}</script>",
    )
    app.routes[-1].app.add_exception_handler(KeyError, unknown)  # type: ignore[attr-defined]  # Gradio looks functions up
    return app


@asynccontextmanager
async def _sweeping(folder: Path, blocks: gr.Blocks) -> AsyncIterator[None]:
    """Removes, as long as the app runs, what Gradio keeps of visitors who left: values, and empty folders."""

    async def sweep() -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            with suppress(OSError):  # a system may remove old temporary folders
                await asyncio.to_thread(remove_empty_folders, folder, SWEEP_SECONDS)
                os.utime(folder)  # in use: see `remove_abandoned`
            forget_visitors(blocks, KEEP_SECONDS)

    task = asyncio.create_task(sweep())
    yield
    task.cancel()


def forget_visitors(blocks: gr.Blocks, seconds: float) -> None:
    """Forgets the visitors who did nothing for so long: Gradio would keep the pictures that they saw in memory."""
    holder, oldest = blocks.state_holder, datetime.now() - timedelta(seconds=seconds)
    with holder.lock:
        for visitor in [name for name, used in holder.time_last_used.items() if used < oldest]:
            holder.session_data.pop(visitor, None)
            del holder.time_last_used[visitor]


def _samples(folder: Path) -> list[ChosenPhoto]:
    """Writes the sample photos, which are not deleted before the app's end."""
    gr.set_static_paths([folder])
    samples = [ChosenPhoto(folder / f"{name}.png", name) for name in display.sample_photos()]
    folder.mkdir()
    for sample in samples:
        display.sample_photos()[sample.name]().save(sample.path)
    return samples


def _theme() -> gr.themes.Base:
    theme = gr.themes.Default(primary_hue=gr.themes.Color(*ACCENT, name="petseg"), font=FONTS[0], font_mono=FONTS[1])
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
