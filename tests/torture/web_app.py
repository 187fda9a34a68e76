"""The web app under load: 32 visitors at once, a fifth of their requests bad."""

import http.client
import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from importlib.util import find_spec
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit

from servers import Server
from visitor import CUTOUT, WAIT, Visitor, app_in, expected, memory, some_photo, wrong

from . import Skipped, Tally

NAME = "web app"

Action = Callable[[], object]
Case = tuple[str, Action]

CLIMB = "../" * 9 + "etc/passwd"

#: What no field of the page expects; some fields have a use for some of them.
ODD: tuple[Any, ...] = (None, True, -1, 1e308, float("nan"), "", "x", CLIMB, "x" * 100_000, [], [[]], {})


def run(scale: str) -> dict[str, Any]:
    """In short some of the bad requests and a few good ones; in full 2,000 requests, of which each fifth is bad."""
    if not find_spec("gradio"):
        raise Skipped('Gradio is not installed; pip install -e ".[web]" brings it')
    tally = Tally()
    masks = {number: expected(some_photo(number)).mask for number in range(10)}
    with TemporaryDirectory() as name, app_in(Path(name)) as server, ThreadPoolExecutor(32) as visitors:
        short = scale == "short"
        bad = [*raw(server), *[*fields(server)][:: 17 if short else 1]]
        actions = [partial(attempt, tally, *case) for case in bad]
        visits = [partial(visit, tally, server, number, masks) for number in range(5 if short else 800)]
        actions, rounds = (actions + visits, 1) if short else (mixed(visits, actions), 4)
        held = []
        for start in range(rounds):  # memory is compared once each visitor's photos are held
            list(visitors.map(lambda action: action(), actions[start::rounds]))
            held.append(memory(server))
        with tally.case("memory is flat"):
            assert held[-1] - held[0] < 120, f"{held} MB"
        with tally.case("the server went nowhere and met no defect"):
            log = server.log.read_text(encoding="utf-8")
            assert "WENT OUT" not in log
            assert "ASGI" not in log, log[log.index("ASGI") :][:3000]
        visit(tally, server, 0, masks)
    return tally.row(memory_mb=[round(size) for size in held])


def mixed(visits: list[Action], bad: list[Action]) -> list[Action]:
    """All visits, which are two requests each, with a bad request after every second one."""
    kinds = cycle(bad)
    return [action for n, visit in enumerate(visits) for action in ([visit, next(kinds)] if n % 2 else [visit])]


def attempt(tally: Tally, name: str, action: Action) -> None:
    """A bad request."""
    with tally.case(name, seconds=WAIT):
        action()


def visit(tally: Tally, server: Server, number: int, masks: dict[int, Any]) -> None:
    """A photo is segmented rightly, and its class map is downloaded."""
    visitor = Visitor(server)
    with tally.case(f"photo {number}", seconds=WAIT):
        answer = visitor.choose((some_photo(number % 10), f"{number}.jpg"))
        assert answer.status.startswith('<p class="done">'), answer.status
    with tally.case(f"class map of photo {number}", seconds=WAIT):
        mask, name = visitor.saved("Download class map", 0.5, ["pet"])
        assert name == f"{number}.mask.png"
        assert wrong(mask, masks[number % 10]) < 1e-3


def fields(server: Server) -> Iterator[Case]:
    """Odd values in each field of each handler."""
    handlers: dict[tuple[str, str], list[Any]] = {
        ("upload", "photos"): [[None], "unet"],
        ("input", "Model"): [None, "unet"],
        ("input", "Crop to the pet"): [None, False, *CUTOUT],
        ("click", "Download"): [None, *CUTOUT],
        ("click", "Download all (ZIP)"): [None, *CUTOUT],
        ("click", "Download overlay"): [None, 0.5, ["pet"]],
        ("input", "Opacity of the overlay"): [None, True, 0.5, ["pet"]],
    }
    for (event, label), values in handlers.items():
        for place in range(len(values)):
            for odd in ODD if values[place] is not None else ():  # None: the visit, which stays on the server
                changed = [*values[:place], odd, *values[place + 1 :]]
                yield f"{label}: {str(odd)[:20]!r} at {place}", partial(odd_values, server, event, label, changed)


