"""Fetching Oxford-IIIT Pet, against a small server on this machine and archives of four pets."""

import hashlib
import io
import sys
import tarfile
import threading
import time
from collections import namedtuple
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from petseg.data import archive as archives
from petseg.data import download
from petseg.data.download import fetch_oxford, verify_oxford
from petseg.errors import DataError

TRAINVAL = ("Birman_1", "Pug_1")
TEST = ("Birman_2", "Pug_2")
Usage = namedtuple("Usage", "total used free")


def photo(name: str) -> bytes:
    """Bytes that stand for a photo and do not compress: the archive is long enough to break off half way."""
    return b"".join(hashlib.sha256(f"{name} {i}".encode()).digest() for i in range(4000))  # 128 kB


def archive(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def rows(names: tuple[str, ...]) -> bytes:
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

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = official()
        self.requests: list[tuple[str, str | None]] = []
        self.knows_ranges = True
        self.breaks: list[int] = []  # the next answers of images.tar.gz end after so many bytes
        self.status = 200

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{name}"

    def ranges_of(self, name: str) -> list[str | None]:
        return [asked for path, asked in self.requests if path == name]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        name, asked = self.path.lstrip("/"), self.headers.get("Range")
        self.server.requests.append((name, asked))
        body = self.server.files[name]
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
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    sums = {name: hashlib.md5(content).hexdigest() for name, content in server.files.items()}
    table = {name.split(".")[0]: (server.url(name), sums[name]) for name in sums}
    monkeypatch.setattr(download, "ARCHIVES", table)
    monkeypatch.setattr(archives, "PAUSE", 0.0)
    for proxy in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(proxy, raising=False)
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def fetch(root: Path) -> Path:
    return fetch_oxford(root, progress=False)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_addresses_and_checksums_are_torchvisions() -> None:
    from torchvision.datasets import OxfordIIITPet

    assert set(download.ARCHIVES.values()) == set(OxfordIIITPet._RESOURCES)
    assert all(url.endswith(f"/{part}.tar.gz") for part, (url, _) in download.ARCHIVES.items())


def test_an_empty_folder_receives_the_whole_data_set(server: Server, tmp_path: Path) -> None:
    folder = fetch(tmp_path / "new" / "data")
    assert folder == tmp_path / "new" / "data" / "oxford-iiit-pet"
    assert verify_oxford(folder) == []
    assert (folder / "images/Pug_2.jpg").read_bytes() == photo("Pug_2")
    assert (folder / "annotations/trimaps/Pug_2.png").read_bytes() == b"trimap of Pug_2"


def test_neither_archives_nor_temporary_files_stay_behind(server: Server, tmp_path: Path) -> None:
    folder = fetch(tmp_path)
    assert sorted(path.name for path in folder.iterdir()) == ["annotations", "images"]
    assert not list(folder.rglob("._*"))


def test_torchvision_reads_what_was_fetched(server: Server, tmp_path: Path) -> None:
    from torchvision.datasets import OxfordIIITPet

    fetch(tmp_path)
    assert len(OxfordIIITPet(str(tmp_path), split="trainval", download=False)) == len(TRAINVAL)
    assert len(OxfordIIITPet(str(tmp_path), split="test", download=False)) == len(TEST)


def test_a_complete_folder_makes_no_request(server: Server, tmp_path: Path) -> None:
    fetch(tmp_path)
    server.requests.clear()
    fetch(tmp_path)
    assert server.requests == []


def test_a_download_that_breaks_off_goes_on_at_that_byte(server: Server, tmp_path: Path) -> None:
    server.breaks = [100_000, 50_000]
    folder = fetch(tmp_path)
    assert server.ranges_of("images.tar.gz") == [None, "bytes=100000-", "bytes=150000-"]
    assert (folder / "images/Birman_1.jpg").read_bytes() == photo("Birman_1")


def test_more_breaks_than_tries_are_fine_while_bytes_arrive(server: Server, tmp_path: Path) -> None:
    server.breaks = [50_000] * (archives.ATTEMPTS + 2)
    assert verify_oxford(fetch(tmp_path)) == []


def test_a_second_run_goes_on_where_the_first_gave_up(server: Server, tmp_path: Path) -> None:
    server.breaks = [100_000] + [0] * archives.ATTEMPTS
    with pytest.raises(DataError, match=r"0\.1 MB came.*connection ended.*Run `petseg data oxford` again"):
        fetch(tmp_path)
    server.requests.clear()
    assert verify_oxford(fetch(tmp_path)) == []
    assert server.requests == [("images.tar.gz", "bytes=100000-")]


def test_a_server_without_ranges_starts_anew(server: Server, tmp_path: Path) -> None:
    server.knows_ranges = False
    server.breaks = [100_000]
    folder = fetch(tmp_path)
    assert len(server.ranges_of("images.tar.gz")) == 2
    assert verify_oxford(folder) == []


def test_a_server_without_ranges_that_always_breaks_is_given_up(server: Server, tmp_path: Path) -> None:
    server.knows_ranges = False
    server.breaks = [100_000] * 50
    with pytest.raises(DataError, match="connection ended"):
        fetch(tmp_path)
    assert len(server.ranges_of("images.tar.gz")) == 1 + archives.ATTEMPTS


@pytest.mark.parametrize("length", [1000, 10_000_000], ids=["shorter", "longer"])
def test_a_part_of_another_file_is_thrown_away(server: Server, tmp_path: Path, length: int) -> None:
    part = tmp_path / "oxford-iiit-pet" / "images.tar.gz.part"
    part.parent.mkdir()
    part.write_bytes(b"x" * length)
    assert verify_oxford(fetch(tmp_path)) == []


def test_a_wrong_checksum_is_reported_and_changes_nothing(server: Server, tmp_path: Path) -> None:
    server.files["annotations.tar.gz"] = b"<html>Please log in</html>"
    with pytest.raises(DataError, match=r"annotations\.tar\.gz: came with MD5 [0-9a-f]{32}, expected"):
        fetch(tmp_path)
    assert len(server.requests) == 2  # once more from the start, before giving up
    assert contents(tmp_path) == {}


def test_an_address_that_is_gone_is_asked_once(server: Server, tmp_path: Path) -> None:
    server.status = 404
    with pytest.raises(DataError, match="404"):
        fetch(tmp_path)
    assert len(server.requests) == 1


def test_a_server_in_trouble_is_asked_again(server: Server, tmp_path: Path) -> None:
    server.status = 503
    with pytest.raises(DataError, match="503"):
        fetch(tmp_path)
    assert len(server.requests) == archives.ATTEMPTS


def test_no_network_is_one_clear_sentence(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = dict.fromkeys(("annotations", "images"), ("http://127.0.0.1:9/none.tar.gz", "0" * 32))
    monkeypatch.setattr(download, "ARCHIVES", table)
    with pytest.raises(DataError, match=r"none\.tar\.gz.*refused.*connection to 127\.0\.0\.1"):
        fetch(tmp_path)


def test_a_full_disk_is_told_before_the_download(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives.shutil, "disk_usage", lambda path: Usage(100, 50, 50))
    with pytest.raises(DataError, match=r"needs .* GB in .* free.*PETSEG_DATA_DIR"):
        fetch(tmp_path)
    assert contents(tmp_path) == {}


def test_a_folder_that_cannot_be_made_is_one_clear_sentence(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(DataError, match="cannot be written"):
        fetch(tmp_path / "file")


def test_a_half_extracted_folder_is_repaired(server: Server, tmp_path: Path) -> None:
    folder = fetch(tmp_path)
    (folder / "images/Pug_1.jpg").unlink()
    (folder / "images/Birman_2.jpg").write_bytes(b"")
    (folder / "images/mine.jpg").write_bytes(b"put there by a user")
    assert verify_oxford(folder) == ["images/Birman_2.jpg is empty", "images/Pug_1.jpg is missing"]
    server.requests.clear()
    fetch(tmp_path)
    assert [name for name, _ in server.requests] == ["images.tar.gz"]
    assert (folder / "images/Birman_2.jpg").read_bytes() == photo("Birman_2")
    assert (folder / "images/mine.jpg").read_bytes() == b"put there by a user"


def test_missing_trimaps_fetch_only_the_annotations(server: Server, tmp_path: Path) -> None:
    folder = fetch(tmp_path)
    (folder / "annotations/trimaps/Pug_1.png").unlink()
    server.requests.clear()
    assert verify_oxford(fetch(tmp_path)) == []
    assert [name for name, _ in server.requests] == ["annotations.tar.gz"]


def test_a_failed_repair_leaves_all_that_was_there(server: Server, tmp_path: Path) -> None:
    folder = fetch(tmp_path)
    (folder / "images/Pug_1.jpg").unlink()
    before = contents(folder)
    server.breaks = [0] * archives.ATTEMPTS
    with pytest.raises(DataError):
        fetch(tmp_path)
    after = contents(folder)
    assert {name: after[name] for name in before} == before


def test_a_split_list_that_ends_early_is_noticed(server: Server, tmp_path: Path) -> None:
    folder = fetch(tmp_path)
    trainval = folder / "annotations/trainval.txt"
    trainval.write_bytes(rows(TRAINVAL[:1]))
    assert verify_oxford(folder) == ["annotations/trainval.txt and test.txt lack 1 names of list.txt"]
    trainval.write_text("Birman_1 1 1 1\nPug_1 1")
    assert "holds 'Pug_1 1'" in verify_oxford(folder)[0]
    assert verify_oxford(fetch(tmp_path)) == []


def test_an_archive_that_torchvision_left_is_used_and_kept(server: Server, tmp_path: Path) -> None:
    folder = tmp_path / "oxford-iiit-pet"
    folder.mkdir()
    for name, content in server.files.items():
        (folder / name).write_bytes(content)
    assert verify_oxford(fetch(tmp_path)) == []
    assert server.requests == []
    assert (folder / "images.tar.gz").exists()


def test_a_downloaded_archive_that_was_never_unpacked_is_not_fetched_again(server: Server, tmp_path: Path) -> None:
    part = tmp_path / "oxford-iiit-pet" / "images.tar.gz.part"
    part.parent.mkdir()
    part.write_bytes(server.files["images.tar.gz"])
    assert verify_oxford(fetch(tmp_path)) == []
    assert server.ranges_of("images.tar.gz") == []


@pytest.mark.parametrize("name", ["../evil.txt", "/evil.txt", "images/../../evil.txt"])
def test_an_archive_cannot_write_outside_the_folder(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    evil = archive({"annotations/trainval.txt": rows(TRAINVAL), name: b"evil"})
    server.files["annotations.tar.gz"] = evil
    table = {"annotations": (server.url("annotations.tar.gz"), hashlib.md5(evil).hexdigest())}
    monkeypatch.setattr(download, "ARCHIVES", table | {"images": ("", "")})
    with pytest.raises(DataError, match=r"evil\.txt"):
        fetch(tmp_path / "data")
    assert not list(tmp_path.rglob("evil.txt"))
    assert not (tmp_path / "data/oxford-iiit-pet/annotations").exists()


def test_links_in_an_archive_are_left_out(server: Server, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        link = tarfile.TarInfo("images/link.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "../../secret"
        tar.addfile(link)
    (tmp_path / "links.tar.gz").write_bytes(buffer.getvalue())
    archives.unpack(tmp_path / "links.tar.gz", tmp_path, progress=False)
    assert not (tmp_path / "images").exists()


def test_official_archives_that_lack_a_photo_are_reported(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    poor = archive({f"images/{name}.jpg": photo(name) for name in TRAINVAL})
    server.files["images.tar.gz"] = poor
    table = download.ARCHIVES | {"images": (server.url("images.tar.gz"), hashlib.md5(poor).hexdigest())}
    monkeypatch.setattr(download, "ARCHIVES", table)
    with pytest.raises(DataError, match=r"images/Birman_2\.jpg is missing \(2 such problems\)"):
        fetch(tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no flock")
def test_two_at_the_same_time_download_once(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "oxford-iiit-pet"
    folder.mkdir()
    threads = [threading.Thread(target=fetch, args=(tmp_path,)) for _ in range(2)]
    shown, deadline = "", time.monotonic() + 5
    with download._locked(folder):
        for thread in threads:
            thread.start()
        while shown.count("waiting for it") < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
            shown += capsys.readouterr().err
        assert server.requests == []
    for thread in threads:
        thread.join()
    assert shown.count("waiting for it") == 2
    assert verify_oxford(folder) == []
    assert sorted(name for name, _ in server.requests) == ["annotations.tar.gz", "images.tar.gz"]


def test_progress_counts_bytes(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fetch_oxford(tmp_path)
    shown = capsys.readouterr().err
    assert "images.tar.gz: 100%" in shown
    assert "unpack images" in shown
