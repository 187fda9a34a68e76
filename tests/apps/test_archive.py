"""Several pictures as one ZIP file."""

from __future__ import annotations

from io import BytesIO
from zipfile import ZipFile

from petseg.apps.archive import write_archive


def names_of(*names: str) -> list[str]:
    file = BytesIO()
    write_archive(file, ((name, name.encode()) for name in names))
    with ZipFile(file) as archive:
        assert archive.testzip() is None
        assert [archive.read(info) for info in archive.infolist()] == [name.encode() for name in names]
        return archive.namelist()


def test_names_that_some_file_system_takes_for_one_get_numbers() -> None:
    given = names_of("rex.cutout.png", "Rex.cutout.png", "rex.cutout.png", "rex-2.cutout.png", "jo\u0308.png", "jö.png")
    assert given[0] == "rex.cutout.png"
    assert len({name.casefold() for name in given}) == 6
    assert given[1:3] == ["Rex-2.cutout.png", "rex-3.cutout.png"]
    assert given[4:] == ["jo\u0308.png", "jö-2.png"]


def test_numbered_names_are_no_longer_than_255_bytes() -> None:
    long = "ü" * 122 + ".cutout.png"
    given = names_of(long, long, long)
    assert len(set(given)) == 3
    assert max(len(name.encode()) for name in given) <= 255