def odd_values(server: Server, event: str, label: str, values: list[Any]) -> None:
    """A handler refuses the values with a sentence, or has a use for them."""
    visitor = Visitor(server)
    if label != "photos":
        visitor.choose((some_photo(0), "cat.jpg"))
    try:
        output = visitor.do(event, label, *values)
    except HTTPError as error:
        if not 400 <= error.code < 500:
            raise
        return
    text = output["error"] if "error" in output else str(output["data"][0])
    refused = "error" in output or 'class="failed"' in text
    assert not refused or re.search(r"[a-z]{3}.*[.!]", text or ""), f"no sentence: {text!r}"
    assert "root:" not in text, "content of a file of the server"


def raw(server: Server) -> Iterator[Case]:
    """Requests that no page sends; each gets a status between 400 and 499."""
    join, upload = "POST /gradio_api/queue/join", "POST /gradio_api/upload"
    form = {"Content-Type": "multipart/form-data; boundary=b"}
    part = b'--b\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n'
    paths = ("/etc/passwd", CLIMB, "..%2f..%2fetc%2fpasswd", "https://example.com", "%00", "C:/windows/win.ini")
    for start in ("/gradio_api/file=", "/file=", "/gradio_api/proxy=", "/static/", "/assets/", "/gradio_api/file/"):
        for path in paths:
            yield f"GET {start}{path}", partial(refused, server, f"GET {start}{path}")
    no_json = (b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b"[" * 100_000)
    for body in (*no_json, b'{"data": 1}', b'{"fn_index": -1, "data": []}'):
        yield f"join {body[:30]!r}", partial(refused, server, join, body)
    for number in (-1, 10**6, 10**400, "x", None, [], 1.5):
        body = json.dumps({"data": [], "fn_index": number, "session_hash": "s"}).encode()
        yield f"join function {str(number)[:20]}", partial(refused, server, join, body)
    yield "join 2 MB", partial(refused, server, join, b" " * 2_000_000, status=413)
    yield "upload 51 MB", partial(refused, server, upload, part + bytes(53_500_000) + b"\r\n--b--\r\n", form, 413)
    yield "upload without a boundary", partial(refused, server, upload, part, {"Content-Type": "multipart/form-data"})
    yield "upload of another type", partial(refused, server, upload, part, {"Content-Type": "text/plain"})
    yield "upload without a name", partial(refused, server, upload, b"--b\r\n\r\nx\r\n--b--\r\n", form)
    yield "upload of a long header", partial(refused, server, upload, b"--b\r\nA: " + b"x" * 99_999, form)
    yield "upload of 1,001 files", partial(refused, server, upload, (part + b"\r\n") * 1001 + b"--b--\r\n", form)
    for method in ("PUT", "DELETE", "PATCH", "NONSENSE"):
        yield f"{method} join", partial(refused, server, f"{method} /gradio_api/queue/join", b"{}")


def refused(
    server: Server, request: str, body: bytes = b"", headers: dict[str, str] | None = None, status: int | None = None
) -> None:
    method, _, path = request.partition(" ")
    connection = http.client.HTTPConnection(urlsplit(server.address).netloc, timeout=WAIT)
    with suppress(BrokenPipeError):  # the server has answered before all came
        connection.request(method, path, body, {"Content-Type": "application/json", **(headers or {})})
    answer = connection.getresponse()
    text = answer.read().decode("utf-8", "replace")
    connection.close()
    assert answer.status == status or (status is None and 400 <= answer.status < 500), (
        f"status {answer.status}: {text[:200]}"
    )
    assert "Traceback" not in text
