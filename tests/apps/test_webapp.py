"""`petseg.apps.webapp`: each visitor gets their own right result or a sentence, and nothing else."""

import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from io import BytesIO
from itertools import product
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image
from servers import Server
from skimage.data import coffee
from visitor import (
    CUTOUT,
    OVERLAY,
    Visitor,
    animation,
    app_in,
    chelsea,
    difference,
    encoded,
    expected,
    memory,
    on_its_side,
    picture,
    predictor,
    some_photo,
    wrong,
)

from petseg.apps import display
from petseg.apps.cutouts import CutoutSettings
from petseg.apps.edits import Stroke
from petseg.apps.webapp.session import ChosenPhoto, SegmentedPhoto, Session
from petseg.errors import ModelError, PhotoError, SettingsError

pytestmark = pytest.mark.slow

pytest.importorskip("gradio", reason='Gradio is not installed; pip install -e ".[web]" brings it')

from petseg.apps.webapp.application import forget_visitors  # noqa: E402 - with Gradio

UPLOADS = 40  # photos that 16 visitors upload


@pytest.fixture(scope="module")
def session() -> Session:
    return Session("unet")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with app_in(tmp_path_factory.mktemp("server")) as server:
        yield server
    assert "WENT OUT" not in server.log.read_text()


def photo_file(folder: Path, name: str, image: Image.Image) -> ChosenPhoto:
    image.save(folder / name)
    return ChosenPhoto(folder / name, name)


# --- The session -----------------------------------------------------------------------------------------------------


def test_what_is_kept_of_a_large_photo_is_small_and_draws_the_same_mask(session: Session, tmp_path: Path) -> None:
    file = photo_file(tmp_path, "large.jpg", chelsea(4000, 3000))
    result, _ = session.segment(file, "unet")
    photo = SegmentedPhoto.from_result(file, result)
    assert len(photo.jpeg) + len(photo.alpha) + photo.result.logits.nbytes < 1_200_000
    assert np.array_equal(photo.preview().mask, display.preview(result).mask)
    assert photo.caption.startswith("4000 x 3000 pixels (12.0 megapixels), segmented by unet")
    assert np.array_equal(session.full_size(photo).cutout(), result.cutout())


def test_transparent_parts_of_a_photo_stay_transparent(session: Session, tmp_path: Path) -> None:
    image, hole = chelsea(2000, 1400), Image.new("L", (2000, 1400), 255)
    hole.paste(0, (900, 600, 1300, 1000))  # amid the cat's face
    image.putalpha(hole)
    file = photo_file(tmp_path, "hole.png", image)
    photo = SegmentedPhoto.from_result(file, session.segment(file, "unet")[0])
    large = np.asarray(session.full_size(photo).cutout())[..., 3]
    small = np.asarray(photo.preview().cutout())[..., 3]
    assert large[620:980, 920:1280].max() == small[447:705, 663:921].max() == 0
    assert large[800, 700] == small[576, 504] == 255
    assert len(photo.alpha) < 20_000


def test_a_photo_that_was_deleted_is_a_sentence(session: Session, tmp_path: Path) -> None:
    with pytest.raises(PhotoError, match=r"^dog\.jpg: was deleted in the meantime\. Choose the photo again\.$"):
        session.segment(ChosenPhoto(tmp_path / "dog.jpg", "dog.jpg"), "unet")


def test_notes_on_a_photo_reach_the_thread_that_asked(session: Session, tmp_path: Path) -> None:
    still = photo_file(tmp_path, "still.jpg", chelsea())
    moving = ChosenPhoto(tmp_path / "moving.gif", "moving.gif")
    moving.path.write_bytes(animation())
    with ThreadPoolExecutor(8) as threads:
        notes = list(threads.map(lambda file: session.segment(file, "unet")[1], [still, moving] * 8))
    assert notes[::2] == [[]] * 8
    assert all(len(sentences) == 1 and sentences[0].startswith("moving.gif: ") for sentences in notes[1::2])


