"""What the server takes: requests of a limited size, and uploads that leave nothing behind if they fail."""

import logging
import re
from contextlib import suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from gradio import queueing, route_utils, utils
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from petseg.apps.webapp.session import NOT_STORED

log = logging.getLogger(__name__)

MAX_PHOTOS: Final = 10  # at a time
MAX_MEGABYTES: Final = 50  # each file; a photo of 60 megapixels from a phone or camera has up to 40
MAX_JSON_MEGABYTES: Final = 1  # everything but uploads: names of files and values of fields

#: What Gradio has for other apps: pages of other servers, recordings, and links that would keep a visitor's pictures.
CLOSED: Final = ("/gradio_api/proxy=", "/gradio_api/process_recording", "/gradio_api/deep_link")

REFUSED: Final = (
    "The server cannot do this with these files and values. Load the page again, and choose the photo again."
)


class Requests:
    """Middleware that refuses large bodies before Gradio holds them, and takes the path of a proxy off each request."""

    def __init__(self, app: ASGIApp, root_path: str) -> None:
        self.app = app
        self.prefix = urlsplit(root_path).path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request as ASGI has it."""
        path = str(scope.get("path", ""))
        if path.startswith(f"{self.prefix}/"):  # some proxies have taken it off already
            path = path.removeprefix(self.prefix)
            scope = {**scope, "path": path}
        if path.startswith(CLOSED):
            return await PlainTextResponse("Not found", 404)(scope, receive, send)
        is_upload = path == "/gradio_api/upload"
        limit = 1024**2 * (MAX_PHOTOS * (MAX_MEGABYTES + 1) if is_upload else MAX_JSON_MEGABYTES)
        received = 0

        async def limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise HTTPException(413, f"The request is too large; at most {limit // 1024**2} MB are taken.")
            return message

        await self.app(scope, limited, send)


class Uploads(route_utils.GradioMultiPartParser):
    """Gradio's reader of uploads, which removes files also after a full disk or a visitor who left.

    Gradio refuses files whose names begin with a dot; on the server, and only there, they have a name without it. It
    holds what is no file in memory, so that must be small.
    """

    held = 0  # bytes

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        """Takes a part of a file or of another field."""
        if self._current_part.file is None:
            self.held += end - start
        if self.held > MAX_JSON_MEGABYTES * 1024**2:
            raise route_utils.MultiPartException(f"Fields are too large; at most {MAX_JSON_MEGABYTES} MB are taken.")
        super().on_part_data(data, start, end)

    async def parse(self) -> Any:
        """The fields of the form; raises MultiPartException, whose message the visitor sees."""
        try:
            form = await super().parse()
        except BaseException as error:
            for file in self._files_to_close_on_error:
                with suppress(OSError):  # of a full disk
                    file.close()
                Path(file.name).unlink(missing_ok=True)
            if isinstance(error, OSError):
                raise route_utils.MultiPartException(NOT_STORED.format(error.strerror)) from error
            raise
        for upload in form.getlist("files"):
            if isinstance(upload, UploadFile):
                upload.filename = re.sub(r"^[./\\]+", "", upload.filename or "")
        return form


def adapt_gradio() -> None:
    """Has Gradio read uploads as above, and say a sentence where it would say nothing but "Error"."""
    payload = utils.error_payload

    def with_sentence(error: BaseException | None, show_error: bool) -> dict[str, Any]:
        content = payload(error, show_error)
        return content if content["error"] else {**content, "error": REFUSED, "visible": True}

    route_utils.GradioMultiPartParser = Uploads  # type: ignore[misc]
    queueing.error_payload = with_sentence


def unknown(_: Request, error: Exception) -> PlainTextResponse:
    """The answer to a request for a function that the page does not have."""
    log.warning("refused: %r", error)
    return PlainTextResponse(REFUSED, 400)
