"""How the page's events run in Gradio, and what the browser does with their answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import gradio as gr

KEEP_SECONDS: Final = 3600  # photos and results of a visitor

#: Screen readers read out what changes in an element with this.
LIVE: Final = "element.setAttribute('role', 'status'); element.setAttribute('aria-live', 'polite')"

#: Saves the file that the server wrote for a button.
SAVE: Final = """(file) => {
  const link = document.createElement("a");
  link.href = file.url;
  link.download = file.orig_name;
  document.body.appendChild(link);
  link.click();
  link.remove();
}"""

#: Marks a button as busy, for the style sheet and for screen readers, and passes on the values of the fields.
BUSY: Final = """(...values) => {{
  document.getElementById("{button}").setAttribute("aria-busy", "true");
  return values.slice(0, {count});
}}"""
READY: Final = """() => document.getElementById("{button}").removeAttribute("aria-busy")"""

#: The page's events are no endpoints for programs.
PRIVATE: Final[dict[str, Any]] = {"api_visibility": "private", "show_progress": "hidden"}
AT_ONCE: Final[dict[str, Any]] = {**PRIVATE, "queue": False}

#: Handlers get values as the browser sends them. Gradio's own checks would refuse the choice of a visitor who was
#: away for long, with a message of its own.
RAW: Final[dict[str, Any]] = {"preprocess": False}

LIMITED: Final[dict[str, Any]] = {**RAW, "concurrency_id": "segment", "concurrency_limit": 2}
SEGMENTING: Final[dict[str, Any]] = {**PRIVATE, **LIMITED}
DRAWING: Final[dict[str, Any]] = {
    **PRIVATE,
    **RAW,
    "trigger_mode": "always_last",
    "concurrency_id": "draw",
    "concurrency_limit": 4,
}


def add_download(
    button: gr.Button, write: Callable[..., Any], inputs: Sequence[Any], status: gr.HTML | None = None
) -> None:
    """Has a button save the file that a function writes; until then it is busy.

    Args:
        button: to click, with an `elem_id`.
        write: returns the file's path, and with `status` HTML for it besides.
        inputs: of the function.
        status: HTML for what is worth saying.
    """
    file = gr.File(visible=False)
    outputs: list[Any] = [file] if status is None else [file, status]
    begin = BUSY.format(button=button.elem_id, count=len(inputs))
    written = button.click(write, list(inputs), outputs, js=begin, **SEGMENTING)
    written.then(None, None, None, js=READY.format(button=button.elem_id))
    written.success(None, file, None, js=SAVE)
