"""The open photos of a panel, and the pictures of the one that is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from itertools import count
from typing import Any, Final

from PIL import Image, ImageOps

from petseg.apps import display
from petseg.apps.cutouts import BACKGROUNDS, CutoutSettings, background_of, encode, no_pet, pet_middle
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

#: The pictures under "Details", in this order.
DETAILS: Final = ("overlay", "mask", "confidence")


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
        widget.observe(lambda _: self._draw_details(*DETAILS), "details")

    def current(self) -> Entry | None:
        """The photo that is shown."""
        return next((entry for entry in self.entries if entry.number == self._widget.photo), None)

    def add(self, name: str, result: Segmentation, new_batch: bool = True) -> None:
        """Opens a photo; the first of a batch that has a pet is shown, by the observer of this choice."""
        entry = Entry.of(next(self._numbers), name, result)
        closed, self.entries = self.entries[: 1 - MAX_OPEN], [*self.entries, entry][-MAX_OPEN:]
        for old in closed:
            self._widget.shown.pop(old.key)
        small = ImageOps.fit(entry.preview.photo, (THUMBNAIL, THUMBNAIL))
        self._widget.show([Picture(entry.key, "", *display.for_screen(small))])
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
        self._draw_details(*DETAILS)

    def settings(self) -> CutoutSettings:
        """The chosen settings of the cut-out; a JPEG without a background becomes a PNG."""
        widget = self._widget
        background = background_of(widget.background, widget.color, self._background)
        format: Any = "png" if widget.format == "jpg" and background is None else widget.format
        return CutoutSettings(background, widget.crop, format, *display.EDGES[widget.edge], shadow=widget.shadow)

    def file(self, entry: Entry, kind: str) -> tuple[str, bytes]:
        """Name and bytes of a picture's file at the photo's own size: `cutout`, `copy`, `overlay` or `mask`.

        Raises:
            PhotoError: the picture is too large for its format.
        """
        if kind not in ("cutout", "copy"):
            return display.file_name(entry.name, kind), encode(self._draw(entry.result, kind), "png")
        settings = self.settings()
        format: Any = settings.format if kind == "cutout" else "png"  # programs that paste expect PNG
        return display.file_name(entry.name, "cutout", format), encode(settings.draw(entry.result), format, entry.name)

    def archive(self) -> tuple[str, bytes]:
        """Name and bytes of a ZIP file with all cut-outs.

        Raises:
            PhotoError: there are none.
        """
        pets = [entry for entry in self.entries if entry.result.found]
        if not pets:
            raise PhotoError("No pet found in any of the open photos, so there is nothing to download.")
        file = BytesIO()
        display.write_archive(file, (self.file(entry, "cutout") for entry in pets))
        return "petseg-cutouts.zip", file.getvalue()

    def _drawn(self) -> Segmentation:
        """The result of which the comparison shows pictures."""
        entry = next(entry for entry in self.entries if entry.number == self._widget.photo)
        return entry.result if self._widget.sharp else entry.preview

    def _draw_cutout(self) -> None:
        """Sends the comparison's pictures: the photo only if the part of it that is shown has changed."""
        if (entry := self.current()) is None:
            return
        drawn, settings, background = self._drawn(), self.settings(), self._widget.background
        if self._widget.correcting:
            settings, background = CutoutSettings(), "transparent"
        cutout = settings.cut(drawn) if entry.result.found else None
        frame = cutout.frame if cutout else (0, 0, *drawn.photo.size)
        pictures = []
        if self._before != (before := (entry.number, frame, drawn.photo.size)):
            alt = f"The photo {entry.name}. {display.description(entry.preview)}"
            pictures.append(Picture("before", alt, *display.for_screen(drawn.photo.crop(frame))))
            self._before = before
        if cutout:
            words = BACKGROUNDS["transparent" if settings.background is None else background]
            alt = f"The pet of {entry.name}, cut out. Background: {words}."
            pictures.append(Picture("after", alt, *display.for_screen(cutout.image)))
        scale = entry.result.photo.width / drawn.photo.width
        size = round(scale * (frame[2] - frame[0])), round(scale * (frame[3] - frame[1]))
        self._widget.show(pictures, size, pet_middle(cutout.alpha) if cutout else 0.5)

    def _draw_details(self, *kinds: str) -> None:
        """Sends pictures that are folded away, if they are unfolded."""
        entry = self.current()
        if entry is None or not self._widget.details:
            return
        description = display.description(entry.result)
        alts = {
            "overlay": f"Photo with {' and '.join(self._widget.classes) or 'nothing'} painted over. {description}",
            "mask": f"Class map. {description}",
            "confidence": "Map of how sure the model is, dark to light",
        }
        small = display.preview(entry.preview, display.DETAIL_SIDE)
        images = [display.hatched_mask(small) if kind == "mask" else self._draw(small, kind) for kind in kinds]
        self._widget.show(
            [Picture(kind, alts[kind], *display.for_screen(image)) for kind, image in zip(kinds, images, strict=True)]
        )

    def _draw(self, result: Segmentation, kind: str) -> Image.Image:
        if kind == "overlay":
            return result.overlay(self._widget.opacity, self._widget.classes)
        return result.mask_image() if kind == "mask" else display.confidence(result)
