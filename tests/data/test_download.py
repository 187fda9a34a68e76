"""Fetching Oxford-IIIT Pet, against a small server on this machine and archives of four pets."""

import errno
import shutil
import ssl
import subprocess
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from archives import TRAINVAL, Server, archive_server, photo, rows
from torchvision.datasets import OxfordIIITPet

from petseg.data import download
from petseg.data.download import fetch_oxford, verify_oxford
from petseg.errors import DataError


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for proxy in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(proxy, raising=False)
    monkeypatch.setattr(download, "PAUSE", 0.0)
    with archive_server() as server:
        monkeypatch.setattr(download, "ARCHIVES", server.table())
        yield server


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_addresses_and_checksums_are_torchvisions():
    assert set(download.ARCHIVES.values()) == set(OxfordIIITPet._RESOURCES)
    assert all(url.endswith(f"/{part}.tar.gz") for part, (url, _) in download.ARCHIVES.items())


def test_an_empty_folder_receives_the_whole_data_set_and_nothing_else_and_the_bytes_are_counted(
    server, tmp_path, capsys
):
    folder = fetch_oxford(tmp_path / "new")
    assert folder == tmp_path / "new" / "oxford-iiit-pet"
    assert verify_oxford(folder) == []
    assert len(OxfordIIITPet(str(tmp_path / "new"), split="trainval", download=False)) == len(TRAINVAL)
    assert (folder / "images/Pug_2.jpg").read_bytes() == photo("Pug_2")
    assert (folder / "annotations/trimaps/Pug_2.png").read_bytes() == b"trimap of Pug_2"
    assert sorted(path.name for path in folder.iterdir()) == ["annotations", "images"]
    assert not list(folder.rglob("._*"))
    shown = capsys.readouterr().err
    assert "images.tar.gz: 100%" in shown
    assert "unpack images" in shown
    server.requests.clear()
    fetch_oxford(tmp_path / "new")  # complete
    assert server.requests == []


def test_an_interrupted_download_continues_at_that_byte(server, tmp_path):
    server.breaks = [100_000] + [50_000] * (download.ATTEMPTS + 1)  # more attempts are fine while bytes arrive
    folder = fetch_oxford(tmp_path)
    assert server.ranges_of("images.tar.gz")[:3] == [None, "bytes=100000-", "bytes=150000-"]
    assert (folder / "images/Birman_1.jpg").read_bytes() == photo("Birman_1")


def test_a_second_run_continues_where_the_first_gave_up(server, tmp_path):
    server.breaks = [100_000] + [0] * download.ATTEMPTS
    with pytest.raises(DataError, match=r"0\.1 MB came.*connection ended.*Start the download again: it continues"):
        fetch_oxford(tmp_path)
    server.requests.clear()
    assert verify_oxford(fetch_oxford(tmp_path)) == []
    assert server.requests == [("images.tar.gz", "bytes=100000-")]


def test_a_server_without_ranges_is_asked_for_the_whole_file_again(server, tmp_path):
    server.knows_ranges = False
    server.breaks = [100_000]
    assert verify_oxford(fetch_oxford(tmp_path / "one")) == []
    assert len(server.ranges_of("images.tar.gz")) == 2
    server.requests.clear()
    server.breaks = [100_000] * 50
    with pytest.raises(DataError, match="connection ended"):
        fetch_oxford(tmp_path / "other")
    assert len(server.ranges_of("images.tar.gz")) == 1 + download.ATTEMPTS


@pytest.mark.parametrize("length", [1000, None, 10_000_000], ids=["shorter", "equal", "longer"])
def test_a_part_of_another_file_is_discarded_and_the_attempts_are_counted_from_the_start(server, tmp_path, length):
    part = tmp_path / "oxford-iiit-pet" / "images.tar.gz.part"
    part.parent.mkdir()
    part.write_bytes(b"x" * (length or len(server.files["images.tar.gz"])))
    server.breaks = [50_000] * (download.ATTEMPTS + 1)
    assert verify_oxford(fetch_oxford(tmp_path)) == []


