"""What panel and web app show of a photo: pictures, texts, downloads, the comparison, samples."""

import base64
import re
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image

from petseg.apps import display, names
from petseg.apps.cutouts import CutoutSettings
from petseg.inference.segmentation import Segmentation
from petseg.labels import BACKGROUND, BOUNDARY, PET


def halves(left: int, right: int, size: tuple[int, int] = (40, 20), logit: float = 50) -> Segmentation:
    """A grey photo whose left half is one class and whose right half is another."""
    logits = np.zeros((3, 20, 40), dtype=np.float32)
    logits[left, :, :20] = logit
    logits[right, :, 20:] = logit
    return Segmentation(Image.new("RGB", size, (90, 90, 90)), logits)


def test_the_web_app_has_the_words_and_colours_of_panel_and_live_page():
    here = Path(display.__file__).parent
    app, front = (
        "".join(path.read_text(encoding="utf-8") for path in (here / folder).iterdir() if path.is_file())
        for folder in ("webapp", "front")
    )
    words = [
        "Drop photos of your pet here",
        "Or try:",
        "Download",
        "Download all (ZIP)",
        "Background",
        "Edge",
        "File format",
    ]
    words += ["Colour of the background", "Crop to the pet", "Soft shadow", "Pets, from left to right"]
    words += ["Correct", "Paint over what to", "Keep", "Remove", "Brush size", "Undo", "Show it anyway"]
    words += ["Details: overlay, class map, confidence", "Overlay", "Class map", "Confidence: light is sure"]
    assert [text for text in words if f'"{text}' not in app and f">{text}<" not in app] == []
    assert [text for text in words if f'"{text}"' not in front] == []
    swatches = re.findall(r'\["([\w ]+)", "(#\w{6})"\]', front)
    assert swatches == [(name, color) for color, name in re.findall(r'(#\w{6})" title="([\w ]+)"', app)]


def test_the_boundary_has_lines_on_the_screen_and_none_in_the_file():
    result = halves(PET, BOUNDARY)
    shown, plain = np.asarray(display.hatched_mask(result)), np.asarray(result.mask_image())
    assert set(np.unique(plain)) == {PET, BOUNDARY}
    assert np.array_equal(np.where(shown == 3, BOUNDARY, shown), plain)
    assert 0.1 < np.mean(shown[:, 20:] == 3) < 0.25


def test_confidence_is_light_where_the_model_is_sure_and_dark_where_it_guesses():
    sure = np.asarray(display.confidence(halves(PET, BACKGROUND)))
    guess = np.asarray(display.confidence(halves(PET, BACKGROUND, logit=0)))
    assert tuple(sure[0, 0]) == display.CONFIDENCE[2]
    assert tuple(guess[0, 0]) == display.CONFIDENCE[0]


def test_a_preview_is_smaller_and_keeps_the_proportions():
    large = halves(PET, BACKGROUND, (4000, 2000))
    assert display.preview(large, 100).photo.size == (100, 50)
    assert display.preview(large, 4000) is large


@pytest.mark.parametrize(
    ("mode", "width", "kind", "format"),
    [
        ("RGB", 65500, "jpeg", "JPEG"),
        ("RGB", 65501, "png", "PNG"),
        ("RGBA", 16383, "webp", "WEBP"),
        ("RGBA", 16384, "png", "PNG"),
        ("P", 40, "png", "PNG"),
    ],
)
def test_a_picture_in_a_page_keeps_its_transparency_and_its_palette_however_long_it_is(mode, width, kind, format):
    start, _, data = display.data_uri(Image.new(mode, (width, 20))).partition(",")
    assert start == f"data:image/{kind};base64"
    with Image.open(BytesIO(base64.b64decode(data))) as image:
        assert (image.format, image.mode, image.size) == (format, mode, (width, 20))


def test_the_legend_names_each_class_with_its_fraction_and_hatches_only_the_boundary():
    html = display.legend({"pet": 0.25, "background": 0.5, "boundary": 0.25})
    assert all(text in html for text in ("pet 25.0%", "background 50.0%", "boundary 25.0%"))
    swatches = [part for part in html.split("</span>") if "background:" in part]
    assert ["repeating-linear-gradient" in swatch for swatch in swatches] == [False, False, True]


