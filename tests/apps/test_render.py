"""The pictures that panel and web app share."""

from __future__ import annotations

import base64
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from petseg.apps import render
from petseg.inference.segmentation import Segmentation
from petseg.labels import BACKGROUND, BOUNDARY, PET


def halves(left: int, right: int, size: tuple[int, int] = (40, 20), certainty: float = 50) -> Segmentation:
    """A grey photo whose left half is certainly one class and whose right half another."""
    logits = np.zeros((3, 20, 40), dtype=np.float32)
    logits[left, :, :20] = certainty
    logits[right, :, 20:] = certainty
    return Segmentation(Image.new("RGB", size, (90, 90, 90)), logits)


def test_the_boundary_of_the_mask_on_the_screen_has_lines_and_the_file_has_none() -> None:
    result = halves(PET, BOUNDARY)
    shown, plain = np.asarray(render.hatched_mask(result)), np.asarray(result.mask_image())
    assert set(np.unique(plain)) == {PET, BOUNDARY}
    assert np.array_equal(np.where(shown == 3, BOUNDARY, shown), plain)
    assert 0.1 < np.mean(shown[:, 20:] == 3) < 0.25


def test_confidence_is_light_where_the_model_is_sure_and_dark_where_it_guesses() -> None:
    sure = np.asarray(render.confidence(halves(PET, BACKGROUND)))
    guess = np.asarray(render.confidence(halves(PET, BACKGROUND, certainty=0)))
    assert tuple(sure[0, 0]) == render.CONFIDENCE[2]
    assert tuple(guess[0, 0]) == render.CONFIDENCE[0]


def test_a_preview_is_smaller_and_keeps_the_proportions() -> None:
    large = halves(PET, BACKGROUND, (4000, 2000))
    assert render.preview(large, 100).photo.size == (100, 50)
    assert render.preview(large, 4000) is large


@pytest.mark.parametrize(
    ("mode", "kind", "format"), [("RGB", "jpeg", "JPEG"), ("RGBA", "webp", "WEBP"), ("P", "png", "PNG")]
)
def test_a_picture_in_a_page_keeps_its_transparency_and_its_palette(mode: str, kind: str, format: str) -> None:
    start, _, data = render.data_uri(Image.new(mode, (40, 20))).partition(",")
    assert start == f"data:image/{kind};base64"
    with Image.open(BytesIO(base64.b64decode(data))) as image:
        assert (image.format, image.mode, image.size) == (format, mode, (40, 20))
