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
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image
from servers import Server, free_port, serving
from visitor import (
    CUTOUT,
    GIVE_BACK,
    OVERLAY,
    WAIT,
    Answer,
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
from petseg.apps import display
from petseg.apps.cutouts import CutoutSettings
from petseg.apps.display import sample_photos
from petseg.apps.webapp import html
from petseg.apps.webapp.session import ChosenPhoto, SegmentedPhoto, Session
from petseg.apps.webapp.settings import agreed_background, agreed_format, cutout_settings
from petseg.errors import ModelError, PhotoError
from petseg.inference.predictor import Predictor

pytestmark = pytest.mark.slow

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
    assert len(segmented.jpeg) + len(segmented.alpha) + segmented.logits.nbytes < 1_200_000
    assert np.array_equal(segmented.preview().mask, display.preview(result).mask)
    assert segmented.caption.startswith("4000 x 3000 pixels (12.0 megapixels), segmented by unet")
    assert np.array_equal(session.full_size(segmented).cutout(), result.cutout())


def test_what_is_see_through_in_a_photo_stays_so(session: Session, tmp_path: Path) -> None:
    path, photo = tmp_path / "hole.png", chelsea(2000, 1400)
    hole = Image.new("L", photo.size, 255)
    hole.paste(0, (900, 600, 1300, 1000))  # amid the cat's face
    photo.putalpha(hole)
    photo.save(path)
    chosen = ChosenPhoto("hole.png", path)
    result, _ = session.segment(chosen, "unet")
    segmented = SegmentedPhoto.from_result(chosen, result, "unet")
    large = np.asarray(session.full_size(segmented).cutout())[..., 3]
    small = np.asarray(segmented.preview().cutout())[..., 3]
    assert large[620:980, 920:1280].max() == small[447:705, 663:921].max() == 0
    assert large[800, 700] == small[576, 504] == 255
    assert len(segmented.alpha) < 20_000


def test_an_image_for_the_background_is_kept_small(session: Session, tmp_path: Path) -> None:
    path = tmp_path / "beach.jpg"
    chelsea(4000, 3000).save(path)
    background = session.background(ChosenPhoto("beach.jpg", path))
    assert background.preview().size == (1440, 1080)
    assert len(background.jpeg) < 300_000
    assert session.image(background.photo).size == (4000, 3000)


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
    shown = SegmentedPhoto.from_result(photo, result, "unet")
    page = html.compared("cartoon cat", shown.preview(), CutoutSettings(), "white") + "".join(
        html.details(shown, 0.5, [])
    )
    alts = re.findall(r'<img [^>]*alt="([^"]+)"', page)
    assert len(alts) == page.count("<img") == 5
    assert alts[:2] == ["The pet, cut out, on white", "The photo cartoon cat"]
    assert f"pet {result.fractions['pet']:.0%}" in page


def test_a_name_that_is_html_is_shown_as_it_is(session: Session) -> None:
    result, _ = session.segment(ChosenPhoto("cartoon cat"), "unet")
    name = '"><script>alert(1)</script>${value}.jpg'
    shown = SegmentedPhoto.from_result(ChosenPhoto(name), result, "unet")
    page = html.compared(name, shown.preview(), CutoutSettings(), "white") + html.thumbnails([shown, shown])
    assert "<script" not in page + html.messages([name], [name]) + html.busy(name)
    assert page.count("&lt;script&gt;") == 1


def test_several_photos_have_a_thumbnail_each_and_one_has_none(session: Session) -> None:
    result, _ = session.segment(ChosenPhoto("cartoon cat"), "unet")
    shown = SegmentedPhoto.from_result(ChosenPhoto("cartoon cat"), result, "unet")
    assert html.thumbnails([shown]) == ""
    style = html.thumbnails([shown] * 10)
    assert style.count("url(data:image/jpeg") == 10
    assert len(style) < 60_000


@pytest.mark.parametrize(
    ("given", "expected"),
    [("#ff8800", "#ff8800"), ("rgba(255, 136.4, 0, 1)", "#ff8800"), ("rgb(0,0,9)", "#000009"), ("orange", "orange")],
)
def test_colours_are_read_as_gradio_writes_them(given: str, expected: str) -> None:
    assert cutout_settings("color", given, None, False, "png", 0, 0).background == expected


@pytest.mark.parametrize(("background", "expected"), [("transparent", None), ("white", "white"), ("blur", "blur")])
def test_a_background_that_needs_no_colour_and_no_image_takes_none(background: str, expected: str | None) -> None:
    own = Image.new("RGB", (9, 9))
    assert cutout_settings(background, "#ff8800", own, False, "png", 0, 0).background == expected
    assert cutout_settings("image", "#ff8800", own, False, "png", 0, 0).background is own
    assert cutout_settings("image", "#ff8800", None, False, "png", 0, 0).background is None


def test_background_and_format_agree_since_a_jpeg_cannot_be_transparent() -> None:
    assert agreed_background("transparent", "jpg") == "white"
    assert agreed_background("blur", "jpg") == "blur"
    assert agreed_background("transparent", "webp") == "transparent"
    assert agreed_format("transparent", "jpg") == "png"
    assert agreed_format("white", "jpg") == "jpg"


def test_without_gradio_the_command_says_what_to_install(monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.setitem(sys.modules, "gradio", None)
    for name in [name for name in sys.modules if name.startswith("petseg.apps.webapp.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr("petseg.apps.webapp.server", raising=False)
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("no_proxy", "")
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
        masks[number] = local(some_photo(number)).mask

    def visit(number: int) -> tuple[int, Answer]:
        return number, Visitor(server).choose((some_photo(number % 20), f"photo {number}.jpg"))

    with ThreadPoolExecutor(16) as visitors:
        list(visitors.map(visit, range(16)))
        before, start = memory(server), time.perf_counter()
        answers = list(visitors.map(visit, range(UPLOADS)))
    after, seconds = memory(server), time.perf_counter() - start
    print(f"{UPLOADS} uploads by 16 visitors: {seconds:.1f} s, {before:.0f} MB before, {after:.0f} MB after")
    assert len(answers) == UPLOADS
    for number, answer in answers:
        assert answer.status == ""
        assert answer.choice["choices"] == [[f"photo {number}.jpg", 0]]
        assert f"photo {number}.jpg" in answer.comparison
        assert wrong(picture(answer.mask), masks[number % 20]) < 1e-3
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
        ("tiny.gif", encoded(chelsea(24, 16), "GIF"), (24, 16)),
        ("large.jpg", encoded(chelsea(4000, 3000)), (4000, 3000)),
        ("without an ending", encoded(chelsea()), (451, 300)),
        ("wrong.pdf", encoded(chelsea()), (451, 300)),
        ("a PNG.jpg", encoded(chelsea(), "PNG"), (451, 300)),
    ],
)
def test_photos_of_all_kinds_are_taken_as_they_are(
    server: Server, name: str, data: bytes, size: tuple[int, int]
) -> None:
    answer = Visitor(server).choose((data, name))
    assert answer.status == ""
    assert answer.legend.count(f"{size[0]} x {size[1]} pixels") == 1
    assert wrong(picture(answer.mask), expected(data).mask) < 1e-3


@pytest.mark.parametrize(
    ("name", "data", "sentence"),
    [
        ("text.jpg", b"no photo at all", "text.jpg: not an image; JPEG"),
        ("empty.jpg", b"", "empty.jpg: the file is empty."),
        ("half.jpg", cut_short(encoded(chelsea()), 0.4), "half.jpg: "),
        ("bomb.png", encoded(Image.new("1", (20000, 20000)), "PNG"), "bomb.png: 400 megapixels"),
        ("<b>.svg", b"<svg></svg>", "&lt;b&gt;.svg: "),
        ("no ending", b"\0\1\2", "no ending: not an image; JPEG"),
    ],
)
def test_what_is_no_photo_is_one_sentence_and_the_server_goes_on(
    server: Server, name: str, data: bytes, sentence: str
) -> None:
    visitor = Visitor(server)
    answer = visitor.choose((data, name))
    assert answer.status.startswith(f'<p class="failed">{sentence}')
    assert answer.status.count("<p") == 1
    assert "Traceback" not in answer.status
    assert answer.choice["choices"] == []
    assert not answer.results["visible"]
    assert answer[6:] == ("",) * 5
    assert "Overlay" in visitor.choose((some_photo(0), "good.jpg")).overlay


def test_a_photo_without_a_pet_is_said_to_have_none_and_can_still_be_looked_at(server: Server) -> None:
    visitor, sentence = Visitor(server), "No pet found in blue.jpg, so there is no cut-out of it."
    blue = (encoded(Image.new("RGB", (300, 200), "blue")), "blue.jpg")
    alone = visitor.choose(blue)
    assert alone.status.startswith(f'<p class="failed">{sentence}')
    assert alone.results["visible"]
    assert alone.comparison.count("<img") == 1
    assert picture(alone.comparison).size == picture(alone.mask).size == (300, 200)
    answer = visitor.do(visitor.event("click", "button", "Download cut-out"), None, 0, *CUTOUT)
    assert answer["error"].startswith(sentence)
    answer = visitor.do(visitor.event("click", "button", "Download all"), None, *CUTOUT)
    assert answer["error"].startswith(sentence)
    two = visitor.choose(blue, (some_photo(0), "cat.jpg"))
    assert two.choice["value"] == 1  # the one with a pet is shown first
    assert not two.every["visible"]
    assert two.comparison.count("<img") == 2


def test_details_are_drawn_only_where_they_are_unfolded(server: Server) -> None:
    visitor = Visitor(server)
    field = {"files": [visitor.upload(some_photo(0), "cat.jpg")], "refused": []}
    folded = Answer(
        *visitor.do(visitor.event("upload", "html", "drop"), field, "unet", False, *OVERLAY, *CUTOUT)["data"]
    )
    assert folded.comparison
    assert folded[7:] == ("",) * 4
    unfolded = visitor.do(visitor.event("expand", "accordion", "Details"), None, 0, *OVERLAY)["data"]
    assert wrong(picture(unfolded[1]), expected(some_photo(0)).mask) < 1e-3


def test_a_note_on_a_photo_is_shown_beside_its_pictures(server: Server) -> None:
    answer = Visitor(server).choose((animation(), "moving.gif"))
    assert answer.status.startswith("<p>moving.gif: ")
    assert answer.choice["choices"] == [["moving.gif", 0]]


def test_of_several_photos_the_good_ones_are_shown_and_each_bad_one_is_named(server: Server) -> None:
    good = [(some_photo(number), f"{number}.jpg") for number in range(10)]
    answer = Visitor(server).choose((b"", "empty.jpg"), *good, refused=["<huge>.jpg: 60 MB; at most 50 are taken."])
    assert answer.choice["choices"] == [[f"{number}.jpg", number] for number in range(9)]
    assert answer.choice["visible"]
    assert answer.every["visible"]
    assert "&lt;huge&gt;.jpg: 60 MB" in answer.status
    assert "empty.jpg: the file is empty" in answer.status
    assert "11 photos came; at most 10 at a time" in answer.status


def test_another_photo_and_other_settings_redraw_what_is_kept(server: Server) -> None:
    visitor = Visitor(server)
    data = some_photo(3)
    visitor.choose((some_photo(2), "2.jpg"), (data, "3.jpg"))
    _, _, mask, _, _ = visitor.do(visitor.event("input", "radio", "Photo"), None, 1, True, *OVERLAY, *CUTOUT)["data"]
    assert wrong(picture(mask), expected(data).mask) < 1e-3

    opacity = visitor.event("input", "slider", "Opacity")
    (plain,) = visitor.do(opacity, None, 1, 0, *OVERLAY[1:])["data"]
    difference = np.asarray(picture(plain), dtype=int) - np.asarray(expected(data).photo, dtype=int)
    assert np.abs(difference).mean() < 4  # JPEG twice
    (full,) = visitor.do(opacity, None, 1, 1, ["pet", "background", "boundary"])["data"]
    assert len(picture(full).convert("RGB").quantize(8).getcolors() or []) <= 8
    assert "Photo with pet and background and boundary painted over" in full


def test_the_comparison_follows_the_options_of_the_cut_out(server: Server) -> None:
    visitor = Visitor(server)
    small = chelsea(150, 100)
    photo = Image.new("RGB", (451, 300), "#808080")
    photo.paste(small, (200, 100))
    clear = visitor.choose((encoded(photo, "PNG"), "small.png")).comparison
    crop = visitor.event("input", "checkbox", "Crop")

    def compared(*cutout: Any) -> str:
        (html,) = visitor.do(crop, None, 0, *cutout)["data"]
        return str(html)

    assert picture(clear).mode == "RGBA"
    assert picture(clear).size == picture(clear, 1).size == (451, 300)
    white = picture(compared("white", *CUTOUT[1:]))
    assert white.mode == "RGB"
    assert white.getpixel((3, 3)) == (255, 255, 255)
    cropped = compared(*CUTOUT[:3], True, *CUTOUT[4:])
    assert picture(cropped).size == picture(cropped, 1).size < (400, 280)
    grown, shrunk = (np.asarray(picture(compared(*CUTOUT[:5], by, 0)))[..., 3].mean() for by in (10, -10))
    assert shrunk < np.asarray(picture(clear))[..., 3].mean() < grown
    answer = visitor.do(crop, None, 0, "color", "#ff", *CUTOUT[2:])
    assert answer["error"] == "colour '#ff': not a colour. Write it as #ff8800 or orange."


def test_an_own_image_stands_behind_the_pet(server: Server) -> None:
    visitor = Visitor(server)
    visitor.choose((some_photo(0), "cat.jpg"))
    blue = visitor.upload(encoded(Image.new("RGB", (640, 480), "#0000ff"), "PNG"), "sea.png")
    field = visitor.event("upload", "html", "background-image")
    said, _ = visitor.do(field, {"files": [blue], "refused": []})["data"]
    assert said == "<p>Background: sea.png</p>"
    button = visitor.event("click", "button", "Download cut-out")
    (file,) = visitor.do(button, None, 0, "image", *CUTOUT[1:4], "jpg", 0, 0)["data"]
    assert file["orig_name"] == "cat.cutout.jpg"
    cutout = visitor.file(file)
    own = np.asarray(Predictor("unet")(some_photo(0)).cutout())
    outside = np.asarray(cutout, dtype=int)[own[..., 3] == 0]
    assert np.abs(np.median(outside, axis=0) - [0, 0, 254]).max() <= 2
    text = visitor.upload(b"no image", "text.png")
    said, _ = visitor.do(field, {"files": [text], "refused": []})["data"]
    assert said.startswith('<p class="failed">text.png: not an image')


@pytest.mark.parametrize(("format", "mode"), [("png", "RGBA"), ("webp", "RGBA"), ("jpg", "RGB")])
def test_the_cut_out_is_downloaded_upright_at_the_photos_own_size(server: Server, format: str, mode: str) -> None:
    visitor = Visitor(server)
    visitor.choose((on_its_side(), "my dog.jpg"))
    button = visitor.event("click", "button", "Download cut-out")
    background = "white" if format == "jpg" else "transparent"
    (file,) = visitor.do(button, None, 0, background, *CUTOUT[1:4], format, 0, 0)["data"]
    assert file["orig_name"] == f"my dog.cutout.{format}"
    cutout = visitor.file(file)
    assert (cutout.mode, cutout.size) == (mode, (451, 300))
    right = CutoutSettings(None if mode == "RGBA" else "white").draw(Predictor("unet")(on_its_side()))
    difference = np.abs(np.asarray(cutout, dtype=int) - np.asarray(right, dtype=int))
    assert difference.mean() < (0.05 if format == "png" else 4)


def test_a_jpeg_that_should_be_transparent_is_a_sentence(server: Server) -> None:
    visitor = Visitor(server)
    visitor.choose((some_photo(0), "cat.jpg"))
    answer = visitor.do(visitor.event("click", "button", "Download cut-out"), None, 0, *CUTOUT[:4], "jpg", 0, 0)
    assert "a JPEG cannot be transparent" in answer["error"]


@pytest.mark.parametrize("kind", ["overlay", "mask"])
def test_the_other_pictures_have_the_photos_own_size_and_its_name(server: Server, kind: str) -> None:
    visitor = Visitor(server)
    visitor.choose((on_its_side(), "my dog.jpg"))
    title = {"overlay": "Download overlay", "mask": "Download class map"}[kind]
    (file,) = visitor.do(visitor.event("click", "button", title), None, 0, *OVERLAY)["data"]
    assert file["orig_name"] == f"my dog.{kind}.png"
    result = Predictor("unet")(on_its_side())
    right = {"overlay": result.overlay(), "mask": result.mask_image()}[kind]
    found = visitor.file(file)
    assert (found.mode, found.size) == (right.mode, right.size)
    assert np.abs(np.asarray(found, dtype=int) - np.asarray(right, dtype=int)).mean() < 0.05


def test_all_cut_outs_come_in_one_archive_and_a_photo_that_is_gone_is_named(server: Server) -> None:
    visitor = Visitor(server)
    answer = visitor.choose((some_photo(1), "rex.jpg"), (some_photo(2), "Rex.png"), (some_photo(3), "gone.jpg"))
    assert answer.every["visible"]
    uploads = [path for path in server.log.parent.rglob("gone.jpg") if path.is_file()]
    for path in uploads:
        path.unlink()
    button = visitor.event("click", "button", "Download all")
    file, status = visitor.do(button, None, *CUTOUT)["data"]
    assert status == '<p class="failed">gone.jpg: is not kept any longer. Choose the photo again.</p>'
    with ZipFile(BytesIO(visitor.ask(f"file={file['path']}"))) as archive:
        assert archive.namelist() == ["rex.cutout.png", "Rex-2.cutout.png"]
        sizes = [Image.open(BytesIO(archive.read(name))).size for name in archive.namelist()]
    assert sizes == [Image.open(BytesIO(some_photo(number))).size for number in (1, 2)]


def test_what_one_visitor_sees_no_other_does(server: Server) -> None:
    first, second = Visitor(server), Visitor(server)
    first.choose((some_photo(1), "secret.jpg"))
    answer = second.do(second.event("click", "button", "Download cut-out"), None, 0, *CUTOUT)
    assert answer["error"] == "The photo is not kept any longer. Choose it again."


def test_programs_get_the_same_pictures_through_the_one_endpoint(server: Server) -> None:
    from gradio_client import Client, handle_file

    path = server.log.parent / "program.jpg"
    path.write_bytes(on_its_side())
    client = Client(server.address, verbose=False, download_files=str(server.log.parent / "answers"))
    assert list(client.view_api(return_format="dict")["named_endpoints"]) == ["/segment"]
    file, fractions = client.predict(handle_file(path), "mask", "unet", api_name="/segment")
    result = Predictor("unet")(path)
    assert wrong(Image.open(file), result.mask) < 1e-3
    assert fractions == pytest.approx(result.fractions, abs=1e-3)

    settings = {"model": "unet", "crop": True, "format": "webp", "grow": 2, "feather": 1, "background": "#ff8800"}
    file, _ = client.predict(file=handle_file(path), **settings, api_name="/segment")
    assert Path(file).name == "program.cutout.webp"
    right = CutoutSettings("#ff8800", True, "webp", 2, 1).draw(result)
    found = Image.open(file)
    assert (found.mode, found.size) == ("RGB", right.size)
    assert np.abs(np.asarray(found, dtype=int) - np.asarray(right, dtype=int)).mean() < 4
    own = server.log.parent / "sea.png"
    Image.new("RGB", (64, 48), "#0000ff").save(own)
    file, _ = client.predict(
        file=handle_file(path), model="unet", background_image=handle_file(own), format="jpg", api_name="/segment"
    )
    assert np.asarray(Image.open(file))[result.alpha == 0].mean(axis=0) == pytest.approx([0, 0, 254], abs=4)

    path.write_bytes(b"no photo")
    with pytest.raises(Exception, match=r"program\.jpg: not an image; JPEG, PNG"):
        client.predict(handle_file(path), "mask", "unet", api_name="/segment")
    path.write_bytes(encoded(Image.new("RGB", (300, 200), "grey")))
    with pytest.raises(Exception, match=r"No pet found in program\.jpg"):
        client.predict(handle_file(path), api_name="/segment")


@pytest.mark.parametrize("where", ["file=/etc/hosts", "file=https://example.com/", "proxy=https://example.com/"])
def test_no_file_but_the_apps_own_is_served(server: Server, where: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as error:
        Visitor(server).ask(where)
    assert error.value.code == 403


def naming(path: str) -> dict[str, Any]:
    return {"path": path, "orig_name": "hosts", "meta": {"_type": "gradio.FileData"}}


def test_what_went_wrong_within_the_program_is_not_told_to_a_visitor(server: Server) -> None:
    visitor = Visitor(server)
    files = {"files": [naming("/etc/hosts")], "refused": []}
    answer = visitor.do(visitor.event("upload", "html", "drop"), files, "unet", True, *OVERLAY, *CUTOUT)
    assert answer["error"] is None


def test_no_file_but_an_uploaded_one_is_segmented(server: Server) -> None:
    visitor = Visitor(server)
    field = visitor.event("upload", "html", "drop")
    assert "error" in visitor.do(
        field, {"files": [naming("/etc/hosts")], "refused": []}, "unet", True, *OVERLAY, *CUTOUT
    )
    plain = {"files": [{"path": "/etc/hosts", "orig_name": "hosts"}], "refused": []}  # not marked as a file for Gradio
    assert "error" in visitor.do(field, plain, "unet", True, *OVERLAY, *CUTOUT)


@pytest.mark.parametrize("address", ["https://example.com/cat.jpg", " HTTP://example.com/cat.jpg"])
def test_an_address_in_place_of_an_upload_is_refused(server: Server, address: str) -> None:
    visitor, field = Visitor(server), {"files": [naming(address)], "refused": []}
    with pytest.raises(urllib.error.HTTPError) as error:
        visitor.do(visitor.event("upload", "html", "drop"), field, "unet", True, *OVERLAY, *CUTOUT)
    assert error.value.code == 403


def test_a_file_that_is_too_large_is_refused(server: Server) -> None:
    with pytest.raises(urllib.error.HTTPError) as error:
        Visitor(server).upload(bytes(51_000_000), "large.jpg")
    assert error.value.code == 413


def test_the_page_asks_no_other_server_for_anything(server: Server) -> None:
    page = urllib.request.urlopen(server.address).read().decode()
    style = urllib.request.urlopen(f"{server.address}/theme.css").read().decode()
    assert not re.findall(r'<(?:script|link)[^>]*(?:src|href)="?(?:https?:)?//', page)
    assert not re.findall(r"url\([\"']?(?:https?:)?//", style)
    assert Visitor(server).config["analytics_enabled"] is False


def test_a_model_that_is_missing_is_one_sentence(server: Server, capsys: Any) -> None:
    assert cli.main(["app", "--port", "0", "--model", "resnet"]) == 1
    assert "resnet: no released model has this name" in capsys.readouterr().err


def test_a_server_that_is_stopped_while_a_result_is_drawn_ends_with_status_0(tmp_path: Path) -> None:
    draws = """
import sys, time, torch
from petseg.apps import display
from petseg.cli import main
def preview(result):
    print("DRAWS", flush=True)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        torch.rand(64, 64).softmax(dim=0)
    raise RuntimeError("was not stopped")
display.preview = preview
sys.exit(main(["app", "--port", sys.argv[1]]))
"""
    port = free_port()
    with serving(["-c", draws, str(port)], port, tmp_path, os.environ | GIVE_BACK) as own, ThreadPoolExecutor(1) as one:
        one.submit(Visitor(own).choose, (encoded(chelsea(64, 48)), "cat.jpg"))
        end = time.monotonic() + WAIT
        while "DRAWS" not in own.log.read_text() and time.monotonic() < end:
            time.sleep(0.05)
        assert own.stop(WAIT) == 0
    assert "terminate" not in own.log.read_text()


def test_a_server_that_is_stopped_in_the_middle_of_a_photo_has_gone_nowhere_and_leaves_no_photo(
    tmp_path: Path, server: Server
) -> None:
    with app_in(tmp_path) as own, ThreadPoolExecutor(4) as visitors:
        large = encoded(chelsea(5000, 4000))
        for number in range(4):
            visitors.submit(Visitor(own).choose, (large, f"{number}.jpg"))
        end = time.monotonic() + WAIT
        while len(list(tmp_path.rglob("*.jpg"))) < 4 and time.monotonic() < end:
            time.sleep(0.05)
        assert len(list(tmp_path.rglob("*.jpg"))) == 4
        time.sleep(0.3)
        assert own.stop(WAIT) == 0
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [own.log]
    assert "WENT OUT" not in own.log.read_text()
    assert "WENT OUT" not in server.log.read_text()