def test_an_own_model_is_offered_without_its_folder_and_a_model_that_is_not_offered_is_a_sentence(
    session: Session, small_model: Path, tmp_path: Path
) -> None:
    own, file = Session(small_model), photo_file(tmp_path, "cat.png", chelsea(64, 48))
    assert own.first == "small.safetensors"
    assert str(small_model.parent) not in str(own.choices)
    assert [own.segment(file, name)[0].model for name in (own.first, "unet")] == ["small", "unet"]
    with pytest.raises(ModelError, match="this page has no such model"):
        session.segment(file, str(small_model))


# --- The page, without a server --------------------------------------------------------------------------------------


@pytest.fixture
def visit(session: Session, tmp_path: Path) -> Any:
    """The handlers, and a visit with the photo `"><script>.png`."""
    from petseg.apps.webapp.handlers import Handlers

    handlers = Handlers(session, tmp_path)
    image = photo_file(tmp_path, "cat.png", chelsea())
    *_, last = handlers.segment([ChosenPhoto(image.path, '"><script>.png')], "unet")
    return handlers, last[2]


def test_pictures_have_texts_and_a_name_that_is_html_is_shown_as_it_is(visit: Any) -> None:
    handlers, shown = visit
    page = handlers.compare(shown, False, "white", *CUTOUT[1:])
    alts = re.findall(r'<img [^>]*alt="([^"]+)"', page)
    name = "&quot;&gt;&lt;script&gt;.png"
    assert alts == [f"The pet of {name}, cut out, on white", f"The photo {name}"]
    status = next(handlers.segment([shown.photos[0].file], "unet"))[0]
    assert "<script" not in page + status
    assert "&lt;script&gt;" in status


def test_a_photo_takes_200_corrections(visit: Any) -> None:
    photo, stroke = visit[1].shown, Stroke(keep=False, radius=0.01, points=[(0.5, 0.5)])
    assert len(photo.edited([stroke] * 200).edits) == 200
    with pytest.raises(SettingsError, match="200 corrections at most"):
        photo.edited([stroke] * 201)


def test_folders_that_stand_empty_are_removed_and_no_others(tmp_path: Path) -> None:
    from petseg.apps.webapp.session import remove_empty_folders

    for name in ("old", "full", "new"):
        (tmp_path / name).mkdir()
    (tmp_path / "full" / "photo.jpg").touch()
    for name in ("old", "full"):
        os.utime(tmp_path / name, (0, 0))
    remove_empty_folders(tmp_path, seconds=600)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full", "new"]


def test_what_a_killed_app_left_is_removed_and_a_running_one_keeps_its_folder(tmp_path: Path) -> None:
    from petseg.apps.webapp.server import remove_abandoned

    for name in ("petseg-app-killed", "petseg-app-running", "other"):
        (tmp_path / name / "upload").mkdir(parents=True)
    for name in ("petseg-app-killed", "other"):
        os.utime(tmp_path / name, (0, 0))
    remove_abandoned(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "petseg-app-running"]


# --- The command, as a visitor's browser meets it -------------------------------------------------------------------


def test_each_of_many_uploads_gets_its_own_right_result_and_memory_stays_flat(server: Server) -> None:
    masks = {number: predictor()(some_photo(number)).fractions for number in range(min(UPLOADS, 20))}

    def visit(number: int) -> tuple[int, str, str]:
        visitor = Visitor(server)
        status = visitor.choose((some_photo(number % 20), f"photo {number}.jpg")).status
        return number, status, visitor.compared() + visitor.details()[1]

    with ThreadPoolExecutor(16) as visitors:
        list(visitors.map(visit, range(16)))
        before, start = memory(server), time.perf_counter()
        answers = list(visitors.map(visit, range(UPLOADS)))
    after, seconds = memory(server), time.perf_counter() - start
    print(f"{UPLOADS} uploads by 16 visitors: {seconds:.1f} s, {before:.0f} MB before, {after:.0f} MB after")
    for number, status, page in answers:
        assert status == f'<p class="done">Ready: the pet of photo {number}.jpg is cut out.</p>'
        assert f"The photo photo {number}.jpg" in page
        assert f"pet {masks[number % 20]['pet']:.1%}" in page
    if not before:
        pytest.skip("this system does not say how much memory the app holds; the results were right")
    assert after - before < 30 + min(UPLOADS, 100)  # at most 100 visitors may come back to what they saw


