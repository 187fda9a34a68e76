"""The notebook panel without a browser: what it does when messages arrive from one."""

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from itertools import zip_longest

import numpy as np
import pytest
from PIL import Image

from petseg.apps.panel.browser import DropZone, Pictures
from petseg.apps.panel.panel import MAX_OPEN, Panel, segment_panel
from petseg.apps.panel.sources import sample_choices, typed_photo
from petseg.apps.samples import sample_photos
from petseg.errors import PhotoError
from petseg.inference.predictor import Predictor


@pytest.fixture
def panel(small_model):
    return Panel(str(small_model))


def photo(width=60, height=40, seed=0, kind="JPEG", **options):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    file = BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def messages(name, data, index=1, of=1, part=1000, view="a"):
    """What a view sends when a file is chosen: one message and its buffer per part."""
    pieces = [data[start : start + part] for start in range(0, len(data), part)] or [b""]
    for number, piece in enumerate(pieces):
        about = {"type": "part", "part": number, "parts": len(pieces), "name": name, "index": index, "of": of}
        yield {**about, "view": view}, [memoryview(piece)]


def send(panel, name, data, *batch):
    for content, buffers in messages(name, data, *batch):
        panel.view.zone._handle_custom_msg(content, buffers)


def picture(panel, key):
    return Image.open(BytesIO(panel.view.pictures.shown[key].data))


def test_an_uploaded_photo_is_shown_with_legend_and_caption(panel):
    send(panel, "my <b>dog.jpg", photo())
    assert list(panel.view.pictures.shown) == ["photo", "overlay", "mask", "cut-out", "confidence"]
    assert picture(panel, "cut-out").mode == "RGBA"
    assert all(picture(panel, key).size == (60, 40) for key in panel.view.pictures.shown)
    assert "my &lt;b&gt;dog.jpg: 60 x 40 pixels" in panel.view.legend.value
    assert panel.view.messages.value == panel.view.status.value == ""
    assert panel.view.results.layout.display == ""


def test_the_result_is_that_of_the_predictor(panel, small_model):
    data = photo(seed=3)
    send(panel, "dog.jpg", data)
    assert np.array_equal(panel._entries[0].result.mask, Predictor(str(small_model))(data).mask)


def test_a_phone_photo_is_shown_upright(panel):
    note = Image.Exif()
    note[0x0112] = 6
    send(panel, "phone.jpg", photo(60, 40, exif=note))
    assert picture(panel, "photo").size == (40, 60)


@pytest.mark.parametrize(
    ("data", "words"), [(b"Dear diary", "not an image"), (b"", "the file is empty"), (photo(300, 300)[:5000], "")]
)
def test_a_bad_file_gets_one_sentence_and_the_panel_lives_on(panel, data, words):
    send(panel, "bad.jpg", data)
    assert panel.view.messages.value.count("<div") == 1
    assert f"bad.jpg: {words}" in panel.view.messages.value
    assert "Traceback" not in panel.view.messages.value
    send(panel, "good.jpg", photo())
    assert panel.view.messages.value == ""
    assert panel.view.pictures.shown


def test_bad_files_of_a_batch_are_all_named_and_the_good_ones_shown(panel):
    for index, (name, data) in enumerate({"a.jpg": b"no", "b.jpg": photo(), "c.jpg": b""}.items(), start=1):
        send(panel, name, data, index, 3)
    assert panel.view.messages.value.count("<div") == 2
    assert [entry.name for entry in panel._entries] == ["b.jpg"]


def test_the_same_file_can_be_uploaded_twice(panel):
    for _ in range(2):
        send(panel, "dog.jpg", photo())
    assert [label for label, _ in panel.view.entry.options] == ["1. dog.jpg", "2. dog.jpg"]
    assert panel.view.entry.layout.display == ""


def test_only_the_last_photos_stay_open(panel):
    for number in range(MAX_OPEN + 2):
        send(panel, f"{number}.jpg", photo(8, 8))
    assert [entry.name for entry in panel._entries] == [f"{number}.jpg" for number in range(2, MAX_OPEN + 2)]


def test_choosing_an_earlier_photo_shows_it_again(panel):
    send(panel, "wide.jpg", photo(60, 40))
    send(panel, "high.jpg", photo(30, 50))
    panel.view.entry.value = 0
    assert picture(panel, "photo").size == (60, 40)


def test_an_upload_that_broke_off_leaves_nothing_in_the_next(panel):
    data = photo()
    panel.view.zone._handle_custom_msg(
        {"type": "part", "part": 0, "parts": 9, "name": "half.jpg", "view": "a"}, [data[:500]]
    )
    send(panel, "whole.jpg", data)
    assert [entry.name for entry in panel._entries] == ["whole.jpg"]


def test_two_views_of_one_panel_can_upload_at_once(panel):
    photos = {"wide.jpg": photo(60, 40), "high.jpg": photo(30, 50)}
    first, second = (messages(name, photos[name], view=name) for name in photos)
    for pair in zip_longest(first, second):
        for message in filter(None, pair):
            panel.view.zone._handle_custom_msg(*message)
    assert panel.view.messages.value == ""
    sizes = {entry.name: entry.result.photo.size for entry in panel._entries}
    assert sizes == {"wide.jpg": (60, 40), "high.jpg": (30, 50)}


def test_a_file_too_large_to_upload_gets_a_hint_at_the_path_box(panel):
    panel.view.zone._handle_custom_msg({"type": "too large", "size": 90_000_000, "name": "huge.tif"}, [])
    assert "huge.tif: 90 MB; at most 64 MB are uploaded. Type its path into the box below." in panel.view.messages.value


