"""The sentences of the page: what failed, what is worth knowing, what is done."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from html import escape

import gradio as gr

from petseg.apps.cutouts import sentence
from petseg.apps.webapp.session import SegmentedPhoto
from petseg.errors import PetsegError

log = logging.getLogger(__name__)


def messages(failed: Iterable[str], notes: Iterable[str] = (), ready: str = "") -> str:
    """HTML of sentences, one paragraph each: what went wrong, what is worth knowing, and what is done."""
    warnings = "".join(f'<p class="failed">{escape(text)}</p>' for text in failed)
    texts = "".join(f"<p>{escape(text)}</p>" for text in notes)
    return warnings + texts + (f'<p class="done">{escape(ready)}</p>' if ready else "")


def done(photos: Sequence[SegmentedPhoto]) -> str:
    """What is ready, for those who cannot see it; empty if no pet was found."""
    names = [photo.file.name for photo in photos if photo.preview().found]
    of = names[0] if len(names) == 1 else f"{len(names)} photos"
    return f"Ready: the pet of {of} is cut out." if names else ""


def message(text: str) -> gr.Error:
    """An error that Gradio shows as this sentence."""
    return gr.Error(text, title="That did not work", print_exception=False)


@contextmanager
def sentences(photo: str) -> Iterator[None]:
    """Turns whatever fails with a photo into a message that Gradio shows."""
    try:
        yield
    except Exception as error:
        raise message(sentence_of(error, photo)) from error


def sentence_of(error: Exception, photo: str) -> str:
    """What to say if something fails with a photo; a defect also goes to the log."""
    if not isinstance(error, PetsegError):
        log.error("%s", photo, exc_info=error)
    return sentence(error, photo)
