"""Sample photos and their thumbnails."""

from __future__ import annotations

import base64
from io import BytesIO

from PIL import Image

from petseg.apps.samples import sample_photos, sample_thumbnails


def test_every_sample_has_a_small_square_to_click() -> None:
    thumbnails = sample_thumbnails()
    assert list(thumbnails) == list(sample_photos())
    for address in thumbnails.values():
        start, _, data = address.partition(",")
        assert start == "data:image/jpeg;base64"
        assert len(data) < 12_000
        with Image.open(BytesIO(base64.b64decode(data))) as image:
            assert image.size == (128, 128)