@pytest.mark.parametrize(
    ("name", "data", "size"),
    [
        ("on its side.jpg", on_its_side(), (451, 300)),
        ("tiny.gif", encoded(chelsea(24, 16), "GIF"), (24, 16)),
        ("phone.heic", encoded(chelsea(), "HEIF"), (451, 300)),
        ("large.jpg", encoded(chelsea(4000, 3000)), (4000, 3000)),
        ("without an ending", encoded(chelsea()), (451, 300)),
        ("a PNG.pdf", encoded(chelsea(), "PNG"), (451, 300)),
        (".cat.jpg", encoded(chelsea()), (451, 300)),
    ],
)
def test_photos_of_all_kinds_are_taken_as_they_are(
    server: Server, name: str, data: bytes, size: tuple[int, int]
) -> None:
    visitor = Visitor(server)
    answer = visitor.choose((data, name))
    (_, mask, _), legend = visitor.details()
    assert f"{size[0]} x {size[1]} pixels" in legend
    assert wrong(mask, expected(data).mask) < 1e-3
    assert answer.results["visible"]


@pytest.mark.parametrize(
    ("name", "data", "sentence"),
    [
        ("text.jpg", b"no photo at all", "text.jpg: not an image; JPEG"),
        ("empty.jpg", b"", "empty.jpg: the file is empty."),
        ("half.jpg", encoded(chelsea())[:8000], "half.jpg: "),
        ("bomb.png", encoded(Image.new("1", (20000, 20000)), "PNG"), "bomb.png: 400 megapixels"),
        ("<b>.svg", b"<svg></svg>", "&lt;b&gt;.svg: "),
        ("no ending", b"\0\1\2", "no ending: not an image; JPEG"),
    ],
)
def test_what_is_no_photo_is_one_sentence_and_the_shown_photo_stays(
    server: Server, name: str, data: bytes, sentence: str
) -> None:
    visitor = Visitor(server)
    visitor.choose((some_photo(0), "good.jpg"))
    answer = visitor.choose((data, name))
    assert answer.status.startswith(f'<p class="failed">{sentence}')
    assert answer.status.count("<p") == 1
    assert "Traceback" not in answer.status
    assert "visible" not in answer.results
    assert "The photo good.jpg" in visitor.compared()


def test_a_photo_without_a_pet_is_said_to_have_none_and_can_still_be_looked_at(server: Server) -> None:
    visitor, sentence = Visitor(server), "No pet found in blue.jpg, so there is no cut-out of it."
    blue = (encoded(Image.new("RGB", (300, 200), "blue")), "blue.jpg")
    alone = visitor.choose(blue)
    assert alone.status.startswith(f'<p class="failed">{sentence}')
    assert alone.results["visible"]
    assert visitor.compared().count("<img") == 1
    assert visitor.details()[0][1].size == (300, 200)
    for button in ("Download", "Download all (ZIP)"):
        assert visitor.do("click", button, None, *CUTOUT)["error"].startswith(sentence)
    two = visitor.choose(blue, (some_photo(0), "cat.jpg"))
    assert two.choice["selected_index"] == 1  # the one with a pet is shown first
    assert not visitor.offers_all()
    assert visitor.compared().count("<img") == 2
    visitor.data("select", "choice", None, index=0)
    visitor.data("submit", "comparison", None, more={"keep": True, "radius": 0.08, "points": [[0.5, 0.5]]})
    assert visitor.offers_all()  # who paints a pet says that there is one


def test_what_does_not_look_like_a_cat_or_a_dog_is_a_question_and_is_shown_anyway_on_request(server: Server) -> None:
    visitor = Visitor(server)
    mug = (encoded(Image.fromarray(coffee())), "mug.jpg")
    answer = visitor.choose(mug, (some_photo(0), "cat.jpg"), mug)
    assert answer.status.count("Is this a cat or a dog? No pet found in mug.jpg that looks like one.") == 2
    assert not visitor.offers_all()
    visitor.data("select", "choice", None, index=2)
    assert "petseg-doubtful" in visitor.compared()
    assert visitor.do("click", "Download", None, *CUTOUT)["error"].startswith("Is this a cat or a dog?")
    status, _ = visitor.data("click", "Show it anyway", None)
    assert status == '<p class="done">Ready: the pet of mug.jpg is cut out.</p>'
    assert visitor.offers_all()
    assert visitor.compared().count("<img") == 2
    assert visitor.saved("Download", *CUTOUT)[1] == "mug.cutout.png"


