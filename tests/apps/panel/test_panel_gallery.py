"""The pictures of the photo that is shown."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

from petseg.apps.panel.gallery import Gallery
from petseg.apps.panel.widget import PanelWidget
from petseg.inference.segmentation import Segmentation
from petseg.labels import BACKGROUND, PET


@pytest.fixture
def gallery() -> Gallery:
    """Shows a grey photo, a square in the middle of which is certainly a pet."""
    logits = np.zeros((3, 90, 120), dtype=np.float32)
    logits[BACKGROUND] = 50
    logits[:, 30:60, 40:80] = 0
    logits[PET, 30:60, 40:80] = 50
    gallery = Gallery(PanelWidget(lambda content, buffers: None))
    gallery.add("dog.jpg", Segmentation(Image.new("RGB", (1800, 1350), (90, 90, 90)), logits))
    gallery.show()
    return gallery


@pytest.mark.parametrize(
    ("trait", "value"),
    [("background", "white"), ("background", "blur"), ("color", "#ff0000"), ("grow", 3.0), ("feather", 5.0)],
)
def test_every_setting_of_the_cutout_changes_the_cutout_alone(gallery: Gallery, trait: str, value: Any) -> None:
    widget = gallery._widget
    if trait == "color":
        widget.background = "color"
    before = dict(widget.shown)
    setattr(widget, trait, value)
    assert widget.shown["after"].data != before["after"].data
    assert all(widget.shown[key] is before[key] for key in before if key != "after")


def test_a_file_shows_what_the_preview_shows_at_the_photos_size(gallery: Gallery) -> None:
    widget, (entry,) = gallery._widget, gallery.entries
    widget.background, widget.color, widget.crop, widget.grow = "color", "#ff8800", True, 4.0
    assert entry.preview.photo.size == (1440, 1080)
    small = gallery.settings().draw(entry.preview)
    large = gallery.settings().draw(entry.result)
    assert np.allclose(np.divide(large.size, small.size), 5 / 4, atol=0.02)
    difference = np.asarray(large.resize(small.size)).astype(int) - np.asarray(small)
    assert np.abs(difference).mean() < 3
