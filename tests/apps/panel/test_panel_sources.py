"""Photos of a path or an address that somebody typed, and of a breed of the data set."""

import re
import threading
import urllib.request
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from petseg.apps.panel.panel import breed_samples, typed_photo
from petseg.errors import PhotoError


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: Any) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """The address of a web server that serves the temporary folder."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("name", ["dog.jpg", "my dog.jpg", "Größe 100%.jpg", "犬.jpg"])
def test_a_photo_is_read_from_its_path_with_or_without_quotes_and_from_its_address(
    name: str, server: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(b"a photo")
    assert typed_photo(f'"{tmp_path / name}"') == typed_photo(f" {tmp_path / name} ") == (name, tmp_path / name)
    assert typed_photo(f" {server}/{name}?size=1 ") == (name, b"a photo")


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("http://käse.de/mein Hund/größe.jpg", "http://xn--kse-qla.de/mein%20Hund/gr%C3%B6%C3%9Fe.jpg"),
        ("https://a.org/my%20dog.jpg?w=1&q=ä", "https://a.org/my%20dog.jpg?w=1&q=%C3%A4"),
        ("https://a.org/50% off.jpg#top", "https://a.org/50%25%20off.jpg"),
        ("https://me:secret@[::1]:8000/a.jpg", "https://me:secret@[::1]:8000/a.jpg"),
    ],
)
def test_an_address_is_asked_for_in_the_characters_of_the_web_and_what_is_encoded_stays(
    typed: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def urlopen(request: urllib.request.Request, timeout: float) -> None:
        raise OSError(request.full_url)

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    with pytest.raises(PhotoError, match=re.escape(f"cannot be fetched ({expected}).")):
        typed_photo(typed)


@pytest.mark.parametrize("address", ["http://", "http://[::1/a.jpg", "http://a..b/ä.jpg", "https://a.org:port/a.jpg"])
def test_what_is_no_address_is_one_sentence(address: str) -> None:
    with pytest.raises(PhotoError, match=r"cannot be fetched .* Save the photo with a browser and upload it"):
        typed_photo(address)


def test_a_photo_that_is_not_there_is_one_sentence(server: str, tmp_path: Path) -> None:
    with pytest.raises(PhotoError, match=r"cat.jpg: cannot be fetched .*not found"):
        typed_photo(f"{server}/cat.jpg")
    with pytest.raises(PhotoError, match=r"cat.jpg: no such file on the machine that runs this notebook"):
        typed_photo(str(tmp_path / "cat.jpg"))
    with pytest.raises(PhotoError, match=r"^~nobody-here/cat.jpg: no such file on the machine"):
        typed_photo("~nobody-here/cat.jpg")


def test_of_an_address_no_more_is_fetched_than_may_be_uploaded(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("petseg.apps.panel.panel.MAX_BYTES", 1_000_000)
    (tmp_path / "cat.jpg").write_bytes(bytes(1_000_000))
    assert len(typed_photo(f"{server}/cat.jpg")[1]) == 1_000_000
    (tmp_path / "cat.jpg").write_bytes(bytes(1_000_001))
    with pytest.raises(PhotoError, match=r"^cat\.jpg: larger than 1 MB\. Download it and type its path instead\.$"):
        typed_photo(f"{server}/cat.jpg")


def test_of_each_breed_of_the_data_set_a_photo_is_offered_where_it_is(tmp_path: Path) -> None:
    for name in ("saint_bernard_7", "Bengal_1", "Bengal_2"):
        (tmp_path / f"{name}.jpg").touch()
    offered = breed_samples(tmp_path)
    assert list(offered) == ["Bengal", "saint bernard"]
    assert offered["saint bernard"]() == tmp_path / "saint_bernard_7.jpg"
    assert breed_samples(tmp_path / "absent") == breed_samples() == {}
