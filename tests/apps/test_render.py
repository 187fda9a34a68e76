"""The pictures that panel and web app share."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from petseg.apps import render
from petseg.apps.render import RenderSettings
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


def test_the_chosen_colour_stands_behind_the_pet() -> None:
    image = np.asarray(render.on_background(halves(PET, BACKGROUND), "colour", "#ff8800"))
    assert tuple(image[10, 0]) == (90, 90, 90)
    assert tuple(image[10, -1]) == (255, 136, 0)


def test_a_preview_is_smaller_and_keeps_the_proportions() -> None:
    large = halves(PET, BACKGROUND, (4000, 2000))
    assert render.preview(large, 100).photo.size == (100, 50)
    assert render.preview(large, 4000) is large


@pytest.mark.parametrize(
    ("kind", "settings", "words"),
    [
        ("shadow", RenderSettings(), "'shadow': expected photo, overlay, mask, cutout or confidence"),
        ("cutout", RenderSettings(background="moon"), "background 'moon': expected one of transparent, colour, blur"),  # type: ignore[arg-type]
        ("cutout", RenderSettings(background="colour", color="#ff"), "colour '#ff': not a colour"),
        ("overlay", RenderSettings(opacity=2), "opacity 2: expected 0"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_a_sentence(kind: str, settings: RenderSettings, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        render.draw(halves(PET, BACKGROUND), kind, settings)
