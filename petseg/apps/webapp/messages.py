"""The sentences of the page: what failed, what is worth knowing, what is done."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from html import escape
from typing import Any

import gradio as gr

from petseg.apps.cutouts import sentence
from petseg.apps.webapp.session import SegmentedPhoto, Visit
from petseg.errors import PetsegError

log = logging.getLogger(__name__)


def messages(failed: Iterable[str], notes: Iterable[str] = (), ready: str = "") -> str:
    """HTML of sentences, one paragraph each: what went wrong, what is worth knowing, and what is done."""
    warnings = "".join(f'<p class="failed">{escape(text)}</p>' for text in failed)
    texts = "".join(f"<p>{escape(text)}</p>" for text in notes)
    return warnings + texts + (f'<p class="done">{escape(ready)}</p>' if ready else "")


def done(photos: Sequence[SegmentedPhoto]) -> str:
    """What is ready, for those who cannot see it; empty if no pet was found."""
    names = [photo.file.name for photo in photos if photo.result.found]
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


def present(visit: Visit | None) -> Visit:
    """The visit, or a message if the visitor was away for so long that the photos were deleted."""
    if visit is None:
        raise message("The photo was deleted in the meantime. Choose it again.")
    return visit


def answers(handler: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a handler whose first value is the visit: it is present, and what fails is a message about its photo."""

    @wraps(handler)
    def answer(self: Any, visit: Visit | None, *values: Any, **options: Any) -> Any:
        with sentences(present(visit).shown.file.name):
            return handler(self, visit, *values, **options)

    return answer
