"""The notebook panel without a browser: what it does when messages arrive from one."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from itertools import zip_longest
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image
from skimage.data import coffee

from petseg.apps import display, edge
from petseg.apps.display import sample_photos, source
from petseg.apps.panel import segment_panel
from petseg.apps.panel.gallery import MAX_OPEN, Gallery
from petseg.apps.panel.panel import Panel
from petseg.apps.panel.widget import SCRIPTS, PanelWidget
from petseg.errors import PhotoError
from petseg.inference import matting
from petseg.inference.predictor import Predictor
from petseg.inference.segmentation import Segmentation
from petseg.labels import BACKGROUND, PET
from petseg.models import zoo


@pytest.fixture
def panel(pet_model: Path) -> Panel:
    return Panel(str(pet_model))


def photo(width: int = 60, height: int = 40, seed: int = 0, kind: str = "JPEG", **options: Any) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    file = BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def chosen(name: str, *batch: int, view: str = "a", purpose: str = "photo") -> dict[str, Any]:
    """What each message about a file says that was chosen in a view; the batch is its index and their number."""
    index, of = batch or (1, 1)
    return {"name": name, "index": index, "of": of, "view": view, "purpose": purpose}


def parts(name: str, data: bytes, *batch: int, **about: Any) -> Iterator[tuple[dict[str, Any], list[memoryview]]]:
    """The messages with a chosen file: one message and its buffer per part."""
    pieces = [data[start : start + 1000] for start in range(0, len(data), 1000)] or [b""]
    for number, piece in enumerate(pieces):
        message = {"type": "part", "part": number, "parts": len(pieces), **chosen(name, *batch, **about)}
        yield message, [memoryview(piece)]


def send(panel: Panel, content: dict[str, Any], buffers: list[Any] | None = None) -> None:
    panel.widget._handle_custom_msg(content, buffers or [])


def upload(panel: Panel, name: str, data: bytes, *batch: int, **about: Any) -> None:
    for message in parts(name, data, *batch, **about):
        send(panel, *message)


def picture(panel: Panel, key: str) -> Image.Image:
    return Image.open(BytesIO(panel.widget.shown[key].data))


def names(panel: Panel) -> list[str]:
    assert [name for _, name in panel.widget.photos] == [entry.name for entry in panel.gallery.entries.values()]
    return [entry.name for entry in panel.gallery.entries.values()]


def saved(panel: Panel, monkeypatch: pytest.MonkeyPatch, kind: str = "cutout") -> tuple[str, bytes]:
    """Name and bytes of the file that a click on a download gives, which only the clicked view saves."""
    files: list[tuple[str, bytes]] = []
    monkeypatch.setattr(panel.widget, "send", lambda about, buffers: files.append((about, buffers[0])))
    send(panel, {"type": "save", "view": "second", "picture": kind})
    ((about, data),) = files
    assert (about["type"], about["view"]) == ("save", "second")
    return about["name"], data


# --- A photo comes in ------------------------------------------------------------------------------------------------


def test_an_uploaded_photo_is_shown_beside_its_cutout_with_a_caption(panel: Panel, pet_model: Path) -> None:
    upload(panel, "my <b>dog.jpg", photo(seed=3))
    assert picture(panel, "before").size == picture(panel, "after").size == (60, 40)
    assert picture(panel, "before").format == "JPEG"
    assert panel.widget.caption.startswith("my <b>dog.jpg: 60 x 40 pixels")
    assert "pet 100.0%" in panel.widget.legend
    assert (panel.widget.messages, panel.widget.busy, panel.widget.notice) == ([], "", "")
    assert np.array_equal(panel.gallery.entries[1].result.mask, Predictor(str(pet_model))(photo(seed=3)).mask)


def test_a_photo_without_a_pet_is_shown_with_a_sentence(small_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    panel = Panel(str(small_model))
    panel.widget.details = True
    upload(panel, "sofa.jpg", photo())
    assert panel.widget.notice.startswith("No pet found in sofa.jpg")
    assert set(panel.widget.shown) == {"photo 1", "before", "overlay", "mask", "confidence"}
    assert saved(panel, monkeypatch, "all") == ("", b"")  # the browser waits no longer, and saves no file
    assert panel.widget.messages == ["No pet found in any of the open photos, so there is nothing to download."]
    assert panel.widget.busy == ""


def test_what_does_not_look_like_a_cat_or_a_dog_is_a_question_and_is_shown_anyway_on_request() -> None:
    panel = Panel("unet")
    mug = BytesIO()
    Image.fromarray(coffee()).save(mug, "PNG")
    upload(panel, "mug.png", mug.getvalue())
    assert panel.widget.notice == (
        "Is this a cat or a dog? No pet found in mug.png that looks like one. If it is one, show it anyway."
    )
    assert panel.widget.doubtful
    assert "after" not in panel.widget.shown
    send(panel, {"type": "anyway"})
    assert (panel.widget.notice, panel.widget.doubtful) == ("", False)
    assert picture(panel, "after").size == picture(panel, "before").size


def test_bad_files_of_a_batch_are_all_named_and_the_good_ones_shown(panel: Panel) -> None:
    batch = {"a.jpg": b"Dear diary", "b.jpg": photo(), "c.jpg": b"", "d.jpg": photo(300, 300)[:5000]}
    for index, (name, data) in enumerate(batch.items(), start=1):
        upload(panel, name, data, index, len(batch))
    starts = "a.jpg: not an image", "c.jpg: the file is empty", "d.jpg: the file ends early"
    for text, start in zip(panel.widget.messages, starts, strict=True):
        assert text.startswith(start)
    assert names(panel) == ["b.jpg"]
    upload(panel, "good.jpg", photo())
    assert panel.widget.messages == []


def test_a_note_about_a_photo_is_shown_each_time_and_nowhere_else(panel: Panel, recwarn: Any) -> None:
    file = BytesIO()
    frames = [Image.new("RGB", (30, 20), color) for color in ("white", "black")]
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    for _ in range(2):
        upload(panel, "moving.gif", file.getvalue())
        (note,) = panel.widget.messages
        assert note.endswith("only the first is used.")
    assert len(names(panel)) == 2
    assert not recwarn.list


@pytest.mark.parametrize(
    ("purpose", "remedy"), [("photo", "Type its path into the field above."), ("background", "Shrink it.")]
)
def test_a_file_too_large_to_upload_gets_a_remedy_and_the_panel_stops_opening_it(
    panel: Panel, purpose: str, remedy: str
) -> None:
    busy: list[bool] = []
    panel.widget.observe(lambda change: busy.append(bool(change["new"])), "busy")
    send(panel, {"type": "too large", "size": 90_000_000, **chosen("huge.tif", purpose=purpose)})
    assert panel.widget.messages == [f"huge.tif: 90 MB; at most 64 MB are uploaded. {remedy}"]
    assert busy == [True, False]  # a change, at which the browser takes back "Opening huge.tif"


def test_two_views_of_one_panel_can_upload_at_once_also_after_an_upload_that_was_interrupted(panel: Panel) -> None:
    photos = {"wide.jpg": photo(60, 40), "high.jpg": photo(30, 50)}
    send(panel, *next(parts("half.jpg", photo(), view="wide.jpg")))
    first, second = (parts(name, photos[name], view=name) for name in photos)
    for pair in zip_longest(first, second):
        for message in filter(None, pair):
            send(panel, *message)
    assert panel.widget.messages == []
    sizes = {entry.name: entry.result.photo.size for entry in panel.gallery.entries.values()}
    assert sizes == {"wide.jpg": (60, 40), "high.jpg": (30, 50)}


def test_samples_breeds_and_paths_are_photos_too(pet_model: Path, tmp_path: Path) -> None:
    (tmp_path / "saint_bernard_7.jpg").write_bytes(photo())
    panel = Panel(str(pet_model), images=tmp_path)
    assert (panel.widget.samples, panel.widget.breeds) == (list(sample_photos()), ["saint bernard"])
    for name in ("Chelsea the cat", "Chelsea the cat", "saint bernard"):
        send(panel, {"type": "sample", "name": name})
    send(panel, {"type": "open", "text": str(tmp_path / "saint_bernard_7.jpg")})
    assert names(panel) == ["Chelsea the cat", "Chelsea the cat", "saint bernard", "saint_bernard_7.jpg"]
    send(panel, {"type": "open", "text": "none.jpg"})
    assert [sentence[:22] for sentence in panel.widget.messages] == ["none.jpg: no such file"]


# --- Several photos and models ---------------------------------------------------------------------------------------


def test_an_earlier_photo_can_be_chosen_again_even_of_the_same_name(panel: Panel) -> None:
    upload(panel, "dog.jpg", photo(60, 40))
    upload(panel, "dog.jpg", photo(30, 50))
    assert (panel.widget.photos, panel.widget.photo) == ([[1, "dog.jpg"], [2, "dog.jpg"]], 2)
    panel.widget.photo = 1
    assert picture(panel, "before").size == picture(panel, "after").size == (60, 40)


def test_the_first_photo_of_a_batch_that_has_a_pet_is_shown(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"wall.jpg": False, "cat.jpg": True, "dog.jpg": True, "sofa.jpg": False}
    original, logits = panel._predictor(), {}
    for name, pet in found.items():
        logits[name] = np.full((3, 8, 8), -9, np.float32)
        logits[name][PET if pet else BACKGROUND] = 9
    predict = lambda data, name: replace(original(data, name=name), logits=logits[name])  # noqa: E731
    monkeypatch.setattr(panel, "_predictor", lambda: predict)
    for index, name in enumerate(found, start=1):
        upload(panel, name, photo(), index, len(found))
    entry = panel.gallery.current()
    assert entry is not None
    assert (entry.name, panel.widget.notice) == ("cat.jpg", "")
    upload(panel, "sofa.jpg", photo())  # a photo alone is shown whether it has a pet or not
    assert panel.widget.notice.startswith("No pet found in sofa.jpg")


@pytest.mark.parametrize("fault", ["part", "unreadable", "too large"])
def test_a_new_batch_is_shown_although_its_first_file_fails(panel: Panel, fault: str) -> None:
    upload(panel, "old.jpg", photo())
    message = {"type": fault, "size": 90_000_000, "part": 0, "parts": 1, **chosen("bad.jpg", 1, 2)}
    send(panel, message, [memoryview(b"Dear diary")])
    upload(panel, "new.jpg", photo(), 2, 2)
    assert panel.widget.caption.startswith("new.jpg: ")
    assert len(panel.widget.messages) == 1


def test_a_closed_photo_is_gone_and_its_neighbour_shown(panel: Panel, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        upload(panel, name, photo())
    for number, left in ((3, ["a.jpg", "b.jpg"]), (1, ["b.jpg"]), (2, [])):
        for _ in range(2):  # of a double click, the second comes after the photo is gone
            send(panel, {"type": "close", "number": number})
        assert names(panel) == left
        assert f"photo {number}" not in panel.widget.shown
        assert panel.widget.photo == (max(panel.gallery.entries) if left else 0)
    assert panel.widget.caption == ""
    assert not caplog.records


def test_only_the_last_photos_stay_open_and_nothing_is_kept_of_the_others(panel: Panel) -> None:
    for number in range(MAX_OPEN + 2):
        upload(panel, f"{number}.jpg", photo(8, 8))
    assert names(panel) == [f"{number}.jpg" for number in range(2, MAX_OPEN + 2)]
    thumbnails = {key for key in panel.widget.shown if key.startswith("photo")}
    assert thumbnails == {f"photo {number}" for number in panel.gallery.entries}
    assert panel.widget.messages == [f"1.jpg: is closed. {MAX_OPEN} photos are open at most."]


def test_a_message_about_the_shown_photo_counts_for_what_was_chosen_by_then(panel: Panel) -> None:
    for name in ("a.jpg", "b.jpg"):
        upload(panel, name, photo())
    panel.widget.crop = True
    send(panel, stroke(True, (0.5, 0.5)) | {"chosen": [["photo", 1], ["crop", False], ["background", "white"]]})
    assert (panel.widget.photo, panel.widget.crop, panel.widget.background) == (1, False, "white")
    assert [len(entry.edits) for entry in panel.gallery.entries.values()] == [1, 0]
    send(panel, {"type": "undo", "chosen": [["photo", 9]]})  # which was closed in the meantime
    assert (panel.widget.photo, panel.widget.edits) == (1, 0)


def test_a_model_of_ones_own_is_not_the_released_one_of_the_same_name(pet_model: Path, tmp_path: Path) -> None:
    segmenter, card = zoo.load(pet_model)
    own = tmp_path / "unet.safetensors"
    zoo.save(own, segmenter, replace(card, name="unet"))
    panel = Panel(str(own))
    upload(panel, "dog.jpg", photo())

    def logits() -> Any:
        entry = panel.gallery.current()
        assert entry is not None
        return entry.original.logits

    first = logits()
    panel.widget.model = "unet"
    assert not np.array_equal(logits(), first)
    panel.widget.model = str(own)
    assert np.array_equal(logits(), first)
    assert "unet" in [name for _, name in Panel(Predictor(str(own))).widget.models]
    assert Panel(Predictor(str(own))).widget.model == "unet (given)"


def test_another_model_segments_the_shown_photo_and_the_others_when_they_are_chosen(panel: Panel) -> None:
    for name in ("a.jpg", "b.jpg"):
        upload(panel, name, photo())
    panel.widget.model = "unet"
    assert [entry.result.model for entry in panel.gallery.entries.values()] == ["pet", "unet"]
    assert "segmented by unet" in panel.widget.caption
    panel.widget.photo = 1
    assert [entry.result.model for entry in panel.gallery.entries.values()] == ["unet", "unet"]


def test_another_model_keeps_strokes_and_what_is_transparent_in_the_photo(panel: Panel) -> None:
    file = BytesIO()
    Image.new("RGBA", (60, 40), (90, 90, 90, 100)).save(file, "PNG")
    upload(panel, "ghost.png", file.getvalue())
    send(panel, stroke(True, (0.25, 0.5), radius=0.1))
    send(panel, stroke(False, (0.75, 0.5), radius=0.1))
    for model in (panel.widget.model, "unet"):
        panel.widget.model = model
        assert (alpha(panel, 15, 20), alpha(panel, 45, 20), panel.widget.edits) == (100, 0, 2)
    assert "segmented by unet" in panel.widget.caption


def test_the_model_is_the_best_or_a_loaded_one_and_a_missing_one_is_one_sentence(pet_model: Path) -> None:
    assert segment_panel().model == zoo.best()
    predictor, missing = Predictor(str(pet_model)), Panel(str(pet_model))
    pet_model.unlink()
    for panel in (Panel(predictor), missing):
        upload(panel, "dog.jpg", photo())
        assert [("pet.safetensors" in sentence) for sentence in panel.widget.messages] == [True] * (panel is missing)


# --- What is shown ---------------------------------------------------------------------------------------------------


@pytest.fixture
def gallery() -> Gallery:
    """Shows a grey photo, a square in the middle of which is certainly a pet."""
    logits = np.zeros((3, 90, 120), dtype=np.float32)
    logits[BACKGROUND] = 50
    logits[:, 30:60, 40:80] = 0
    logits[PET, 30:60, 40:80] = 50
    gallery = Gallery(PanelWidget(lambda content, data: None))
    gallery.add("dog.jpg", Segmentation(Image.new("RGB", (1800, 1350), (90, 90, 90)), logits))
    gallery.show()
    return gallery


@pytest.mark.parametrize(
    ("trait", "value"),
    [("background", "white"), ("background", "blur"), ("color", "#ff0000"), ("edge", "looser"), ("shadow", True)],
)
def test_every_setting_of_the_cutout_changes_only_the_cutout(gallery: Gallery, trait: str, value: Any) -> None:
    widget = gallery._widget
    if trait == "color":
        widget.background = "color"
    before = dict(widget.shown)
    setattr(widget, trait, value)
    assert widget.shown["after"].data != before["after"].data
    assert all(widget.shown[key] is before[key] for key in before if key != "after")


def test_another_edge_computes_no_matte_again(gallery: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = Counter[str]()
    for module, name in ((matting, "matte"), (edge, "moved_edge")):
        original = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *given, f=original, n=name: calls.update([n]) or f(*given))
    gallery._widget.crop = True
    gallery._widget.edge = "looser"
    assert calls == {"moved_edge": 1}


def test_a_crop_shows_the_same_part_of_photo_and_cutout(gallery: Gallery) -> None:
    widget = gallery._widget
    for crop in (True, False):
        widget.crop = crop
        before, after = (Image.open(BytesIO(widget.shown[key].data)) for key in ("before", "after"))
        assert before.size == after.size
        assert np.allclose(np.divide(widget._size, before.size), 1800 / 1440, atol=0.02)  # in pixels of the photo
        assert (before.width < 600) == crop


@pytest.mark.slow
def test_a_file_shows_what_the_preview_shows_at_the_photos_size(gallery: Gallery) -> None:
    widget, (entry,) = gallery._widget, gallery.entries.values()
    widget.background, widget.color, widget.crop, widget.edge = "color", "#ff8800", True, "looser"
    assert entry.preview.photo.size == (1440, 1080)
    small = gallery.settings().draw(entry.preview)
    large = gallery.settings().draw(entry.result)
    assert np.allclose(np.divide(large.size, small.size), 5 / 4, atol=0.02)
    difference = np.asarray(large.resize(small.size)).astype(int) - np.asarray(small)
    assert np.abs(difference).mean() < 3


def stroke(keep: bool, *points: tuple[float, float], radius: float = 0.05) -> dict[str, Any]:
    return {"type": "stroke", "keep": keep, "radius": radius, "points": [list(point) for point in points]}


@pytest.fixture
def two_pets(pet_model: Path) -> Panel:
    """A panel that shows a grey photo, 200 x 100 pixels, with one certain pet on each side, and background between."""
    logits = np.full((3, 100, 200), -9, np.float32)
    logits[BACKGROUND] = 9
    logits[:, 30:70, 20:60] = logits[:, 30:60, 140:180] = np.reshape([9.0, -9.0, -9.0], (3, 1, 1))
    panel = Panel(str(pet_model))
    name = panel._predictor().card.name
    panel.gallery.add("two.jpg", Segmentation(Image.new("RGB", (200, 100), (90, 90, 90)), logits, model=name))
    return panel


def alpha(panel: Panel, x: int, y: int) -> int:
    entry = panel.gallery.current()
    assert entry is not None
    assert np.array_equal(entry.result.alpha, entry.preview.alpha)
    return int(entry.result.alpha[y, x])


def test_a_stroke_keeps_or_removes_what_it_covers_and_can_be_undone(two_pets: Panel) -> None:
    assert (alpha(two_pets, 100, 50), alpha(two_pets, 40, 50)) == (0, 255)
    send(two_pets, stroke(True, (0.45, 0.5), (0.55, 0.5)))
    assert (alpha(two_pets, 100, 50), two_pets.widget.edits) == (255, 1)
    send(two_pets, stroke(False, (0.5, 0.5)))
    assert alpha(two_pets, 100, 50) == 0  # of two strokes over a pixel the last one counts
    send(two_pets, stroke(False, (0.2, 0.5)))
    assert (alpha(two_pets, 40, 50), two_pets.widget.edits) == (0, 3)
    for edits in (2, 1, 0, 0):
        send(two_pets, {"type": "undo"})
        assert two_pets.widget.edits == edits
    assert (alpha(two_pets, 100, 50), alpha(two_pets, 40, 50)) == (0, 255)


def test_each_of_several_pets_can_be_left_out_and_brought_back(two_pets: Panel) -> None:
    assert two_pets.widget.pets == [True, True]
    send(two_pets, {"type": "pet", "index": 0, "shown": False})
    assert (alpha(two_pets, 40, 50), alpha(two_pets, 160, 45), two_pets.widget.pets) == (0, 255, [False, True])
    send(two_pets, {"type": "pet", "index": 1, "shown": False})
    assert two_pets.widget.notice.startswith("No pet found")
    send(two_pets, {"type": "pet", "index": 0, "shown": True})
    assert (alpha(two_pets, 40, 50), alpha(two_pets, 160, 45), two_pets.widget.pets) == (255, 0, [True, False])


def test_a_stroke_lands_where_it_was_painted_also_when_the_photo_is_cropped(two_pets: Panel) -> None:
    two_pets.widget.crop = True
    left, top, right, bottom = two_pets.gallery._before[1]
    send(two_pets, stroke(False, ((100 - left) / (right - left), (50 - top) / (bottom - top)), radius=0.01))
    send(two_pets, stroke(True, ((100 - left) / (right - left), (50 - top) / (bottom - top)), radius=0.03))
    assert alpha(two_pets, 100, 50) == 255
    two_pets.widget.correcting = True  # the brush sees the whole photo
    assert picture(two_pets, "before").size == (200, 100)


def test_zoom_shows_the_photo_at_its_own_size(gallery: Gallery) -> None:
    for sharp, size in ((True, (1800, 1350)), (False, (1440, 1080))):
        gallery._widget.sharp = sharp
        shown = [Image.open(BytesIO(gallery._widget.shown[key].data)).size for key in ("before", "after")]
        assert shown == [size, size]


@pytest.mark.parametrize(
    ("trait", "value"), [("sharp", True), ("opacity", 0.9), ("details", True), ("photo", 1), ("anyway", None)]
)
def test_what_cannot_be_drawn_is_a_sentence_whatever_asked_for_it(
    panel: Panel, monkeypatch: pytest.MonkeyPatch, trait: str, value: Any
) -> None:
    panel.widget.details = trait != "details"
    for _ in range(2):
        upload(panel, "dog.jpg", photo())

    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(display, "compared", fail)
    monkeypatch.setattr(display, "detail", fail)
    if trait == "anyway":
        send(panel, {"type": trait})
    else:
        setattr(panel.widget, trait, value)
    words = "dog.jpg: too large for the memory of this machine. Shrink it and try again."
    assert (panel.widget.messages, panel.widget.busy) == ([words], "")


def test_the_modules_of_the_front_are_one_module_without_two_names_alike(tmp_path: Path) -> None:
    script = source(*SCRIPTS)
    names = re.findall(r"^(?:async )?(?:function|class|const) (\w+)", script, flags=re.MULTILINE)
    assert [name for name, count in Counter(names).items() if count > 1] == []
    assert re.findall(r"^(?:import|export) .*", script, flags=re.MULTILINE) == ["export default { render };"]


def test_an_own_image_stands_behind_the_pet_and_may_be_replaced(panel: Panel) -> None:
    upload(panel, "dog.jpg", photo())
    for color in ("red", "lime"):
        file = BytesIO()
        Image.new("RGB", (9, 9), color).save(file, "PNG")
        upload(panel, f"{color}.png", file.getvalue(), purpose="background")
        assert (panel.widget.background, panel.widget.image_name) == ("image", f"{color}.png")
        background = panel.gallery.settings().background
        assert isinstance(background, Image.Image)
        assert background.getpixel((0, 0)) == Image.new("RGB", (1, 1), color).getpixel((0, 0))
        assert picture(panel, "after").mode == "RGB"
    upload(panel, "text.png", b"no image", purpose="background")
    assert [sentence[:9] for sentence in panel.widget.messages] == ["text.png:"]


def test_of_a_large_background_a_smaller_copy_is_kept(panel: Panel) -> None:
    upload(panel, "wide.png", photo(5000, 10, kind="PNG"), purpose="background")
    background = panel.gallery.settings().background
    assert isinstance(background, Image.Image)
    assert background.size == (4096, 8)


def test_details_are_drawn_only_when_they_are_unfolded_and_opacity_and_classes_change_the_overlay(panel: Panel) -> None:
    upload(panel, "dog.jpg", photo())
    assert set(panel.widget.shown) == {"photo 1", "before", "after"}
    panel.widget.details = True
    assert set(panel.widget.shown) == {"photo 1", "before", "after", "overlay", "mask", "confidence"}
    assert picture(panel, "mask").mode == "P"
    before = {key: shown.data for key, shown in panel.widget.shown.items()}
    panel.widget.opacity = 1.0
    assert panel.widget.shown["overlay"].data != before["overlay"]
    panel.widget.classes = []
    assert np.array_equal(picture(panel, "overlay"), picture(panel, "before"))
    assert all(panel.widget.shown[key].data == before[key] for key in before if key != "overlay")


def test_a_view_that_is_opened_later_gets_samples_and_pictures(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    upload(panel, "dog.jpg", photo())
    sent: list[Any] = []
    monkeypatch.setattr(panel.widget, "send", lambda content, buffers=(): sent.append(content))
    send(panel, {"type": "ready", "view": "b"})
    keys = [shown["key"] for content in sent for shown in content["pictures"]]
    assert keys == ["photo 1", "before", "after", *(f"sample {name}" for name in panel.widget.samples)]
    assert sent[0]["size"] == (60, 40)


def test_no_pixel_of_a_photo_is_in_what_a_notebook_saves(panel: Panel) -> None:
    panel.widget.details = True
    upload(panel, "dog.jpg", photo())
    upload(panel, "beach.png", photo(kind="PNG"), purpose="background")
    state = repr({key: value for key, value in panel.widget.get_state().items() if key not in ("_esm", "_css")})
    assert len(state) < 6_000
    assert "base64" not in state
    assert "JFIF" not in state


# --- Files go out ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "mode"), [("cutout", "RGBA"), ("copy", "RGBA"), ("overlay", "RGB"), ("mask", "P")])
def test_a_download_has_the_size_of_the_photo_and_its_name(
    panel: Panel, monkeypatch: pytest.MonkeyPatch, kind: str, mode: str
) -> None:
    upload(panel, "my dog.jpg", photo(1500, 1000))
    assert max(picture(panel, "before").size) < 1500
    name, data = saved(panel, monkeypatch, kind)
    image = Image.open(BytesIO(data))
    name_of = "cutout" if kind == "copy" else kind
    assert (name, image.size, image.mode) == (f"my dog.{name_of}.png", (1500, 1000), mode)


@pytest.mark.parametrize(
    ("background", "format", "name"),
    [
        ("transparent", "webp", "dog.cutout.webp"),
        ("transparent", "jpg", "dog.cutout.png"),
        ("image", "jpg", "dog.cutout.png"),  # no image was chosen yet
        ("white", "jpg", "dog.cutout.jpg"),
    ],
)
def test_a_download_has_the_chosen_format_and_a_jpeg_needs_a_background(
    panel: Panel, monkeypatch: pytest.MonkeyPatch, background: str, format: str, name: str
) -> None:
    upload(panel, "dog.jpg", photo())
    panel.widget.background, panel.widget.format = background, format
    assert saved(panel, monkeypatch)[0] == name


def test_the_cutouts_of_all_open_photos_are_one_zip(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("rex.jpg", "Rex.png"):
        upload(panel, name, photo())
    name, data = saved(panel, monkeypatch, "all")
    assert name == "petseg-cutouts.zip"
    with ZipFile(BytesIO(data)) as archive:
        assert archive.namelist() == ["rex.cutout.png", "Rex-2.cutout.png"]


@pytest.mark.parametrize("good", [{"good.jpg"}, set()])
def test_a_cutout_that_fails_is_named_and_the_others_are_in_the_zip(
    panel: Panel, monkeypatch: pytest.MonkeyPatch, good: set[str]
) -> None:
    for name in ("good.jpg", "bad.jpg"):
        upload(panel, name, photo())
    draw = display.file

    def file(name: str, *values: Any) -> tuple[str, bytes]:
        if name in good:
            return draw(name, *values)
        raise PhotoError(f"{name}: too wide.")

    monkeypatch.setattr(display, "file", file)
    name, data = saved(panel, monkeypatch, "all")
    assert [f"{n}: too wide." for n in ("good.jpg", "bad.jpg") if n not in good] == panel.widget.messages
    assert name == ("petseg-cutouts.zip" if good else "")
    if good:
        with ZipFile(BytesIO(data)) as archive:
            assert archive.namelist() == ["good.cutout.png"]
