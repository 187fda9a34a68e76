"""The open photos of a panel, and the pictures of the one that is shown."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from itertools import count
from typing import Any, Final

from PIL import Image, ImageOps

from petseg.apps import display
from petseg.apps.cutouts import BACKGROUNDS, CutoutSettings, background_of, encode, no_pet, pet_middle
from petseg.apps.panel.widget import PanelWidget, Picture
from petseg.errors import PhotoError
from petseg.inference.segmentation import Segmentation

#: Photos that stay open; the oldest is closed first. Each takes 3 bytes per pixel.
MAX_OPEN: Final = 8

THUMBNAIL: Final = 128  # pixels

#: Traits that change the cut-out, and those that change the overlay.
CUTOUT: Final = ("background", "color", "crop", "grow", "feather")
OVERLAY: Final = ("opacity", "classes")

#: The pictures under "Details", in this order.
DETAILS: Final = ("overlay", "mask", "confidence")


@dataclass(frozen=True)
class Entry:
    """An open photo: its number and name, the result, and a small copy of the result, which is fast to redraw."""

    number: int
    name: str
    result: Segmentation
    preview: Segmentation

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
        self._before: Any = None  # photo and frame of the comparison's left side
        widget.observe(lambda _: self._draw_cutout(), list(CUTOUT))
        widget.observe(lambda _: self._draw_details("overlay"), list(OVERLAY))
        widget.observe(lambda _: self._draw_details(*DETAILS), "details")

    def current(self) -> Entry | None:
        """The photo that is shown."""
        return next((entry for entry in self.entries if entry.number == self._widget.photo), None)

    def add(self, name: str, result: Segmentation) -> None:
        """Opens a photo and chooses it; the observer of this choice shows it."""
        entry = Entry(next(self._numbers), name, result, display.preview(result))
        closed, self.entries = self.entries[: 1 - MAX_OPEN], [*self.entries, entry][-MAX_OPEN:]
        for old in closed:
            self._widget.shown.pop(old.key)
        small = ImageOps.fit(entry.preview.photo, (THUMBNAIL, THUMBNAIL))
        self._widget.show([Picture(entry.key, "", *display.for_screen(small))])
        self._widget.photos = [[entry.number, entry.name] for entry in self.entries]
        self._widget.photo = entry.number

    def replace(self, entry: Entry, result: Segmentation) -> None:
        """Shows another result for an open photo."""
        index = self.entries.index(entry)
        self.entries[index] = Entry(entry.number, entry.name, result, display.preview(result))
        self.show()

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
        self._before = None
        self._draw_cutout()
        self._draw_details(*DETAILS)

    def settings(self) -> CutoutSettings:
        """The chosen settings of the cut-out; a JPEG without a background becomes a PNG."""
        widget = self._widget
        background = background_of(widget.background, widget.color, self._background)
        format: Any = "png" if widget.format == "jpg" and background is None else widget.format
        return CutoutSettings(background, widget.crop, format, widget.grow, widget.feather)

    def file(self, entry: Entry, kind: str) -> tuple[str, bytes]:
        """Name and bytes of a picture's file at the photo's own size: `cutout`, `overlay` or `mask`.

        Raises:
            PhotoError: the picture is too large for its format.
        """
        if kind != "cutout":
            return display.file_name(entry.name, kind), encode(self._draw(entry.result, kind), "png")
        settings = self.settings()
        data = encode(settings.draw(entry.result), settings.format, entry.name)
        return display.file_name(entry.name, kind, settings.format), data

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

    def _draw_cutout(self) -> None:
        """Sends the comparison's pictures: the photo only if the part of it that is shown has changed."""
        if (entry := self.current()) is None:
            return
        settings, photo = self.settings(), entry.preview.photo
        cutout = settings.cut(entry.preview) if entry.result.found else None
        frame = cutout.frame if cutout else (0, 0, *photo.size)
        pictures = []
        if self._before != (entry.number, frame):
            alt = f"The photo {entry.name}. {display.description(entry.result)}"
            pictures.append(Picture("before", alt, *display.for_screen(photo.crop(frame))))
            self._before = (entry.number, frame)
        if cutout:
            background = BACKGROUNDS["transparent" if settings.background is None else self._widget.background]
            alt = f"The pet of {entry.name}, cut out. Background: {background}."
            pictures.append(Picture("after", alt, *display.for_screen(cutout.image)))
        size = cutout.image.size if cutout else photo.size
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
