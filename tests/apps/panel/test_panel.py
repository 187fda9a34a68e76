"""The notebook panel without a browser: what it does when messages arrive from one."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from itertools import zip_longest
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image

from petseg.apps.display import sample_photos
from petseg.apps.panel.gallery import MAX_OPEN
from petseg.apps.panel.panel import Panel, segment_panel
from petseg.inference.predictor import Predictor


@pytest.fixture
def panel(pet_model: Path) -> Panel:
    return Panel(str(pet_model))


def photo(width: int = 60, height: int = 40, seed: int = 0, kind: str = "JPEG", **options: Any) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    file = BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def messages(
    name: str, data: bytes, index: int = 1, of: int = 1, view: str = "a", purpose: str = "photo"
) -> Iterator[tuple[dict[str, Any], list[memoryview]]]:
    """What a view sends when a file is chosen: one message and its buffer per part."""
    pieces = [data[start : start + 1000] for start in range(0, len(data), 1000)] or [b""]
    for number, piece in enumerate(pieces):
        about = {"type": "part", "part": number, "parts": len(pieces), "name": name, "index": index, "of": of}
        yield {**about, "view": view, "purpose": purpose}, [memoryview(piece)]


def tell(panel: Panel, content: dict[str, Any], buffers: list[Any] | None = None) -> None:
    panel.widget._handle_custom_msg(content, buffers or [])


def send(panel: Panel, name: str, data: bytes, *batch: int, **about: Any) -> None:
    for message in messages(name, data, *batch, **about):
        tell(panel, *message)


def picture(panel: Panel, key: str) -> Image.Image:
    return Image.open(BytesIO(panel.widget.shown[key].data))


def names(panel: Panel) -> list[str]:
    assert [name for _, name in panel.widget.photos] == [entry.name for entry in panel.gallery.entries]
    return [entry.name for entry in panel.gallery.entries]


def saved(panel: Panel, monkeypatch: pytest.MonkeyPatch, kind: str = "cutout") -> tuple[str, bytes]:
    """The file that a click on a download gives: name and bytes."""
    files: list[tuple[str, bytes]] = []
    monkeypatch.setattr(panel.widget, "save", lambda view, name, data: files.append((name, data)))
    tell(panel, {"type": "save", "view": "a", "picture": kind})
    (file,) = files
    return file


def test_an_uploaded_photo_is_shown_beside_its_cutout_with_a_caption(panel: Panel) -> None:
    send(panel, "my <b>dog.jpg", photo())
    assert picture(panel, "before").size == picture(panel, "after").size == (60, 40)
    assert picture(panel, "before").format == "JPEG"
    assert panel.widget.caption.startswith("my <b>dog.jpg: 60 x 40 pixels")
    assert "pet 100.0%" in panel.widget.legend
    assert not panel.widget.messages
    assert panel.widget.busy == panel.widget.notice == ""


def test_a_photo_without_a_pet_is_said_to_have_none_and_can_still_be_looked_at(
    small_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = Panel(str(small_model))
    panel.widget.details = True
    send(panel, "sofa.jpg", photo())
    assert panel.widget.notice.startswith("No pet found in sofa.jpg")
    assert set(panel.widget.shown) == {"photo 1", "before", "overlay", "mask", "confidence"}
    monkeypatch.setattr(panel.widget, "save", lambda *file: pytest.fail("an empty archive"))
    tell(panel, {"type": "save", "view": "a", "picture": "all"})
    assert panel.widget.messages == ["No pet found in any of the open photos, so there is nothing to download."]


def test_the_result_is_that_of_the_predictor(panel: Panel, pet_model: Path) -> None:
    data = photo(seed=3)
    send(panel, "dog.jpg", data)
    assert np.array_equal(panel.gallery.entries[0].result.mask, Predictor(str(pet_model))(data).mask)


def test_a_phone_photo_is_shown_upright(panel: Panel) -> None:
    note = Image.Exif()
    note[0x0112] = 6
    send(panel, "phone.jpg", photo(60, 40, exif=note))
    assert picture(panel, "before").size == (40, 60)


@pytest.mark.parametrize(
    ("data", "words"), [(b"Dear diary", "not an image"), (b"", "the file is empty"), (photo(300, 300)[:5000], "")]
)
def test_a_bad_file_gets_one_sentence_and_the_panel_lives_on(panel: Panel, data: bytes, words: str) -> None:
    send(panel, "bad.jpg", data)
    (sentence,) = panel.widget.messages
    assert sentence.startswith(f"bad.jpg: {words}")
    assert "Traceback" not in sentence
    send(panel, "good.jpg", photo())
    assert panel.widget.messages == []
    assert names(panel) == ["good.jpg"]


def test_bad_files_of_a_batch_are_all_named_and_the_good_ones_shown(panel: Panel) -> None:
    for index, (name, data) in enumerate({"a.jpg": b"no", "b.jpg": photo(), "c.jpg": b""}.items(), start=1):
        send(panel, name, data, index, 3)
    assert [sentence[:5] for sentence in panel.widget.messages] == ["a.jpg", "c.jpg"]
    assert names(panel) == ["b.jpg"]


def test_a_file_too_large_to_upload_gets_a_hint_at_the_field_for_its_path(panel: Panel) -> None:
    tell(panel, {"type": "too large", "size": 90_000_000, "name": "huge.tif"})
    assert panel.widget.messages == ["huge.tif: 90 MB; at most 64 MB are uploaded. Type its path into the field below."]


def test_the_same_file_can_be_uploaded_twice(panel: Panel) -> None:
    for _ in range(2):
        send(panel, "dog.jpg", photo())
    assert panel.widget.photos == [[1, "dog.jpg"], [2, "dog.jpg"]]
    assert panel.widget.photo == 2


def test_only_the_last_photos_stay_open_and_nothing_is_kept_of_the_others(panel: Panel) -> None:
    for number in range(MAX_OPEN + 2):
        send(panel, f"{number}.jpg", photo(8, 8))
    assert names(panel) == [f"{number}.jpg" for number in range(2, MAX_OPEN + 2)]
    thumbnails = {key for key in panel.widget.shown if key.startswith("photo")}
    assert thumbnails == {f"photo {entry.number}" for entry in panel.gallery.entries}


def test_choosing_an_earlier_photo_shows_it_again(panel: Panel) -> None:
    send(panel, "wide.jpg", photo(60, 40))
    send(panel, "high.jpg", photo(30, 50))
    panel.widget.photo = 1
    assert picture(panel, "before").size == picture(panel, "after").size == (60, 40)
    assert panel.widget.caption.startswith("wide.jpg")


def test_two_views_of_one_panel_can_upload_at_once(panel: Panel) -> None:
    photos = {"wide.jpg": photo(60, 40), "high.jpg": photo(30, 50)}
    first, second = (messages(name, photos[name], view=name) for name in photos)
    for pair in zip_longest(first, second):
        for message in filter(None, pair):
            tell(panel, *message)
    assert panel.widget.messages == []
    sizes = {entry.name: entry.result.photo.size for entry in panel.gallery.entries}
    assert sizes == {"wide.jpg": (60, 40), "high.jpg": (30, 50)}


def test_an_upload_that_broke_off_leaves_nothing_in_the_next(panel: Panel) -> None:
    tell(panel, *next(messages("half.jpg", photo())))
    send(panel, "whole.jpg", photo())
    assert names(panel) == ["whole.jpg"]


def test_details_are_drawn_only_once_they_are_unfolded(panel: Panel) -> None:
    send(panel, "dog.jpg", photo())
    assert set(panel.widget.shown) == {"photo 1", "before", "after"}
    panel.widget.details = True
    assert set(panel.widget.shown) == {"photo 1", "before", "after", "overlay", "mask", "confidence"}
    assert picture(panel, "mask").mode == "P"


def test_opacity_and_class_switches_change_the_overlay_alone(panel: Panel) -> None:
    panel.widget.details = True
    send(panel, "dog.jpg", photo())
    before = {key: shown.data for key, shown in panel.widget.shown.items()}
    panel.widget.opacity = 1.0
    assert panel.widget.shown["overlay"].data != before["overlay"]
    panel.widget.classes = []
    assert np.array_equal(picture(panel, "overlay"), picture(panel, "before"))
    assert all(panel.widget.shown[key].data == before[key] for key in before if key != "overlay")


def test_a_crop_shows_the_same_part_of_photo_and_cutout(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("petseg.apps.cutouts.pet_frame", lambda alpha: (10, 5, 30, 35))
    send(panel, "dog.jpg", photo())
    panel.widget.crop = True
    assert picture(panel, "before").size == picture(panel, "after").size == (20, 30)
    assert panel.widget._size == (20, 30)
    panel.widget.crop = False
    assert picture(panel, "before").size == (60, 40)


def test_an_image_of_ones_own_stands_behind_the_pet_and_may_be_replaced(panel: Panel) -> None:
    send(panel, "dog.jpg", photo())
    for color in ("red", "lime"):
        file = BytesIO()
        Image.new("RGB", (9, 9), color).save(file, "PNG")
        send(panel, f"{color}.png", file.getvalue(), purpose="background")
        assert (panel.widget.background, panel.widget.image_name) == ("image", f"{color}.png")
        background = panel.gallery.settings().background
        assert isinstance(background, Image.Image)
        assert background.getpixel((0, 0)) == Image.new("RGB", (1, 1), color).getpixel((0, 0))
        assert picture(panel, "after").mode == "RGB"
    send(panel, "text.png", b"no image", purpose="background")
    assert [sentence[:9] for sentence in panel.widget.messages] == ["text.png:"]


def test_downloads_have_the_size_of_the_photo_and_its_name(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    send(panel, "my dog.jpg", photo(1500, 1000))
    assert max(picture(panel, "before").size) < 1500
    files = [saved(panel, monkeypatch, kind) for kind in ("cutout", "overlay", "mask")]
    assert [name for name, _ in files] == ["my dog.cutout.png", "my dog.overlay.png", "my dog.mask.png"]
    opened = [Image.open(BytesIO(data)) for _, data in files]
    assert {image.size for image in opened} == {(1500, 1000)}
    assert [image.mode for image in opened] == ["RGBA", "RGB", "P"]


def test_a_download_has_the_chosen_format_and_a_jpeg_needs_a_background(
    panel: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(panel, "dog.jpg", photo())
    for background, format, name in (
        ("transparent", "webp", "dog.cutout.webp"),
        ("transparent", "jpg", "dog.cutout.png"),
        ("image", "jpg", "dog.cutout.png"),  # none was chosen yet
        ("white", "jpg", "dog.cutout.jpg"),
    ):
        panel.widget.background, panel.widget.format = background, format
        assert saved(panel, monkeypatch)[0] == name


def test_the_cutouts_of_all_open_photos_are_one_zip(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("rex.jpg", "Rex.png"):
        send(panel, name, photo())
    name, data = saved(panel, monkeypatch, "all")
    assert name == "petseg-cutouts.zip"
    with ZipFile(BytesIO(data)) as archive:
        assert archive.namelist() == ["rex.cutout.png", "Rex-2.cutout.png"]


def test_another_model_segments_the_photo_that_is_shown_and_the_others_when_they_are_chosen(panel: Panel) -> None:
    for name in ("a.jpg", "b.jpg"):
        send(panel, name, photo())
    panel.widget.model = "unet"
    assert [entry.result.model for entry in panel.gallery.entries] == ["pet", "unet"]
    assert "segmented by unet" in panel.widget.caption
    panel.widget.photo = 1
    assert [entry.result.model for entry in panel.gallery.entries] == ["unet", "unet"]


def test_a_model_that_is_gone_is_one_sentence(pet_model: Path) -> None:
    panel = Panel(str(pet_model))
    pet_model.unlink()
    send(panel, "dog.jpg", photo())
    (sentence,) = panel.widget.messages
    assert "pet.safetensors" in sentence


def test_a_sample_can_be_tried_twice(panel: Panel) -> None:
    for _ in range(2):
        tell(panel, {"type": "sample", "name": "Chelsea the cat"})
    assert names(panel) == ["Chelsea the cat"] * 2
    assert panel.widget.samples == list(sample_photos())


def test_a_breed_of_the_data_set_is_a_sample_where_it_is(pet_model: Path, tmp_path: Path) -> None:
    (tmp_path / "saint_bernard_7.jpg").write_bytes(photo())
    panel = Panel(str(pet_model), images=tmp_path)
    assert panel.widget.breeds == ["saint bernard"]
    tell(panel, {"type": "sample", "name": "saint bernard"})
    assert names(panel) == ["saint bernard"]


def test_a_typed_path_is_opened_and_a_wrong_one_is_one_sentence(panel: Panel, tmp_path: Path) -> None:
    (tmp_path / "my dog.jpg").write_bytes(photo())
    tell(panel, {"type": "open", "text": str(tmp_path / "my dog.jpg")})
    assert names(panel) == ["my dog.jpg"]
    tell(panel, {"type": "open", "text": "none.jpg"})
    assert [sentence[:22] for sentence in panel.widget.messages] == ["none.jpg: no such file"]


def test_no_pixel_of_a_photo_is_in_what_a_notebook_saves(panel: Panel) -> None:
    panel.widget.details = True
    send(panel, "dog.jpg", photo())
    send(panel, "beach.png", photo(kind="PNG"), purpose="background")
    state = {key: value for key, value in panel.widget.get_state().items() if key not in ("_esm", "_css")}
    kept = repr(state)
    assert len(kept) < 6_000
    assert "base64" not in kept
    assert "JFIF" not in kept


def test_a_view_that_comes_later_gets_samples_and_pictures(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    send(panel, "dog.jpg", photo())
    sent: dict[str, Any] = {}
    monkeypatch.setattr(panel.widget, "send", lambda content, buffers=(): sent.update({content["type"]: content}))
    tell(panel, {"type": "ready", "view": "b"})
    assert len(sent["samples"]["addresses"]) == len(panel.widget.samples)
    assert [shown["key"] for shown in sent["show"]["pictures"]] == ["photo 1", "before", "after"]
    assert sent["show"]["size"] == (60, 40)


def test_a_file_is_saved_by_the_view_that_asks_for_it(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    send(panel, "dog.jpg", photo())
    sent: list[Any] = []
    monkeypatch.setattr(panel.widget, "send", lambda content, buffers=(): sent.append(content))
    tell(panel, {"type": "save", "view": "second", "picture": "cutout"})
    assert sent == [{"type": "save", "name": "dog.cutout.png", "view": "second"}]


def test_the_cell_shows_one_widget() -> None:
    assert type(segment_panel()).__name__ == "PanelWidget"


def test_a_predictor_that_is_loaded_already_is_used(pet_model: Path) -> None:
    predictor = Predictor(str(pet_model))
    panel = Panel(predictor)
    send(panel, "dog.jpg", photo())
    assert panel._predictors == {"pet": predictor}


def animation() -> bytes:
    file = BytesIO()
    frames = [Image.new("RGB", (30, 20), color) for color in ("white", "black")]
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    return file.getvalue()


def test_what_is_worth_knowing_of_a_photo_is_said_beside_its_result(panel: Panel, recwarn: Any) -> None:
    for _ in range(2):
        send(panel, "moving.gif", animation())
        assert panel.widget.messages == ["moving.gif: holds several pictures; only the first is used."]
    assert len(names(panel)) == 2
    assert not recwarn.list
    send(panel, "still.jpg", photo())
    assert panel.widget.messages == []