def test_opacity_and_class_switches_change_the_overlay_alone(panel):
    send(panel, "dog.jpg", photo())
    before = {key: shown.data for key, shown in panel.view.pictures.shown.items()}
    panel.view.opacity.value = 1.0
    assert panel.view.pictures.shown["overlay"].data != before["overlay"]
    for box in panel.view.classes.values():
        box.value = False
    assert np.array_equal(picture(panel, "overlay"), picture(panel, "photo"))
    assert all(panel.view.pictures.shown[key].data == before[key] for key in before if key != "overlay")


def test_another_background_stands_behind_the_cut_out(panel):
    send(panel, "dog.jpg", photo())
    panel.view.background.value = "blur"
    assert picture(panel, "cut-out").mode == "RGB"
    panel.view.background.value = "transparent"
    assert picture(panel, "cut-out").mode == "RGBA"


def test_downloads_have_the_size_of_the_photo_and_its_name(panel, monkeypatch):
    saved = {}
    monkeypatch.setattr(panel.view.pictures, "save", lambda name, data: saved.update({name: data}))
    send(panel, "my dog.jpg", photo(1500, 1000))
    assert max(picture(panel, "photo").size) < 1500
    for button in panel.view.downloads.values():
        button.click()
    assert list(saved) == ["my dog.overlay.png", "my dog.mask.png", "my dog.cutout.png"]
    opened = {name: Image.open(BytesIO(data)) for name, data in saved.items()}
    assert {image.size for image in opened.values()} == {(1500, 1000)}
    assert [image.mode for image in opened.values()] == ["RGB", "P", "RGBA"]


def test_another_model_segments_the_photo_once_more(panel):
    send(panel, "dog.jpg", photo())
    panel.view.model.value = "unet"
    assert panel._entries[0].result.model == "unet"
    assert "segmented by unet" in panel.view.legend.value


def test_a_model_that_is_gone_is_one_sentence(small_model):
    panel = Panel(str(small_model))
    small_model.unlink()
    send(panel, "dog.jpg", photo())
    assert panel.view.messages.value.count("<div") == 1
    assert "small.safetensors" in panel.view.messages.value


def test_a_sample_can_be_tried_twice(panel):
    for _ in range(2):
        panel.view.sample.value = "Chelsea the cat"
    assert [entry.name for entry in panel._entries] == ["Chelsea the cat"] * 2


def test_samples_of_the_data_set_are_offered_by_breed_where_it_is(tmp_path):
    for name in ("Bengal_1", "Bengal_2", "saint_bernard_7"):
        (tmp_path / f"{name}.jpg").write_bytes(photo())
    offered = sample_choices(tmp_path)
    assert list(offered)[-2:] == ["Bengal (data set)", "saint bernard (data set)"]
    assert offered["saint bernard (data set)"]() == tmp_path / "saint_bernard_7.jpg"
    assert list(sample_choices(tmp_path / "absent")) == list(sample_photos())


def test_a_path_typed_in_is_opened_once_although_box_and_button_both_ask(panel, tmp_path):
    (tmp_path / "a dog.png").write_bytes(photo(kind="PNG"))
    panel.view.path.value = f'"{tmp_path}/a dog.png"'
    panel.view.open.click()
    assert [entry.name for entry in panel._entries] == ["a dog.png"]
    panel.view.path.value = str(tmp_path / "cat.png")
    assert "cat.png: no such file" in panel.view.messages.value


def test_an_address_is_fetched_and_one_that_is_not_there_is_a_sentence(tmp_path):
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    (tmp_path / "dog.jpg").write_bytes(photo())
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    try:
        assert typed_photo(f" {address}/dog.jpg?size=1 ") == ("dog.jpg", photo())
        with pytest.raises(PhotoError, match=r"cat.jpg: cannot be fetched .*not found"):
            typed_photo(f"{address}/cat.jpg")
    finally:
        server.shutdown()


def test_no_pixel_of_a_photo_is_in_what_a_notebook_saves(panel):
    send(panel, "dog.jpg", photo())
    widgets = [
        panel.view.zone,
        panel.view.pictures,
        panel.view.legend,
        panel.view.status,
        panel.view.messages,
        panel.view.entry,
        panel.view.path,
    ]
    kept = repr([widget.get_state() for widget in widgets if not isinstance(widget, (DropZone, Pictures))])
    kept += repr([{k: v for k, v in w.get_state().items() if k not in ("_esm", "_css")} for w in widgets[:2]])
    assert len(kept) < 12_000
    assert "base64" not in kept
    assert "JFIF" not in kept


def test_a_view_that_comes_later_gets_the_pictures_again(panel, monkeypatch):
    send(panel, "dog.jpg", photo())
    sent = []
    monkeypatch.setattr(
        panel.view.pictures, "send", lambda content, buffers=None: sent.append((content["type"], len(buffers)))
    )
    panel.view.pictures._handle_custom_msg({"type": "ready", "view": "b"}, [])
    assert sent == [("show", 5)]


def test_the_cell_shows_one_widget():
    assert type(segment_panel()).__name__ == "VBox"


def test_a_predictor_that_is_loaded_already_is_used(small_model):
    predictor = Predictor(str(small_model))
    panel = Panel(predictor)
    send(panel, "dog.jpg", photo())
    assert panel._predictors == {"small": predictor}


def animation():
    file = BytesIO()
    frames = [Image.new("RGB", (30, 20), color) for color in ("white", "black")]
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    return file.getvalue()


def test_what_is_worth_knowing_of_a_photo_is_said_beside_its_result(panel, recwarn):
    for _ in range(2):
        send(panel, "moving.gif", animation())
        assert panel.view.messages.value.count('<div role="alert">moving.gif: ') == 1
    assert list(panel.view.pictures.shown)
    assert not recwarn.list
    send(panel, "still.jpg", photo())
    assert panel.view.messages.value == ""