@pytest.mark.parametrize(
    ("photo", "expected"),
    [
        ("my dog.jpg", "my dog.cutout.webp"),
        (r"C:\photos\cat.v2.jpeg", "cat.v2.cutout.webp"),
        ("../../etc/passwd", "passwd.cutout.webp"),
        ("Käse?.png", "Käse_.cutout.webp"),
        ("...", "photo.cutout.webp"),
        ("aux.v2.jpg", "_aux.v2.cutout.webp"),  # Windows refuses aux
    ],
)
def test_a_download_is_named_after_its_photo_in_at_most_255_bytes(photo, expected):
    assert names.file_name(photo, "cutout", "webp") == expected
    long = names.file_name("ü" * 300 + ".jpg", "confidence", "webp")
    assert 250 <= len(long.encode()) <= 255
    assert long.endswith(".confidence.webp")


def zipped(*files: str) -> list[str]:
    """Names in a ZIP file of pictures with these names, whose contents are checked."""
    file = BytesIO()
    names.write_archive(file, ((name, name.encode()) for name in files))
    with ZipFile(file) as archive:
        assert [archive.read(info) for info in archive.infolist()] == [name.encode() for name in files]
        return archive.namelist()


def test_equal_names_in_a_zip_get_numbers_also_where_only_some_file_system_takes_them_for_equal():
    files = zipped(
        "rex.cutout.png", "Rex.cutout.png", "rex.cutout.png", "rex-2.cutout.png", "jo\u0308.a.png", "jö.a.png"
    )
    assert files[:3] == ["rex.cutout.png", "Rex-2.cutout.png", "rex-3.cutout.png"]
    assert files[4:] == ["jo\u0308.a.png", "jö-2.a.png"]
    assert len({name.casefold() for name in files}) == 6
    long = zipped(*["ü" * 122 + ".cutout.png"] * 3)
    assert len(set(long)) == 3
    assert max(len(name.encode()) for name in long) <= 255


def test_a_comparison_says_what_stands_behind_the_pet():
    logits = np.zeros((3, 8, 8), np.float32)
    logits[0] = 50
    result = Segmentation(Image.new("RGB", (60, 40)), logits)
    own = Image.new("RGB", (8, 8))
    for background, words in ((None, "a transparent background"), ("white", "white"), (own, "an image of your own")):
        shown = display.compared("rex.jpg", result, CutoutSettings(background))
        assert shown.before[1] == "The photo rex.jpg"
        assert shown.after is not None
        assert shown.after[1] == f"The pet of rex.jpg, cut out, on {words}"


def test_a_comparison_has_both_pictures_with_their_texts_and_a_slider_with_a_name():
    html = display.comparison(("a.jpg", 'The "photo" <b>.jpg'), ("b.webp", "The cut-out"), (300, 200), line=0.25)
    images = re.findall(r'<img src="(.*?)" alt="(.*?)"', html)
    assert images == [("b.webp", "The cut-out"), ("a.jpg", "The &quot;photo&quot; &lt;b&gt;.jpg")]
    (slider,) = re.findall(r'<input .*type="range" .*value="25.0" .*>', html)
    assert 'aria-label="Move the line between photo and cut-out"' in slider
    assert "--petseg-position" in slider
    assert "<script" not in html
    assert 'style="--petseg-ratio:1.50000;--petseg-position:25.0%"' in html  # its space, and where its line begins
    classes = set(" ".join(re.findall(r'class="(.*?)"', html)).split())
    assert classes
    assert all(name.startswith("petseg-") and f".{name}" in display.source("comparison.css") for name in classes)


def test_every_sample_has_a_small_square_to_click():
    thumbnails = display.sample_thumbnails()
    assert list(thumbnails) == list(display.sample_photos())
    for address in thumbnails.values():
        start, _, data = address.partition(",")
        assert start == "data:image/jpeg;base64"
        assert len(data) < 12_000
        with Image.open(BytesIO(base64.b64decode(data))) as image:
            assert image.size == (128, 128)