def test_a_wrong_checksum_is_reported_and_changes_nothing(server, tmp_path):
    server.files["annotations.tar.gz"] = b"<html>Please log in</html>"
    with pytest.raises(
        DataError, match=r"annotations\.tar\.gz: the downloaded file does not have the MD5 [0-9a-f]{32}"
    ):
        fetch_oxford(tmp_path)
    assert len(server.requests) == 2  # once more from the start, before giving up
    assert contents(tmp_path / "oxford-iiit-pet") == {}


@pytest.mark.parametrize(
    ("status", "requests", "sentence"),
    [
        (302, 5, "infinite loop.*refuses"),
        (404, 1, "404.*127.0.0.1:[0-9]+ refuses: open the address in a browser"),
        (416, 1, "416.*refuses"),
        (503, download.ATTEMPTS, "503.*The fault is that of 127.0.0.1:[0-9]+, not yours: wait"),
    ],
)
def test_a_server_in_trouble_is_asked_again_and_one_that_refuses_is_not(server, tmp_path, status, requests, sentence):
    server.status = status
    with pytest.raises(DataError, match=sentence):
        fetch_oxford(tmp_path)
    assert len(server.requests) == requests


def test_a_page_in_the_place_of_the_file_is_said_and_what_came_before_is_kept(server, tmp_path):
    def page(handler, body):
        handler.send_response(200)
        handler.send_header("Content-Type", "text/html; charset=utf-8")
        handler.end_headers()

    part = tmp_path / "oxford-iiit-pet/annotations.tar.gz.part"
    part.parent.mkdir()
    part.write_bytes(server.files["annotations.tar.gz"][:50])
    server.misbehave = page
    with pytest.raises(DataError, match=r"a page came instead of the file, .* what came before is kept"):
        fetch_oxford(tmp_path)
    assert len(part.read_bytes()) == 50
    server.misbehave = None
    fetch_oxford(tmp_path)
    assert server.ranges_of("annotations.tar.gz")[-1] == "bytes=50-"


