"""What the tests of the web app share: photos, the running command, and a visitor who speaks to it."""

import base64
import json
import os
import re
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from servers import Server, free_port, serving
from skimage.data import cat

from petseg.apps import display
from petseg.inference.predictor import Predictor
from petseg.inference.segmentation import Segmentation

#: Seconds in which an answer comes on a machine that is busy with much else.
WAIT = 300

#: What the page's fields hold: opacity and classes of the overlay, and the options of the cut-out.
OVERLAY: list[Any] = [0.5, ["pet", "boundary"]]
CUTOUT: list[Any] = ["transparent", "#2e7d6b", None, False, "png", "as found", False]


class Answer(NamedTuple):
    """What comes back when photos are chosen."""

    status: str
    field: Any
    visit: None
    results: dict[str, Any]
    choice: dict[str, Any]


def chelsea(width: int = 451, height: int = 300) -> Image.Image:
    return Image.fromarray(cat()).resize((width, height))


def encoded(image: Image.Image, kind: str = "JPEG", **settings: Any) -> bytes:
    file = BytesIO()
    image.save(file, format=kind, **settings)
    return file.getvalue()


def some_photo(number: int) -> bytes:
    """Different for each number, in size and content."""
    return encoded(chelsea(200 + 7 * number, 300).rotate(9 * number), quality=90)


def animation() -> bytes:
    return encoded(chelsea(), "GIF", save_all=True, append_images=[chelsea().rotate(90)])


def on_its_side() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(chelsea().rotate(90, expand=True), exif=exif)


#: Runs `petseg app`, and prints each address beyond this machine that it connects with.
WATCHED = """
import sys
def watch(event, values):
    if event in ("socket.connect", "socket.getaddrinfo"):
        host = values[1] if event == "socket.connect" else values[0]
        host = host[0] if isinstance(host, tuple) else host
        if host not in ("127.0.0.1", "::1", "localhost", "0.0.0.0", None, b"127.0.0.1", b"localhost"):
            print("WENT OUT", event, host, flush=True)
import uvicorn
run = uvicorn.Server.run
def watched(*values):
    sys.addaudithook(watch)  # after the app's own hook, which refuses
    run(*values)
uvicorn.Server.run = watched
from petseg.cli import main
sys.exit(main(["app", "--port", sys.argv[1]]))
"""


@contextmanager
def app_in(folder: Path) -> Iterator[Server]:
    port = free_port()
    with serving(["-c", WATCHED, str(port)], port, folder, os.environ | {"TMPDIR": str(folder)}) as server:
        yield server


def memory(server: Server) -> float:
    """Megabytes that the process holds; 0 where the system does not say."""
    status = Path(f"/proc/{server.process.pid}/status")
    size = re.search(r"VmRSS:\s+(\d+)", status.read_text(encoding="utf-8")) if status.exists() else None
    return int(size[1]) / 1024 if size else 0.0