def test_of_several_photos_the_good_ones_are_shown_and_each_bad_one_is_named(server: Server) -> None:
    good = [(some_photo(number), f"{number}.jpg") for number in range(10)]
    visitor = Visitor(server)
    answer = visitor.choose((b"", "empty.jpg"), (animation(), "moving.gif"), *good)
    assert [picture["caption"] for picture in answer.choice["value"]] == ["moving.gif", *(name for _, name in good[:8])]
    assert answer.choice["visible"]
    assert visitor.offers_all()
    assert "empty.jpg: the file is empty" in answer.status
    assert "12 photos came; at most 10 at a time" in answer.status
    assert "<p>moving.gif: " in answer.status
    visitor.data("select", "choice", None, index=3)
    assert "The photo 2.jpg" in visitor.compared()
    assert visitor.data("input", "Opacity of the overlay", None, None, *OVERLAY) == [[], ""]  # details are folded
    assert wrong(visitor.details()[0][1], expected(some_photo(2)).mask) < 1e-3


def test_impossible_options_of_a_cut_out_are_a_sentence(server: Server) -> None:
    visitor = Visitor(server)
    visitor.choose((some_photo(0), "cat.jpg"))
    answer = visitor.do("input", "Crop to the pet", None, False, "color", "#ff", *CUTOUT[2:])
    assert answer["error"] == "colour '#ff': not a colour. Write it as #ff8800 or orange."
    answer = visitor.do("click", "Download", None, *CUTOUT[:4], "jpg", *CUTOUT[5:])
    assert "a JPEG cannot be transparent" in answer["error"]


def test_with_another_model_the_shown_photo_and_the_strokes_stay(server: Server) -> None:
    visitor = Visitor(server)
    visitor.choose((some_photo(1), "first.jpg"), (some_photo(0), "second.jpg"))
    visitor.data("select", "choice", None, index=1)
    stroke = {"keep": False, "radius": 0.05, "points": [[0.4, 0.5], [0.6, 0.5]]}
    visitor.data("submit", "comparison", None, more=stroke)
    assert visitor.data("input", "Model", None, "unet-lite0")[0].startswith('<p class="done">Ready')
    _, choice, _ = visitor.data("success", "Model", None, None)
    assert choice["selected_index"] == 1
    assert "segmented by unet-lite0" in visitor.details()[1]
    page = visitor.compared()
    assert "The photo second.jpg" in page
    alpha = np.asarray(picture(page))[..., 3]
    assert alpha[150, 90:120].max() == 0
    assert alpha.max() == 255


def test_of_two_pets_one_can_be_left_out(server: Server) -> None:
    visitor, scene = Visitor(server), Image.new("RGB", (1400, 300), "#808080")
    for left in (50, 900):
        scene.paste(chelsea(300, 200), (left, 50))
    visitor.choose((encoded(scene, "PNG"), "two.png"))
    pets, _ = visitor.data("expand", "Correct", None)
    assert (pets["visible"], pets["value"]) == (True, [0, 1])
    visitor.data("input", "Pets, from left to right", None, [1])
    alpha = np.asarray(picture(visitor.compared()))[..., 3]
    assert alpha[:, :400].max() == 0
    assert alpha[:, 900:].mean() > 30
    status, _ = visitor.data("input", "Model", None, "unet-lite0")
    assert "two.png: another model may find other pets. Choose again which are shown." in status
    visitor.data("success", "Model", None, None)
    assert visitor.data("expand", "Correct", None)[0]["value"] == [0, 1]