def test_an_untrusted_certificate_is_not_tried_again_and_names_the_variable(server, tmp_path, monkeypatch):
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=pets", "-days", "2"]
    if not shutil.which("openssl"):
        pytest.skip("openssl, which makes the certificate, is missing")
    subprocess.run([*made, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    address = server.url("annotations.tar.gz").replace("http:", "https:")
    monkeypatch.setattr(download, "ARCHIVES", {"annotations": (address, "0" * 32)})
    monkeypatch.setattr(download.time, "sleep", lambda _: pytest.fail("tried again"))
    with pytest.raises(DataError, match=r"CERTIFICATE_VERIFY_FAILED.*certificate of 127.0.0.1:.*SSL_CERT_FILE"):
        fetch_oxford(tmp_path)


def test_without_a_network_or_a_folder_to_write_to_there_is_one_clear_sentence(server, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(DataError, match=r"cannot be written \(Not a directory\).*--dir, or PETSEG_DATA_DIR where"):
        fetch_oxford(tmp_path / "file")
    table = dict.fromkeys(("annotations", "images"), ("http://127.0.0.1:9/none.tar.gz", "0" * 32))
    monkeypatch.setattr(download, "ARCHIVES", table)
    with pytest.raises(DataError, match=r"none\.tar\.gz.*refused.*connection to 127\.0\.0\.1"):
        fetch_oxford(tmp_path)


def test_missing_and_empty_files_are_repaired_and_other_files_stay(server, tmp_path):
    folder = fetch_oxford(tmp_path)
    (folder / "images/Pug_1.jpg").unlink()
    (folder / "images/Birman_2.jpg").write_bytes(b"")
    (folder / "images/mine.jpg").write_bytes(b"put there by a user")
    assert verify_oxford(folder) == ["images/Birman_2.jpg is empty", "images/Pug_1.jpg is missing"]
    before = contents(folder)
    server.breaks = [0] * download.ATTEMPTS
    with pytest.raises(DataError):
        fetch_oxford(tmp_path)
    assert before.items() <= contents(folder).items()  # a failed repair changes nothing
    server.requests.clear()
    fetch_oxford(tmp_path)
    assert [name for name, _ in server.requests] == ["images.tar.gz"]
    assert (folder / "images/Birman_2.jpg").read_bytes() == photo("Birman_2")
    assert (folder / "images/mine.jpg").read_bytes() == b"put there by a user"
    (folder / "annotations/trimaps/Pug_1.png").unlink()
    fetch_oxford(tmp_path)
    assert [name for name, _ in server.requests] == ["images.tar.gz", "annotations.tar.gz"]


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("trainval", rows(TRAINVAL[:1]), "trainval.txt and test.txt lack 1 names of list.txt"),
        ("trainval", b"Birman_1 1 1 1\nPug_1 1", "line 2: 'Pug_1 1'"),
        ("trainval", b"", "names no image"),
        ("list", b"Birman_1 1 1 1\nPug_1 1", "annotations/list.txt cannot be used"),
        ("list", b"", "names no image"),
    ],
)
def test_a_list_that_ends_early_is_noticed_and_replaced(server, tmp_path, name, content, problem):
    folder = fetch_oxford(tmp_path)
    (folder / f"annotations/{name}.txt").write_bytes(content)
    assert problem in verify_oxford(folder)[0]
    assert verify_oxford(fetch_oxford(tmp_path)) == []


def test_a_data_set_of_ones_own_in_this_layout_is_never_replaced(server, tmp_path):
    folder = fetch_oxford(tmp_path)
    (folder / "annotations/list.txt").unlink()
    (folder / "images/Pug_1.jpg").unlink()
    (folder / "annotations/test.txt").unlink()
    before = contents(folder)
    server.requests.clear()
    with pytest.raises(DataError, match=r"seems to hold data of your own, and stays as it is: .*test\.txt"):
        fetch_oxford(tmp_path)
    assert (contents(folder), server.requests) == (before, [])


@pytest.mark.parametrize(("suffix", "stays"), [("", True), (".part", False)])
def test_an_archive_that_exists_is_not_fetched_again(server, tmp_path, suffix, stays):
    """torchvision's archives have no suffix; a `.part` is ours, downloaded but never unpacked."""
    folder = tmp_path / "oxford-iiit-pet"
    folder.mkdir()
    for name, content in server.files.items():
        (folder / f"{name}{suffix}").write_bytes(content)
    assert verify_oxford(fetch_oxford(tmp_path)) == []
    assert server.requests == []
    assert (folder / f"images.tar.gz{suffix}").exists() == stays


@pytest.mark.parametrize("name", ["../../evil.txt", "/evil.txt", "link.jpg"])
def test_an_archive_cannot_reach_outside_its_folder(tmp_path, name):
    with tarfile.open(tmp_path / "evil.tar.gz", mode="w:gz") as tar:
        member = tarfile.TarInfo(name)
        if name == "link.jpg":
            member.type, member.linkname = tarfile.SYMTYPE, "../../secret"
        tar.addfile(member)
    (tmp_path / "data").mkdir()
    with suppress(tarfile.FilterError):
        download._unpack(tmp_path / "evil.tar.gz", tmp_path / "data")
    outside = (tmp_path / "evil.txt", Path("/evil.txt"), tmp_path / "data/link.jpg")
    assert not any(path.exists() for path in outside)


def test_of_two_at_the_same_time_the_second_waits_and_downloads_nothing(server, tmp_path, capsys):
    """Both would write to the same `.part` files."""
    server.seconds = 0.2
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(fetch_oxford, [tmp_path] * 2))
    assert capsys.readouterr().err.count("waiting for it") == 1
    assert verify_oxford(tmp_path / "oxford-iiit-pet") == []
    assert sorted(name for name, _ in server.requests) == ["annotations.tar.gz", "images.tar.gz"]


def test_a_drive_without_locks_is_filled_all_the_same(server, tmp_path, monkeypatch):
    def no_locks(*_, **__):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(download.FileLock, "acquire", no_locks)
    assert verify_oxford(fetch_oxford(tmp_path)) == []
