"""`petseg.apps.webapp` and `petseg app`: each visitor gets the own right result or a sentence, and nothing else."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from visitor import (
    LOOK,
    Visitor,
    animation,
    app_in,
    chelsea,
    cut_short,
    encoded,
    expected,
    memory,
    on_its_side,
    picture,
    some_photo,
    wrong,
)

from petseg import cli
from petseg.apps import render
from petseg.apps.render import RenderSettings
from petseg.apps.samples import sample_photos
from petseg.apps.webapp import html
from petseg.apps.webapp.session import ChosenPhoto, SegmentedPhoto, Session
from petseg.errors import ModelError, PhotoError
from petseg.inference.predictor import Predictor
from petseg.upkeep.server import Server

#: How many photos are uploaded at once by 16 visitors; more than by default where this says so.
UPLOADS = int(os.environ.get("PETSEG_UPLOADS", "40"))

# --- Without Gradio --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def session() -> Session:
    return Session()


def test_what_is_kept_of_a_large_photo_is_small_and_draws_the_same_mask(session: Session, tmp_path: Path) -> None:
    path = tmp_path / "large.jpg"
    chelsea(4000, 3000).save(path)
    photo = ChosenPhoto("large.jpg", path)
    result, _ = session.segment(photo, "unet")
    segmented = SegmentedPhoto.from_result(photo, result, "unet")
    assert len(segmented.jpeg) + segmented.logits.nbytes < 1_000_000
    assert np.array_equal(segmented.preview().mask, render.preview(result).mask)
    assert segmented.caption.startswith("4000 x 3000 pixels (12.0 megapixels), segmented by unet")
    assert np.array_equal(session.full_size(segmented).cutout(), result.cutout())


def test_a_photo_that_is_not_kept_any_longer_is_a_sentence(session: Session, tmp_path: Path) -> None:
    with pytest.raises(PhotoError, match=r"^dog\.jpg: is not kept any longer\. Choose the photo again\.$"):
        session.segment(ChosenPhoto("dog.jpg", tmp_path / "gone.jpg"), "unet")


def test_what_is_worth_knowing_of_a_photo_is_said_in_any_thread(session: Session, tmp_path: Path) -> None:
    still, moving = tmp_path / "still.jpg", tmp_path / "moving.gif"
    still.write_bytes(encoded(chelsea()))
    moving.write_bytes(animation())

    def notes(path: Path) -> list[str]:
        return session.segment(ChosenPhoto(path.name, path), "unet")[1]

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(notes, [still, moving] * 8))
    assert answers[::2] == [[]] * 8
    assert all(len(sentences) == 1 and sentences[0].startswith("moving.gif: ") for sentences in answers[1::2])


@pytest.mark.parametrize("name", sample_photos())
def test_every_sample_is_segmented(session: Session, name: str) -> None:
    result, _ = session.segment(ChosenPhoto(name), "unet")
    assert 0.02 < result.fractions["pet"] < 0.98


def test_a_model_from_a_file_is_offered_by_its_name_without_its_place(small_model: Path) -> None:
    own = Session(small_model)
    assert own.first == "small.safetensors"
    assert str(small_model.parent) not in str(own.choices)
    assert own.segment(ChosenPhoto("cartoon cat"), own.first)[0].model == "small"
    assert own.segment(ChosenPhoto("cartoon cat"), "unet")[0].model == "unet"


def test_a_model_that_is_not_offered_is_a_sentence(session: Session, small_model: Path) -> None:
    with pytest.raises(ModelError, match="this page has no such model"):
        session.segment(ChosenPhoto("cartoon cat"), str(small_model))


def test_pictures_say_to_those_who_cannot_see_them_what_they_show(session: Session) -> None:
    photo = ChosenPhoto("cartoon cat")
    result, _ = session.segment(photo, "unet")
    page = "".join(html.pictures(SegmentedPhoto.from_result(photo, result, "unet"), RenderSettings()))
    alts = re.findall(r'<img [^>]*alt="([^"]+)"', page)
    assert len(alts) == page.count("<img") == 5
    assert f"pet {result.fractions['pet']:.0%}" in page


def test_a_name_that_is_html_is_shown_as_it_is(session: Session) -> None:
    result, _ = session.segment(ChosenPhoto("cartoon cat"), "unet")
    name = '"><script>alert(1)</script>${value}.jpg'
    page = "".join(html.pictures(SegmentedPhoto.from_result(ChosenPhoto(name), result, "unet"), RenderSettings()))
    assert "<script" not in page + html.messages([name], [name])
    assert page.count("&lt;script&gt;") == 2


@pytest.mark.parametrize(
    ("given", "expected"),
    [("#ff8800", "#ff8800"), ("rgba(255, 136.4, 0, 1)", "#ff8800"), ("rgb(0,0,9)", "#000009"), ("orange", "orange")],
)
def test_colours_are_read_as_gradio_writes_them(given: str, expected: str) -> None:
    assert html.settings_of(0.5, [], "colour", given).color == expected


def test_without_gradio_the_command_says_what_to_install(monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.setitem(sys.modules, "gradio", None)
    for name in ("server", "page", "handlers"):
        monkeypatch.delitem(sys.modules, f"petseg.apps.webapp.{name}", raising=False)
    assert cli.main(["app"]) == 1
    assert capsys.readouterr().err == 'petseg: the web app needs Gradio. Install it with: pip install "petseg[web]"\n'


def test_petseg_loads_no_gradio() -> None:
    code = "import sys, petseg.cli, petseg.apps.webapp.html; sys.exit('gradio' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# --- The command, as a visitor's browser meets it -------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    pytest.importorskip("gradio", reason='Gradio is not installed; pip install -e ".[web]" brings it')
    with app_in(tmp_path_factory.mktemp("server")) as server:
        yield server


def test_each_of_many_uploads_gets_its_own_right_result_and_memory_stays_flat(server: Server) -> None:
    masks = {}
    local = Predictor("unet")
    for number in range(min(UPLOADS, 20)):
        masks[number] = render.preview(local(some_photo(number))).mask

    def visit(number: int) -> tuple[int, list[Any]]:
        return number, Visitor(server).choose((some_photo(number % 20), f"photo {number}.jpg"))

    with ThreadPoolExecutor(16) as visitors:
        list(visitors.map(visit, range(16)))
        before, start = memory(server), time.perf_counter()
        answers = list(visitors.map(visit, range(UPLOADS)))
    after, seconds = memory(server), time.perf_counter() - start
    print(f"{UPLOADS} uploads by 16 visitors: {seconds:.1f} s, {before:.0f} MB before, {after:.0f} MB after")
    assert len(answers) == UPLOADS
    for number, (status, _, choice, _, photo, _, mask, *_) in answers:
        assert status == ""
        assert choice["choices"] == [[f"photo {number}.jpg", 0]]
        assert f"photo {number}.jpg" in photo
        assert wrong(picture(mask), masks[number % 20]) < 1e-3
    assert after - before < 30 + min(UPLOADS, 100)  # at most 100 visitors may come back to what they saw


@pytest.mark.parametrize(
    ("name", "data", "size"),
    [
        ("on its side.jpg", on_its_side(), (451, 300)),
        ("grey.png", encoded(chelsea().convert("L"), "PNG"), (451, 300)),
        (
            "16 bits.png",
            encoded(Image.fromarray(np.asarray(chelsea().convert("L")).astype(np.uint16) * 257), "PNG"),
            (451, 300),
        ),
        ("printer.jpg", encoded(chelsea().convert("CMYK")), (451, 300)),
        ("one pixel.gif", encoded(chelsea(1, 1), "GIF"), (1, 1)),
        ("large.jpg", encoded(chelsea(4000, 3000)), (4000, 3000)),
    ],
)
def test_photos_of_all_kinds_are_taken_as_they_are(
    server: Server, name: str, data: bytes, size: tuple[int, int]
) -> None:
    status, *_, mask, _, _, legend = Visitor(server).choose((data, name))
    assert status == ""
    assert legend.count(f"{size[0]} x {size[1]} pixels") == 1
    assert wrong(picture(mask), expected(data).mask) < 1e-3


@pytest.mark.parametrize(
    ("name", "data", "sentence"),
    [
        ("text.jpg", b"no photo at all", "text.jpg: not an image; JPEG"),
        ("empty.jpg", b"", "empty.jpg: the file is empty."),
        ("half.jpg", cut_short(encoded(chelsea()), 0.4), "half.jpg: "),
        ("bomb.png", encoded(Image.new("1", (20000, 20000)), "PNG"), "bomb.png: 400 megapixels"),
        ("<b>.svg", b"<svg></svg>", "&lt;b&gt;.svg: "),
    ],
)
def test_what_is_no_photo_is_one_sentence_and_the_server_goes_on(
    server: Server, name: str, data: bytes, sentence: str
) -> None:
    visitor = Visitor(server)
    status, _, choice, results, *pictures = visitor.choose((data, name))
    assert status.startswith(f'<p class="failed">{sentence}')
    assert status.count("<p") == 1
    assert "Traceback" not in status
    assert choice["choices"] == []
    assert not results["visible"]
    assert pictures == [""] * 6
    assert "Overlay" in visitor.choose((some_photo(0), "good.jpg"))[5]


def test_a_note_on_a_photo_is_shown_beside_its_pictures(server: Server) -> None:
    status, _, choice, *_ = Visitor(server).choose((animation(), "moving.gif"))
    assert status.startswith("<p>moving.gif: ")
    assert choice["choices"] == [["moving.gif", 0]]


def test_of_several_photos_the_good_ones_are_shown_and_each_bad_one_is_named(server: Server) -> None:
    good = [(some_photo(number), f"{number}.jpg") for number in range(10)]
    status, _, choice, *_ = Visitor(server).choose((b"", "empty.jpg"), *good)
    assert choice["choices"] == [[f"{number}.jpg", number] for number in range(9)]
    assert choice["visible"]
    assert "empty.jpg: the file is empty" in status
    assert "11 photos came; at most 10 at a time" in status


def test_another_photo_and_other_settings_redraw_what_is_kept(server: Server) -> None:
    visitor = Visitor(server)
    data = some_photo(3)
    visitor.choose((some_photo(2), "2.jpg"), (data, "3.jpg"))
    *_, mask, _, _, _ = visitor.do(visitor.event("input", "radio", "Photo"), None, 1, *LOOK)["data"]
    assert wrong(picture(mask), expected(data).mask) < 1e-3

    opacity = visitor.event("input", "slider", "Opacity")
    (plain,) = visitor.do(opacity, None, 1, 0, *LOOK[1:])["data"]
    difference = np.asarray(picture(plain), dtype=int) - np.asarray(expected(data).photo, dtype=int)
    assert np.abs(difference).mean() < 4  # JPEG twice
    (full,) = visitor.do(opacity, None, 1, 1, ["pet", "background", "boundary"], *LOOK[2:])["data"]
    assert len(picture(full).convert("RGB").quantize(8).getcolors() or []) <= 8
    assert "Photo with pet and background and boundary painted over" in full

    background = visitor.event("input", "radio", "Background")
    (white,) = visitor.do(background, None, 1, *LOOK[:2], "colour", "rgba(255, 255, 255, 1)")["data"]
    assert picture(white).mode == "RGB"
    assert "not a colour" in visitor.do(background, None, 1, *LOOK[:2], "colour", "#ff")["error"]
    (clear,) = visitor.do(background, None, 1, *LOOK)["data"]
    assert picture(clear).mode == "RGBA"


@pytest.mark.parametrize("kind", html.FILES)
def test_downloads_have_the_photos_own_upright_size_and_its_name(server: Server, kind: str) -> None:
    visitor = Visitor(server)
    visitor.choose((on_its_side(), "my dog.jpg"))
    button = visitor.event("click", "button", f"{html.FILES[kind]} (PNG)")
    (file,) = visitor.do(button, None, 0, *LOOK)["data"]
    assert file["orig_name"] == f"my dog.{kind}.png"
    found = Image.open(BytesIO(visitor.ask(f"file={file['path']}".replace(" ", "%20"))))
    result = Predictor("unet")(on_its_side())
    right = {"overlay": result.overlay(), "mask": result.mask_image(), "cutout": result.cutout()}[kind]
    assert found.mode == right.mode
    assert wrong(found, np.asarray(right)) < 1e-3 if kind == "mask" else found.size == right.size
    assert np.abs(np.asarray(found, dtype=int) - np.asarray(right, dtype=int)).mean() < 0.05


def test_what_one_visitor_sees_no_other_does(server: Server) -> None:
    first, second = Visitor(server), Visitor(server)
    first.choose((some_photo(1), "secret.jpg"))
    answer = second.do(second.event("click", "button", "Cut-out (PNG)"), None, 0, *LOOK)
    assert answer["error"] == "The photo is not kept any longer. Choose it again."


def test_programs_get_the_same_mask_through_the_one_endpoint(server: Server) -> None:
    from gradio_client import Client, handle_file

    path = server.log.parent / "program.jpg"
    path.write_bytes(on_its_side())
    client = Client(server.address, verbose=False, download_files=str(server.log.parent / "answers"))
    assert list(client.view_api(return_format="dict")["named_endpoints"]) == ["/segment"]
    file, fractions = client.predict(handle_file(path), "mask", "unet", api_name="/segment")
    result = Predictor("unet")(path)
    assert wrong(Image.open(file), result.mask) < 1e-3
    assert fractions == pytest.approx(result.fractions, abs=1e-3)
    path.write_bytes(b"no photo")
    with pytest.raises(Exception, match=r"program\.jpg: not an image; JPEG, PNG"):
        client.predict(handle_file(path), "mask", "unet", api_name="/segment")


@pytest.mark.parametrize("where", ["file=/etc/hosts", "file=https://example.com/", "proxy=https://example.com/"])
def test_no_file_but_the_apps_own_is_served(server: Server, where: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as error:
        Visitor(server).ask(where)
    assert error.value.code == 403


def naming(path: str) -> dict[str, Any]:
    return {"path": path, "orig_name": "hosts", "meta": {"_type": "gradio.FileData"}}


def test_no_file_but_an_uploaded_one_is_segmented(server: Server) -> None:
    visitor = Visitor(server)
    assert "error" in visitor.do(visitor.event("upload", "file"), [naming("/etc/hosts")], "unet", *LOOK)


@pytest.mark.parametrize("address", ["https://example.com/cat.jpg", " HTTP://example.com/cat.jpg"])
def test_an_address_in_place_of_an_upload_is_refused(server: Server, address: str) -> None:
    visitor = Visitor(server)
    with pytest.raises(urllib.error.HTTPError) as error:
        visitor.do(visitor.event("upload", "file"), [naming(address)], "unet", *LOOK)
    assert error.value.code == 403


def test_a_file_that_is_too_large_is_refused(server: Server) -> None:
    with pytest.raises(urllib.error.HTTPError) as error:
        Visitor(server).upload(bytes(21_000_000), "large.jpg")
    assert error.value.code == 413


def test_the_page_asks_no_other_server_for_anything(server: Server) -> None:
    page = urllib.request.urlopen(server.address).read().decode()
    style = urllib.request.urlopen(f"{server.address}/theme.css").read().decode()
    assert not re.findall(r'<(?:script|link)[^>]*(?:src|href)="?(?:https?:)?//', page)
    assert not re.findall(r"url\([\"']?(?:https?:)?//", style)
    assert Visitor(server).config["analytics_enabled"] is False


def test_a_port_that_is_taken_is_one_sentence(server: Server, capsys: Any) -> None:
    port = server.address.rpartition(":")[2]
    assert cli.main(["app", "--port", port]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"petseg: 127.0.0.1:{port} cannot be listened at")
    assert error.count("\n") == 1


def test_a_model_that_is_missing_is_one_sentence(server: Server, capsys: Any) -> None:
    assert cli.main(["app", "--port", "0", "--model", "resnet"]) == 1
    assert "resnet: no released model has this name" in capsys.readouterr().err


def test_at_its_end_the_server_has_gone_nowhere_and_leaves_no_photo(tmp_path: Path, server: Server) -> None:
    with app_in(tmp_path) as own:
        Visitor(own).choose((some_photo(0), "photo.jpg"))
        assert list(tmp_path.rglob("photo.jpg"))
        assert own.stop() == 0
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [own.log]
    assert "WENT OUT" not in own.log.read_text()
    assert "WENT OUT" not in server.log.read_text()


def test_a_server_that_is_stopped_in_the_middle_of_a_photo_ends_in_order(tmp_path: Path) -> None:
    pytest.importorskip("gradio", reason='Gradio is not installed; pip install -e ".[web]" brings it')
    with app_in(tmp_path) as own, ThreadPoolExecutor(4) as visitors:
        large = encoded(chelsea(5000, 4000))
        for number in range(4):
            visitors.submit(Visitor(own).choose, (large, f"{number}.jpg"))
        while len(list(tmp_path.rglob("*.jpg"))) < 4:
            time.sleep(0.05)
        time.sleep(0.3)
        assert own.stop() == 0
    assert not list(tmp_path.rglob("*.jpg"))