class Visitor:
    """Speaks to the server as the page in a browser does: upload, join the queue, listen for the answer."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.session = uuid.uuid4().hex
        self.config = json.loads(urllib.request.urlopen(f"{server.address}/config").read())

    def upload(self, data: bytes, name: str) -> dict[str, Any]:
        mark = uuid.uuid4().hex
        head = f'--{mark}\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'
        body = head.encode() + data + f"\r\n--{mark}--\r\n".encode()
        (path,) = json.loads(self.ask("upload", body, f"multipart/form-data; boundary={mark}"))
        return {"path": path, "orig_name": name, "meta": {"_type": "gradio.FileData"}}

    def ask(self, where: str, body: bytes | None = None, kind: str = "application/json") -> bytes:
        request = urllib.request.Request(f"{self.server.address}/gradio_api/{where}", body, {"Content-Type": kind})
        answer: bytes = urllib.request.urlopen(request, timeout=WAIT).read()
        return answer

    def do(self, event: str, label: str, *values: Any, index: int | None = None, more: Any = None) -> dict[str, Any]:
        """The answer to an event of the component with this label, text or id: `data`, or `error`.

        `index` is that of a selected picture, `more` what else the event says.
        """
        selected = {"index": index, "value": None, **(more or {})}
        message = {"data": values, "session_hash": self.session, "event_data": selected}
        self.ask("queue/join", json.dumps(message | {"fn_index": self.handler(event, label)}).encode())
        request = f"{self.server.address}/gradio_api/queue/data?session_hash={self.session}"
        with urllib.request.urlopen(request, timeout=WAIT) as stream:
            for line in stream:
                news = json.loads(line[5:]) if line.startswith(b"data:") else {}
                if news.get("msg") == "process_completed":
                    output: dict[str, Any] = news["output"]
                    return output
        raise AssertionError("the stream ended without an answer")

    def handler(self, event: str, label: str) -> int:
        """The number of the handler that answers an event."""
        if event == "success":  # what the answer to an input of this component sets off
            first = self.handler("input", label)
            return next(h["id"] for h in self.config["dependencies"] if h["trigger_after"] == first and h["backend_fn"])
        ids = {part["id"] for part in self.config["components"] if label in _labels(part["props"])}
        numbers: list[int] = [
            handler["id"]
            for handler in self.config["dependencies"]
            if handler["backend_fn"] and any(target[0] in ids and target[1] == event for target in handler["targets"])
        ]
        return numbers[0]

    def data(self, event: str, label: str, *values: Any, index: int | None = None, more: Any = None) -> list[Any]:
        """The new values after an event that must not fail."""
        output = self.do(event, label, *values, index=index, more=more)
        assert "data" in output, output
        data: list[Any] = output["data"]
        return data

    def choose(self, *photos: tuple[bytes, str], model: str = "unet") -> Answer:
        """Uploads photos and waits until they are segmented."""
        files = [self.upload(data, name) for data, name in photos]
        return Answer(*self.data("upload", "photos", files, model))

    def offers_all(self) -> bool:
        """Whether the page has the button for all cut-outs, as it learns when what is shown changes."""
        return bool(self.data("expand", "Correct", None)[1]["visible"])

    def compared(self, *cutout: Any) -> str:
        """HTML of the comparison."""
        return str(self.data("input", "Crop to the pet", None, False, *(cutout or CUTOUT))[0])

    def details(self) -> tuple[list[Image.Image], str]:
        """Overlay, class map and confidence map, and HTML of the legend."""
        self.data("expand", "Details: overlay, class map, confidence")
        pictures, legend = self.data("input", "Opacity of the overlay", None, None, *OVERLAY)
        return [self.file(picture["image"]) for picture in pictures], legend

    def saved(self, button: str, *values: Any) -> tuple[Image.Image, str]:
        """The picture that a button saves, and its name."""
        file = self.data("click", button, None, *values)[0]
        return self.file(file), file["orig_name"]

    def file(self, described: dict[str, Any]) -> Image.Image:
        """A picture that the server wrote."""
        return Image.open(BytesIO(self.ask(f"file={urllib.parse.quote(described['path'])}")))


def _labels(properties: dict[str, Any]) -> tuple[str, ...]:
    return tuple(str(properties.get(key)) for key in ("label", "value", "elem_id"))


def picture(html: str, index: int = 0) -> Image.Image:
    """A picture that HTML holds; in a comparison the first is the cut-out and the second the photo."""
    pictures = re.findall(r'src="data:image/\w+;base64,([^"]+)"', html)
    return Image.open(BytesIO(base64.b64decode(pictures[index])))


@cache
def predictor() -> Predictor:
    return Predictor("unet", device="cpu")


def expected(data: bytes) -> Segmentation:
    """The result at the size of the details."""
    return display.preview(predictor()(data), display.DETAIL_SIDE)


def wrong(image: Image.Image, mask: Any) -> float:
    """Fraction of pixels that differ; on another device or with more threads, a logit's last digit may."""
    assert image.size == mask.shape[::-1]
    labels = np.asarray(image)
    return float(np.mean(np.where(labels == 3, 2, labels) != mask))  # 3: the lines over the boundary on the screen


def difference(image: Image.Image, right: Image.Image) -> float:
    """Mean absolute difference of two pictures of the same mode and size."""
    assert (image.mode, image.size) == (right.mode, right.size)
    return float(np.abs(np.asarray(image, dtype=int) - np.asarray(right, dtype=int)).mean())
