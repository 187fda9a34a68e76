"""The open photos of a panel, and the pictures of the one that is shown."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from io import BytesIO
from itertools import count
from typing import Any, Final, Self
from zipfile import ZipFile

from PIL import Image, ImageOps

from petseg.apps import display
from petseg.apps.cutouts import CutoutSettings, no_pet
from petseg.apps.edits import Edit, edited, shown_pets
from petseg.apps.names import write_archive
from petseg.apps.panel.widget import PanelWidget
from petseg.errors import PhotoError
from petseg.inference.segmentation import Segmentation

#: Photos that stay open; the oldest is closed first. Each takes 3 to 5 bytes per pixel.
MAX_OPEN: Final = 8

THUMBNAIL: Final = 128  # pixels

#: Traits that change the cut-out, and those that change the overlay.
CUTOUT: Final = ("background", "color", "crop", "edge", "shadow", "sharp", "correcting")
OVERLAY: Final = ("opacity", "classes")


@dataclass(frozen=True)
class Entry:
    """An open photo."""

    name: str
    model: str  # by its name in the panel
    original: Segmentation  # what the model found
    edits: tuple[Edit, ...]  # corrections by hand
    result: Segmentation  # the original after the edits
    preview: Segmentation  # a small copy of the result, which is fast to redraw

    @classmethod
    def of(cls, name: str, model: str, original: Segmentation, edits: tuple[Edit, ...] = ()) -> Self:
        """The photo after some edits, which are followed on its small copy."""
        preview = edited(display.preview(original), edits)
        result = replace(original, logits=preview.logits, pet_probability=preview.pet_probability)
        return cls(name, model, original, edits, result, preview)


class Gallery:
    """Shows one of the open photos in a panel's widget, and again whenever a setting changes."""

    def __init__(self, widget: PanelWidget) -> None:
        self.entries: dict[int, Entry] = {}  # the open photos, oldest first, by numbers that are never used again
        self._widget = widget
        self._numbers = count(1)
        self._background: Image.Image | None = None  # the user's own
        self._before: Any = None  # number, frame and size of the photo on the comparison's left side
        self.settled = False  # whether a photo of the last batch is shown that has a pet
        for traits, draw in (
            (CUTOUT, self._draw_cutout),
            (OVERLAY, partial(self._draw_details, "overlay")),
            (["details"], partial(self._draw_details, *display.DETAILS)),
        ):
            widget.observe(partial(self._redraw, draw), list(traits))

    def _redraw(self, draw: Callable[[], None], _: Any) -> None:
        """Draws after a change of the settings."""
        if entry := self.current():
            with self._widget.answering(entry.name):
                draw()

    def current(self) -> Entry | None:
        """The photo that is shown."""
        return self.entries.get(self._widget.photo)

    def add(self, name: str, result: Segmentation) -> None:
        """Opens a photo; the first of a batch that has a pet is shown, by the observer of this choice."""
        number, entry = next(self._numbers), Entry.of(name, self._widget.model, result)
        for old in list(self.entries)[: 1 - MAX_OPEN]:
            self._widget.add_message(f"{self.entries[old].name}: is closed. {MAX_OPEN} photos are open at most.")
            self._forget(old)
        self.entries[number] = entry
        self._widget.show({_key(number): (ImageOps.fit(entry.preview.photo, (THUMBNAIL, THUMBNAIL)), "")})
        self._list()
        if not self.settled or self.current() is None:
            self._widget.photo = number
            self.settled = result.found

    def close(self, number: int) -> None:
        """Closes a photo and shows its neighbour."""
        index = list(self.entries).index(number)
        self._forget(number)
        self._list()
        neighbours = list(self.entries)[max(0, index - 1) :]
        self._widget.photo = neighbours[0] if neighbours else 0
        if not neighbours:
            self._widget.caption = ""

    def _forget(self, number: int) -> None:
        del self.entries[number], self._widget.shown[_key(number)]

    def _list(self) -> None:
        self._widget.photos = [[number, entry.name] for number, entry in self.entries.items()]

    def replace(self, original: Segmentation, model: str, edits: tuple[Edit, ...]) -> None:
        """Shows another result for the photo that is shown, or the same with other edits."""
        number = self._widget.photo
        self.entries[number] = Entry.of(self.entries[number].name, model, original, edits)
        self.show()

    def in_photo(self, points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
        """Points in the part of the photo that is shown, as points in the photo, all 0 to 1."""
        _, (left, top, right, bottom), (W, H) = self._before
        return [((left + x * (right - left)) / W, (top + y * (bottom - top)) / H) for x, y in points]

    def use_background(self, name: str, image: Image.Image) -> None:
        """Puts an image behind the pets."""
        self._background = image
        self._widget.image_name = name
        if self._widget.background == "image":
            self._draw_cutout()
        self._widget.background = "image"

    def show(self) -> None:
        """Draws everything about the photo that is shown."""
        if (entry := self.current()) is None:
            return
        self._widget.doubtful = entry.result.doubtful
        self._widget.notice = "" if entry.result.found else no_pet(entry.name, entry.result.doubtful)
        self._widget.caption = f"{entry.name}: {display.caption(entry.result)}"
        self._widget.legend = display.legend(entry.result.fractions)
        self._widget.edits = len(entry.edits)
        self._widget.pets = shown_pets(display.preview(entry.original), entry.edits)
        self._draw_cutout()
        self._draw_details(*display.DETAILS)

    def settings(self) -> CutoutSettings:
        """The chosen settings of the cut-out; a JPEG without a background becomes a PNG."""
        widget = self._widget
        transparent = widget.background == "transparent" or (widget.background == "image" and not self._background)
        format: Any = "png" if widget.format == "jpg" and transparent else widget.format
        return CutoutSettings.chosen(
            widget.background, widget.color, self._background, widget.crop, format, widget.edge, widget.shadow
        )

    def file(self, entry: Entry, kind: str) -> tuple[str, bytes]:
        """Name and bytes of a picture's file at the photo's own size: `cutout`, `copy`, `overlay` or `mask`."""
        widget = self._widget
        return display.file(entry.name, kind, entry.result, self.settings(), widget.opacity, widget.classes)

    def archive(self) -> tuple[str, bytes]:
        """Name and bytes of a ZIP file with all cut-outs, both empty if each failed; PhotoError if no pet was found."""
        pets = [entry for entry in self.entries.values() if entry.result.found]
        if not pets:
            raise PhotoError("No pet found in any of the open photos, so there is nothing to download.")

        def pictures() -> Iterator[tuple[str, bytes]]:
            for entry in pets:
                with self._widget.answering(entry.name):  # the other photos are cut out all the same
                    yield self.file(entry, "cutout")

        write_archive(file := BytesIO(), pictures())
        return ("petseg-cutouts.zip", file.getvalue()) if ZipFile(file).namelist() else ("", b"")

    def _draw_cutout(self) -> None:
        """Sends the comparison's pictures: the photo only if the part of it that is shown has changed."""
        if (entry := self.current()) is None:
            return
        drawn = entry.result if self._widget.sharp else entry.preview
        settings = CutoutSettings() if self._widget.correcting else self.settings()
        shown = display.compared(entry.name, drawn, settings)
        pictures = {}
        if self._before != (before := (self._widget.photo, shown.frame, drawn.photo.size)):
            pictures["before"], self._before = shown.before, before
        if shown.after:
            pictures["after"] = shown.after
        left, top, right, bottom = shown.frame
        scale = entry.result.photo.width / drawn.photo.width
        self._widget.show(pictures, (round(scale * (right - left)), round(scale * (bottom - top))), shown.line)

    def _draw_details(self, *kinds: str) -> None:
        """Sends pictures that are folded away, if they are unfolded."""
        entry, widget = self.current(), self._widget
        if entry is None or not widget.details:
            return
        small = display.preview(entry.preview, display.DETAIL_SIDE)
        self._widget.show(
            {
                kind: (display.detail(kind, small, widget.opacity, widget.classes), display.DETAILS[kind])
                for kind in kinds
            }
        )


def _key(number: int) -> str:
    """The key of a photo's thumbnail among the pictures."""
    return f"photo {number}"
