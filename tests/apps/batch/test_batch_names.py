"""Names of results: one for each photo, whatever the photos are called."""

from __future__ import annotations

import os
import unicodedata
from itertools import permutations
from pathlib import Path

from petseg.apps.batch.names import result_names
from petseg.apps.batch.photos import RESULT_ENDINGS

OUT = Path("/out")


def names(*photos: str, out: Path = OUT) -> list[str]:
    return result_names([Path(photo) for photo in photos], out)


def test_a_photo_keeps_its_stem_where_no_other_has_it() -> None:
    assert names("/p/cat.jpg", "/p/dog.of.mine.png", "/p/Käfer 猫.heic", "/p/none") == [
        "cat",
        "dog.of.mine",
        "Käfer 猫",
        "none",
    ]


def test_photos_of_one_stem_are_told_by_format_then_by_folder_then_by_a_hash() -> None:
    assert names("/p/cat.jpg", "/p/cat.png") == ["cat_jpg", "cat_png"]
    assert names("/p/cat.jpg", "/q/cat.jpg", "/q/cat.png") == ["p_cat_jpg", "q_cat_jpg", "cat_png"]
    first, second = names("/1/p/cat.jpg", "/2/p/cat.jpg")
    assert first != second
    assert {first[:4], second[:4]} == {"cat-"}
    assert {len(first), len(second)} == {len("cat-12345678")}


def test_the_order_of_the_photos_does_not_change_their_names() -> None:
    photos = ["/1/p/cat.jpg", "/2/p/cat.jpg", "/p/cat.png", "/p/Cat.PNG", "/p/cat_png.jpg"]
    given = dict(zip(photos, names(*photos), strict=True))
    for order in permutations(photos):
        assert dict(zip(order, names(*order), strict=True)) == given


def test_a_stem_of_its_own_goes_before_a_name_made_up_for_another_photo() -> None:
    photos = ("/p/cat.jpg", "/p/cat.png", "/p/cat_jpg.png")
    given = names(*photos)
    assert given[1:] == ["cat_png", "cat_jpg"]
    assert given[0] == "p_cat_jpg"


def test_names_that_some_file_system_takes_for_one_stay_apart() -> None:
    composed, decomposed = (unicodedata.normalize(form, "é") for form in ("NFC", "NFD"))
    assert composed != decomposed
    pairs = [("/p/Cat.jpg", "/p/cat.jpg"), (f"/p/{composed}.jpg", f"/p/{decomposed}.jpg"), ("/p/A.jpg", "/q/a.jpg")]
    for pair in pairs:
        first, second = (unicodedata.normalize("NFC", name).casefold() for name in names(*pair))
        assert first != second


def test_no_result_has_a_name_of_more_than_255_bytes_and_none_is_lost() -> None:
    stems = ["x" * 250, "x" * 249 + "y", "猫" * 83, "猫" * 82 + "犬", "x" * 242]
    given = names(*(f"/p/{stem}.jpg" for stem in stems), f"/p/{'x' * 250}.png", f"/q/{'猫' * 83}.jpg")
    assert len(set(given)) == 7
    assert given[4] == "x" * 242  # just short enough
    for name in given:
        assert max(len(os.fsencode(name + ending)) for ending in RESULT_ENDINGS) <= 255
    assert given[3].startswith("猫" * 77)
    assert "\ufffd" not in given[3]


def test_no_photo_is_overwritten_by_a_result() -> None:
    photos = ("/out/cat.jpg", "/out/cat.cutout.png", "/out/dog.png")
    given = names(*photos)
    assert given[2] == "dog"
    results = {str(OUT / f"{name}{ending}") for name in given for ending in RESULT_ENDINGS}
    assert not results & set(photos)
    assert len(set(given)) == 3


def test_names_of_bytes_that_are_no_text_are_kept_apart() -> None:
    photos = [os.fsdecode(b"/p/\xff.jpg"), os.fsdecode(b"/p/\xfe.jpg"), os.fsdecode(b"/p/" + b"\xff" * 248 + b".jpg")]
    assert len(set(names(*photos))) == 3


def test_hundreds_of_photos_from_many_cameras_have_as_many_names() -> None:
    photos = [f"/{disk}/{folder}/IMG_{n}.jpg" for disk in "ab" for folder in ("x", "y") for n in range(100)]
    assert len(set(names(*photos))) == 400
