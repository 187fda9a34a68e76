"""The open photos of a panel, and the pictures of the one that is shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from itertools import count
from typing import Any, Final

from PIL import Image, ImageOps

from petseg.apps import display, downloads
from petseg.apps.cutouts import CutoutSettings, no_pet
from petseg.apps.edits import Edit, edited, shown_pets
from petseg.apps.panel.widget import PanelWidget, Picture
from petseg.errors import PhotoError
from petseg.inference.segmentation import Segmentation

#: Photos that stay open; the oldest is closed first. Each takes 3 bytes per pixel.
MAX_OPEN: Final = 8

THUMBNAIL: Final = 128  # pixels

#: Traits that change the cut-out, and those that change the overlay.
CUTOUT: Final = ("background", "color", "crop", "edge", "shadow", "sharp", "correcting")
OVERLAY: Final = ("opacity", "classes")


@dataclass(frozen=True)
class Entry:
    """An open photo.

    Attributes:
        number: of the photo, which no other has had.
        original: what the model found.
        edits: corrections by hand.
        result: the original after the edits.
        preview: a small copy of the result, which is fast to redraw.
    """

    number: int
    name: str
    original: Segmentation
    edits: tuple[Edit, ...]
    result: Segmentation
    preview: Segmentation

    @classmethod
    def of(cls, number: int, name: str, original: Segmentation, edits: tuple[Edit, ...] = ()) -> Entry:
        """The photo after some edits, which are followed on its small copy."""
        preview = edited(display.preview(original), edits)
        result = replace(original, logits=preview.logits, pet_probability=preview.pet_probability)
        return cls(number, name, original, edits, result, preview)

    @property
    def key(self) -> str:
        """The key of the photo's thumbnail among the pictures."""
        return f"photo {self.number}"


class Gallery:
    """Shows one of the open photos in a panel's widget, and again whenever a setting changes.

    Attributes:
        entries: the open photos, oldest first.
    """

    def __init__(self, widget: PanelWidget) -> None:
        self.entries: list[Entry] = []
        self._widget = widget
        self._numbers = count(1)
        self._background: Image.Image | None = None  # the user's own
        self._before: Any = None  # photo and frame of the comparison's left side, and whether it is sharp
        self._settled = False  # whether a photo of the last batch is shown that has a pet
        widget.observe(lambda _: self._draw_cutout(), list(CUTOUT))
        widget.observe(lambda _: self._draw_details("overlay"), list(OVERLAY))
        widget.observe(lambda _: self._draw_details(*display.DETAILS), "details")

    def current(self) -> Entry | None:
        """The photo that is shown."""
        return next((entry for entry in self.entries if entry.number == self._widget.photo), None)

    def add(self, name: str, result: Segmentation, new_batch: bool = True) -> None:
        """Opens a photo; the first of a batch that has a pet is shown, by the observer of this choice."""
        entry = Entry.of(next(self._numbers), name, result)
        closed, self.entries = self.entries[: 1 - MAX_OPEN], [*self.entries, entry][-MAX_OPEN:]
        for old in closed:
            self._widget.shown.pop(old.key)
        self._show({entry.key: (ImageOps.fit(entry.preview.photo, (THUMBNAIL, THUMBNAIL)), "")})
        self._widget.photos = [[entry.number, entry.name] for entry in self.entries]
        if new_batch or not self._settled or self.current() is None:
            self._widget.photo = entry.number
            self._settled = result.found

    def close(self, number: int) -> None:
        """Closes a photo and shows its neighbour."""
        index = [entry.number for entry in self.entries].index(number)
        self._widget.shown.pop(self.entries.pop(index).key)
        self._widget.photos = [[entry.number, entry.name] for entry in self.entries]
        neighbours = self.entries[max(0, index - 1) :][:1]
        self._widget.photo = neighbours[0].number if neighbours else 0
        if not neighbours:
            self._widget.caption = ""

    def replace(self, entry: Entry, original: Segmentation, edits: tuple[Edit, ...] = ()) -> None:
        """Shows another result for an open photo, or the same with other edits."""
        index = self.entries.index(entry)
        self.entries[index] = Entry.of(entry.number, entry.name, original, edits)
        self.show()

    def in_photo(self, points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
        """Points in the part of the photo that is shown, as points in the photo, all 0 to 1."""
        _, (left, top, right, bottom), _ = self._before
        W, H = self._drawn().photo.size
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
        """Name and bytes of a picture's file at the photo's own size: `cutout`, `copy`, `overlay` or `mask`.

        Raises:
            PhotoError: the picture is too large for its format.
        """
        settings = self.settings()
        if kind == "copy":  # programs that paste expect PNG
            kind, settings = "cutout", replace(settings, format="png")
        return downloads.file(entry.name, kind, entry.result, settings, self._widget.opacity, self._widget.classes)

    def archive(self) -> tuple[str, bytes]:
        """Name and bytes of a ZIP file with all cut-outs.

        Raises:
            PhotoError: there are none.
        """
        pets = [entry for entry in self.entries if entry.result.found]
        if not pets:
            raise PhotoError("No pet found in any of the open photos, so there is nothing to download.")
        file = BytesIO()
        downloads.write_archive(file, (self.file(entry, "cutout") for entry in pets))
        return "petseg-cutouts.zip", file.getvalue()

    def _drawn(self) -> Segmentation:
        """The result of which the comparison shows pictures."""
        entry = next(entry for entry in self.entries if entry.number == self._widget.photo)
        return entry.result if self._widget.sharp else entry.preview

    def _draw_cutout(self) -> None:
        """Sends the comparison's pictures: the photo only if the part of it that is shown has changed."""
        if (entry := self.current()) is None:
            return
        drawn = self._drawn()
        settings = CutoutSettings() if self._widget.correcting else self.settings()
        shown = display.compared(entry.name, drawn, settings)
        pictures = {}
        if self._before != (before := (entry.number, shown.frame, drawn.photo.size)):
            pictures["before"], self._before = shown.before, before
        if shown.after:
            pictures["after"] = shown.after
        left, top, right, bottom = shown.frame
        scale = entry.result.photo.width / drawn.photo.width
        self._show(pictures, (round(scale * (right - left)), round(scale * (bottom - top))), shown.line)

    def _draw_details(self, *kinds: str) -> None:
        """Sends pictures that are folded away, if they are unfolded."""
        entry, widget = self.current(), self._widget
        if entry is None or not widget.details:
            return
        small = display.preview(entry.preview, display.DETAIL_SIDE)
        self._show(
            {
                kind: (display.detail(kind, small, widget.opacity, widget.classes), display.DETAILS[kind])
                for kind in kinds
            }
        )

    def _show(self, pictures: Mapping[str, tuple[Image.Image, str]], *size_and_line: Any) -> None:
        """Sends pictures, each with its alt text, by key."""
        encoded = [Picture(key, alt, *display.for_screen(image)) for key, (image, alt) in pictures.items()]
        self._widget.show(encoded, *size_and_line)
