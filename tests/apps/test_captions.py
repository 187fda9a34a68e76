"""What panel and web app say of a photo."""

from __future__ import annotations

import pytest

from petseg.apps import captions
from petseg.errors import ModelError, PhotoError


def test_the_legend_names_each_class_with_its_fraction_and_hatches_the_boundary_alone() -> None:
    html = captions.legend({"pet": 0.25, "background": 0.5, "boundary": 0.25})
    swatches = html.split("</span>")
    assert [text in html for text in ("pet 25.0%", "background 50.0%", "boundary 25.0%")] == [True] * 3
    assert ["repeating-linear-gradient" in swatch for swatch in swatches if "background:" in swatch] == [
        False,
        False,
        True,
    ]


@pytest.mark.parametrize(
    ("photo", "expected"),
    [
        ("my dog.jpg", "my dog.cutout.png"),
        (r"C:\photos\cat.v2.jpeg", "cat.v2.cutout.png"),
        ("../../etc/passwd", "passwd.cutout.png"),
        ("Käse?.png", "Käse_.cutout.png"),
        ("...", "photo.cutout.png"),
    ],
)
def test_a_download_is_named_after_its_photo(photo: str, expected: str) -> None:
    assert captions.file_name(photo, "cutout") == expected


def test_the_name_of_a_download_has_its_format_and_at_most_255_bytes() -> None:
    assert captions.file_name("rex.jpg", "cutout", "webp") == "rex.cutout.webp"
    long = captions.file_name("ü" * 300 + ".jpg", "confidence", "webp")
    assert 250 <= len(long.encode()) <= 255
    assert long.endswith(".confidence.webp")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (PhotoError("a.jpg: the file is empty."), "a.jpg: the file is empty."),
        (ModelError("unet: damaged."), "unet: damaged."),
        (MemoryError(), "a.jpg: too large for the memory of this machine. Shrink it and try again."),
        (KeyError("x"), "a.jpg: could not be segmented (KeyError: 'x'). Try another photo."),
    ],
)
def test_every_error_is_a_sentence(error: Exception, expected: str) -> None:
    assert captions.sentence(error, "a.jpg") == expected