@pytest.mark.parametrize(
    ("kind", "format", "button"),
    [
        *(("cutout", format, "Download") for format in ("png", "webp", "jpg")),
        ("overlay", "png", "Download overlay"),
        ("mask", "png", "Download class map"),
    ],
)
def test_a_picture_is_downloaded_upright_at_the_photos_own_size(
    server: Server, kind: str, format: str, button: str
) -> None:
    visitor, result = Visitor(server), predictor()(on_its_side())
    background = "white" if format == "jpg" else "transparent"
    visitor.choose((on_its_side(), "my dog.jpg"))
    values = [background, *CUTOUT[1:4], format, *CUTOUT[5:]] if kind == "cutout" else OVERLAY
    image, name = visitor.saved(button, *values)
    cutout = CutoutSettings("white" if format == "jpg" else None).draw(result)
    right = {"cutout": cutout, "overlay": result.overlay(), "mask": result.mask_image()}[kind]
    assert name == f"my dog.{kind}.{format}"
    assert (image.mode, image.size) == (right.mode, (451, 300))
    assert difference(image, right) < (0.05 if format == "png" else 4)


def test_all_cut_outs_come_in_one_archive_and_a_photo_that_was_deleted_is_named(server: Server) -> None:
    visitor = Visitor(server)
    visitor.choose((some_photo(1), "rex.jpg"), (some_photo(2), "Rex.png"), (some_photo(3), "gone.jpg"))
    for path in server.log.parent.rglob("gone.jpg"):
        path.unlink()
    file, status = visitor.data("click", "Download all (ZIP)", None, *CUTOUT)
    kept = len(list(server.log.parent.rglob("cut-outs.zip")))
    assert status == '<p class="failed">gone.jpg: was deleted in the meantime. Choose the photo again.</p>'
    with ZipFile(BytesIO(visitor.ask(f"file={file['path']}"))) as archive:
        assert archive.namelist() == ["rex.cutout.png", "Rex-2.cutout.png"]
        sizes = [Image.open(BytesIO(archive.read(name))).size for name in archive.namelist()]
    assert sizes == [Image.open(BytesIO(some_photo(number))).size for number in (1, 2)]
    for path in [*server.log.parent.rglob("rex.jpg"), *server.log.parent.rglob("Rex.png")]:
        path.unlink()
    assert "was deleted in the meantime" in visitor.do("click", "Download all (ZIP)", None, *CUTOUT)["error"]
    assert len(list(server.log.parent.rglob("cut-outs.zip"))) == kept  # no empty one is left


def test_what_one_visitor_sees_no_other_does(server: Server) -> None:
    first, second = Visitor(server), Visitor(server)
    first.choose((some_photo(1), "secret.jpg"))
    for button in ("Download", "Download all (ZIP)"):
        answer = second.do("click", button, None, *CUTOUT)
        assert answer["error"] == "The photo was deleted in the meantime. Choose it again."


def test_programs_get_the_same_pictures_through_the_one_endpoint(server: Server, tmp_path: Path) -> None:
    from gradio_client import Client, handle_file

    path, sea = tmp_path / "program.jpg", tmp_path / "sea.png"
    path.write_bytes(on_its_side())
    Image.new("RGB", (64, 48), "#0000ff").save(sea)
    client = Client(server.address, verbose=False, download_files=str(tmp_path / "answers"))
    assert list(client.view_api(return_format="dict")["named_endpoints"]) == ["/segment"]
    result = predictor()(path)

    def ask(**settings: Any) -> tuple[Image.Image, str, dict[str, float]]:
        file, fractions = client.predict(file=handle_file(path), **settings, api_name="/segment")
        return Image.open(file), Path(file).name, fractions

    mask, _, fractions = ask(kind="mask", model="unet")
    assert wrong(mask, result.mask) < 1e-3
    assert fractions == pytest.approx(result.fractions, abs=1e-3)
    options = {"crop": True, "format": "webp", "shadow": True}
    cutout, name, _ = ask(model="unet", background="#ff8800", edge="looser", **options)
    assert name == "program.cutout.webp"
    assert difference(cutout, CutoutSettings("#ff8800", grow=3, **options).draw(result)) < 4
    cutout, _, _ = ask(model="unet", background_image=handle_file(sea), format="jpg")
    assert np.asarray(cutout)[result.alpha == 0].mean(axis=0) == pytest.approx([0, 0, 254], abs=4)
    mug = encoded(Image.fromarray(coffee()))
    path.write_bytes(mug)
    assert ask(model="unet", anyway=True)[0].mode == "RGBA"
    no_pet = encoded(Image.new("RGB", (90, 60)))
    for data, sentence in ((b"no photo", "not an image; JPEG"), (no_pet, "No pet found"), (mug, "Is this a cat")):
        path.write_bytes(data)
        with pytest.raises(Exception, match=sentence):
            ask(model="unet")
    with pytest.raises(Exception, match="kind 'masks': expected mask, overlay or cutout"):
        ask(kind="masks", model="unet")


