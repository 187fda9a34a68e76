"""Oxford-IIIT Pet in small: archives of four pets, and a server on this machine that sends them well or badly."""

import hashlib
import io
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TRAINVAL = ("Birman_1", "Pug_1")
TEST = ("Birman_2", "Pug_2")


def photo(name: str) -> bytes:
    """Bytes that stand for a photo and do not compress: the archive is long enough to break off half way."""
    return b"".join(hashlib.sha256(f"{name} {i}".encode()).digest() for i in range(4000))  # 128 kB


def archive(files: dict[str, bytes]) -> bytes:
    """A .tar.gz of these files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def rows(names: tuple[str, ...]) -> bytes:
    """The lines of a split list."""
    return "".join(f"{name} 1 1 1\n" for name in names).encode()


def official() -> dict[str, bytes]:
    """The two archives, with what is odd in the real ones: a photo in no list, and macOS's `._` files."""
    names = (*TRAINVAL, *TEST)
    annotations = {
        "annotations/list.txt": b"#Image CLASS-ID SPECIES BREED-ID\n" + rows(names),
        "annotations/trainval.txt": rows(TRAINVAL),
        "annotations/test.txt": rows(TEST),
    }
    for name in names:
        annotations[f"annotations/trimaps/._{name}.png"] = b"Mac"
        annotations[f"annotations/trimaps/{name}.png"] = f"trimap of {name}".encode()
    images = {f"images/{name}.jpg": photo(name) for name in (*names, "Pug_999")}
    return {"annotations.tar.gz": archive(annotations), "images.tar.gz": archive(images)}


class Server(ThreadingHTTPServer):
    """Serves archives, records every request, and fails as asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = official()
        self.requests: list[tuple[str, str | None]] = []
        self.knows_ranges = True
        self.breaks: list[int] = []  # the next answers of images.tar.gz end after so many bytes
        self.status = 200
        self.seconds = 0.0  # before each answer
        self.misbehave: Callable[[Handler, bytes], None] | None = None  # answers in the place of `do_GET`

    def url(self, name: str) -> str:
        """The address of an archive."""
        return f"http://127.0.0.1:{self.server_address[1]}/{name}"

    def table(self) -> dict[str, tuple[str, str]]:
        """Address and MD5 of both archives, as `download.ARCHIVES`."""
        return {
            name.split(".")[0]: (self.url(name), hashlib.md5(content).hexdigest())
            for name, content in self.files.items()
        }

    def ranges_of(self, name: str) -> list[str | None]:
        """The header `Range` of each request for an archive."""
        return [asked for path, asked in self.requests if path == name]

    def handle_error(self, request: object, client_address: object) -> None:
        """Prints nothing if the client goes away."""


class Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    server: Server

    def do_GET(self) -> None:
        """Sends an archive, from the byte that is asked for."""
        name, asked = self.path.lstrip("/"), self.headers.get("Range")
        self.server.requests.append((name, asked))
        body = self.server.files[name]
        time.sleep(self.server.seconds)
        if self.server.misbehave:
            return self.server.misbehave(self, body)
        if self.server.status == 302:
            self.send_response(302)
            self.send_header("Location", self.path)
            return self.end_headers()
        if self.server.status != 200:
            return self.send_error(self.server.status)
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and self.server.knows_ranges else 0
        if start >= len(body):
            return self.send_error(416)
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        cut = self.server.breaks.pop(0) if name == "images.tar.gz" and self.server.breaks else len(body)
        self.wfile.write(body[start : start + cut])
        return None

    def log_message(self, format: str, *args: object) -> None:
        """Prints nothing."""


@contextmanager
def archive_server() -> Iterator[Server]:
    """A server in a thread."""
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
