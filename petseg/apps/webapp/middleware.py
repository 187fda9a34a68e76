"""A guard in front of Gradio, which would fetch files from other servers for whoever asks."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: Paths by which Gradio passes on what another server answers.
ELSEWHERE: Final = re.compile(r"/(proxy=|file=\s*https?:)", re.IGNORECASE)


class OwnFilesOnly:
    """Middleware that answers 403 to requests for files of other servers, by path or in place of an upload.

    Args:
        app: that it guards.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuses the request or passes it on."""
        refused = bool(ELSEWHERE.search(scope.get("path", "")))
        if not refused and scope["type"] == "http" and _has_json(Request(scope)):
            body = await Request(scope, receive).body()
            refused, receive = _names_address(_parsed(body)), _replay(body, receive)
        if refused:
            message = "Only files of this app are used. Download the photo and upload the file."
            await PlainTextResponse(message, 403)(scope, receive, send)
        else:
            await self.app(scope, receive, send)


def _has_json(request: Request) -> bool:
    """Whether a request has a body other than the files of an upload, which is not read here."""
    return request.method == "POST" and not request.headers.get("content-type", "").startswith("multipart/")


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None  # the app itself refuses it


def _names_address(value: Any) -> bool:
    """Whether a JSON value holds a file whose path is an address."""
    if isinstance(value, dict):
        path = str(value.get("path", "")).strip().lower()
        return path.startswith(("http:", "https:")) or any(map(_names_address, value.values()))
    return isinstance(value, list) and any(map(_names_address, value))


def _replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives a body which was read already, and then what comes after it."""
    unread: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return unread.pop() if unread else await receive()

    return replayed
