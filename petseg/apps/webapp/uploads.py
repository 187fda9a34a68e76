"""The field in which files are chosen, dropped or pasted.

Gradio's own field refuses files by their ending and says so in its own words; here every file reaches the handlers,
whose sentences say what is wrong with it.
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any, Final

import gradio as gr

MAX_MEGABYTES: Final = 50  # each file; a photo of 60 megapixels from a phone or camera has up to 40

#: What a phone or a computer offers at first; any other file can be chosen too.
ACCEPT: Final = "image/*,.heic,.heif,.avif"

SCRIPT: Final = Path(__file__).with_name("upload.js").read_text(encoding="utf-8")

ICON: Final = (
    '<svg viewBox="0 0 24 24" width="40" height="40" fill="none" stroke="currentColor" stroke-width="1.6" '
    'stroke-linecap="round" stroke-linejoin="round" aria-hidden="true"><path d="M4 16v3a1 1 0 0 0 1 1h14a1 1 0 0 0 '
    '1-1v-3M12 15V4m0 0L7.5 8.5M12 4l4.5 4.5"/></svg>'
)


def photos_field() -> Any:
    """A large field for photos; what is dropped or pasted anywhere on the page goes there too."""
    text = (
        f'{ICON}<strong>Drop your photos here</strong><span class="choose">Choose photos</span>'
        f'<span class="hint">or paste one. JPEG, PNG, HEIC and others, up to {MAX_MEGABYTES} MB each.</span>'
    )
    return _field(text, "Choose photos", 'multiple data-whole-page="true" data-answer="status"', elem_id="drop")


def background_field() -> Any:
    """A small field for one image."""
    text = '<span class="choose">Choose an image</span><span class="hint">or drop it here</span>'
    label, attributes = "Choose an image for the background", 'data-answer="background-said"'
    return _field(text, label, attributes, elem_id="background-image", visible=False)


def _field(text: str, label: str, attributes: str, **settings: Any) -> Any:
    """A field whose value is `{"files": [...], "refused": [...]}` and whose event is `upload`; see upload.js."""
    zone = (
        f'<div class="drop">{text}<input type="file" aria-label="{escape(label)}" title="" accept="{ACCEPT}" '
        f'data-most-bytes="{MAX_MEGABYTES * 1_000_000}" {attributes}></div>'
        '<p class="uploading" role="status" aria-live="polite"></p>'
    )
    return gr.HTML({"files": [], "refused": []}, html_template=zone, js_on_load=SCRIPT, **settings)
