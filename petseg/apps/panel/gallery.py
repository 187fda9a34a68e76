"""The open photos of a panel, and the pictures of the one that is shown."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import Any, Final

from PIL import Image, ImageOps

from petseg.apps import display
from petseg.apps.cutouts import BACKGROUNDS, CutoutSettings, background_of, encode, no_pet, pet_middle
from petseg.apps.panel.widget import PanelWidget, Picture
from petseg.inference.segmentation import Segmentation

#: Photos that stay open; the oldest goes first. Each takes 3 bytes per pixel.
MAX_OPEN: Final = 8

THUMBNAIL: Final = 128  # pixels

#: Traits that change the cut-out, and those that change the overlay.
CUTOUT: Final = ("background", "color", "crop", "grow", "feather")
OVERLAY: Final = ("opacity", "classes")

#: What is unfolded under "Details", in this order.
DETAILS: Final = ("overlay", "mask", "confidence")


@dataclass(frozen=True)
class Entry:
    """A photo that was segmented: its number and name, the result, and a small copy of the result to show."""

    number: int
    name: str
    result: Segmentation
    preview: Segmentation


class Gallery:
    """Shows one of the open photos in a panel's widget, and again whenever a setting changes.

    Args:
        widget: of the panel.

    Attributes:
        entries: the open photos, oldest first.
    """

    def __init__(self, widget: PanelWidget) -> None:
        self.entries: list[Entry] = []
        self._widget = widget
        self._numbers = count(1)
        self._image: Image.Image | None = None  # the user's own background
        self._before: Any = None  # what of which photo the comparison shows on its left
        widget.observe(lambda _: self._draw_cutout(), list(CUTOUT))
        widget.observe(lambda _: self._draw_details("overlay"), list(OVERLAY))
        widget.observe(lambda _: self._draw_details(*DETAILS), "details")

    def current(self) -> Entry | None:
        """The photo that is shown."""
        return next((entry for entry in self.entries if entry.number == self._widget.photo), None)

    def add(self, name: str, result: Segmentation) -> None:
        """Opens a photo and chooses it; who observes the choice shows it."""
        entry = Entry(next(self._numbers), name, result, display.preview(result))
        self.entries.append(entry)
        closed, self.entries = self.entries[:-MAX_OPEN], self.entries[-MAX_OPEN:]
        self._widget.forget({_key(old) for old in closed})
        small = ImageOps.fit(entry.preview.photo, (THUMBNAIL, THUMBNAIL))
        self._widget.show([Picture(_key(entry), "", *display.for_screen(small))])
        self._widget.photos = [[shown.number, shown.name] for shown in self.entries]
        self._widget.photo = entry.number

    def replace(self, entry: Entry, result: Segmentation) -> None:
        """Shows another result for an open photo."""
        new = Entry(entry.number, entry.name, result, display.preview(result))
        self.entries[self.entries.index(entry)] = new
        self.show()

    def use_background(self, name: str, image: Image.Image) -> None:
        """Puts an image behind the pets."""
        self._image = image
        self._widget.image_name = name
        if self._widget.background == "image":
            self._draw_cutout()
        self._widget.background = "image"

    def show(self) -> None:
        """Draws everything of the photo that is shown."""
        if (entry := self.current()) is None:
            return
        self._widget.notice = "" if entry.result.found else no_pet(entry.name)
        self._widget.caption = f"{entry.name}: {display.caption(entry.result)}"
        self._widget.legend = display.legend(entry.result.fractions)
        self._before = None
        self._draw_cutout()
        self._draw_details(*DETAILS)

    def settings(self) -> CutoutSettings:
        """What the user has chosen of the cut-out; a JPEG without a background becomes a PNG."""
        chosen = self._widget
        background = background_of(chosen.background, chosen.color, self._image)
        format: Any = "png" if chosen.format == "jpg" and background is None else chosen.format
        return CutoutSettings(background, chosen.crop, format, chosen.grow, chosen.feather)

    def file(self, entry: Entry, kind: str) -> tuple[str, bytes]:
        """Name and bytes of a picture's file, at the photo's own size.

        Args:
            entry: the photo.
            kind: `cutout`, as its settings are, or a PNG of the `overlay` or the `mask`.

        Raises:
            PhotoError: the picture is too large for its format.
        """
        if kind == "cutout":
            settings = self.settings()
            data = encode(settings.draw(entry.result), settings.format, entry.name)
            return display.file_name(entry.name, kind, settings.format), data
        return display.file_name(entry.name, kind), encode(self._draw(entry.result, kind), "png")

    def _draw_cutout(self) -> None:
        """Sends the comparison's pictures: the photo only where what is shown of it has changed."""
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
        """Sends pictures that are folded away, where they are unfolded."""
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
        pictures = [Picture(kind, alts[kind], *display.for_screen(self._shown(small, kind))) for kind in kinds]
        self._widget.show(pictures)

    def _shown(self, result: Segmentation, kind: str) -> Image.Image:
        """A picture for the screen: the class map is hatched there."""
        return display.hatched_mask(result) if kind == "mask" else self._draw(result, kind)

    def _draw(self, result: Segmentation, kind: str) -> Image.Image:
        if kind == "overlay":
            return result.overlay(self._widget.opacity, self._widget.classes)
        return result.mask_image() if kind == "mask" else display.confidence(result)


def _key(entry: Entry) -> str:
    """What the photo's thumbnail is called among the pictures."""
    return f"photo {entry.number}"