# --- What is refused -------------------------------------------------------------------------------------------------


def test_what_was_not_uploaded_is_refused_in_any_field(server: Server) -> None:
    private, visitor = server.log.parent / "private.jpg", Visitor(server)
    private.write_bytes(some_photo(1))
    visitor.choose((some_photo(0), "cat.jpg"))
    visitor.data("expand", "Details: overlay, class map, confidence")
    upload = visitor.upload(some_photo(0), "cat.jpg")
    marks: Any = ({"meta": {"_type": "gradio.FileData"}}, {})  # as Gradio marks an upload, and without
    for path, mark in product((str(private), "https://example.com/cat.jpg", "HTTP://1.2.3.4/cat.jpg"), marks):
        file = {"path": path, "orig_name": "private.jpg", **mark}
        for kind, label, values in (
            ("upload", "photos", [[file], "unet"]),
            ("upload", "photos", [[upload], file]),
            ("upload", "Own picture", [file, None]),
            ("input", "Crop to the pet", [None, False, file, *CUTOUT[1:]]),
            ("input", "Opacity of the overlay", [None, None, file, ["pet"]]),
        ):
            output = visitor.do(kind, label, *values)
            assert "error" in output or 'class="failed"' in str(output), (file, label)
            assert not re.search("data:image|gradio_api|Errno", str(output)), (file, label)
        assert "an image of your own" not in visitor.compared("image", *CUTOUT[1:]), file
    visitor.data("upload", "Own picture", upload, None)
    assert "an image of your own" in visitor.compared("image", *CUTOUT[1:])


def test_large_bodies_and_what_gradio_has_for_other_apps_are_refused(server: Server) -> None:
    visitor, large = Visitor(server), b"x" * 2**21
    half = b'--m\r\nContent-Disposition: form-data; name="note"\r\n\r\n' + large[:600_000] + b"\r\n"
    field = 2 * half + b"--m--\r\n"
    form = "multipart/form-data; boundary=m"
    for status, where, body, kind in (
        (413, "call/upload", large, "application/json"),  # an upload by its name alone
        (400, "upload", field, form),
        (404, "process_recording", field[:99], form),
        (404, f"deep_link?session_hash={visitor.session}", None, form),
        (404, "proxy=http://1.2.3.4/", None, form),
    ):
        with pytest.raises(urllib.error.HTTPError) as error:
            visitor.ask(where, body, kind)
        assert error.value.code == status, where


def test_a_click_on_one_of_more_photos_that_were_there_before_changes_nothing(server: Server) -> None:
    visitor = Visitor(server)
    visitor.choose((some_photo(1), "only.jpg"))
    visitor.data("select", "choice", None, index=4)
    assert "The photo only.jpg" in visitor.compared()


def test_who_did_nothing_for_long_is_forgotten() -> None:
    import gradio
    from gradio.state_holder import StateHolder

    holder, blocks = StateHolder(), gradio.Blocks()
    holder.set_blocks(blocks)
    for visitor in ("gone", "there"):
        assert holder[visitor]
    holder.time_last_used["gone"] -= timedelta(hours=2)
    forget_visitors(blocks, seconds=3600)
    assert "there" in holder
    assert "gone" not in holder


def test_the_page_asks_no_other_server_for_anything(server: Server) -> None:
    page = urllib.request.urlopen(server.address).read().decode()
    style = urllib.request.urlopen(f"{server.address}/theme.css").read().decode()
    assert not re.findall(r'<(?:script|link)[^>]*(?:src|href)="?(?:https?:)?//', page)
    assert not re.findall(r"url\([\"']?(?:https?:)?//", style)
    assert "--font: system-ui, sans-serif;" in style  # in quotes it would be the name of a font
    assert Visitor(server).config["analytics_enabled"] is False
