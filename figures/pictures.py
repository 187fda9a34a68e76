"""Draws the pictures of README and of the site's first page with the released models: `python figures/pictures.py`."""

import math
from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw
from skimage.data import cat

from petseg import plots
from petseg.apps.cutouts import CutoutSettings
from petseg.apps.display import sample_photos
from petseg.files import atomic_write
from petseg.inference.predictor import Predictor
from petseg.models import zoo

#: Frames of README's moving picture.
FRAMES: Final = 24


def draw_chelsea(path: Path) -> None:
    """`chelsea.jpg`, the picture of the site's first page: a photo that anyone may publish, class map and cut-out."""
    chelsea = Predictor()(Image.fromarray(cat()), name="Chelsea")
    steps = [chelsea.photo, chelsea.overlay(), chelsea.cutout()]
    figure = plots.show_images(steps, ["photo", "pet and boundary found", "cut-out"])
    plots.save_figure(figure, path)


def draw_reveal(path: Path) -> None:
    """`chelsea.webp`, README's moving picture: a line passes over the photo and leaves the cut-out behind."""
    chelsea = Predictor(zoo.best())(Image.fromarray(cat()), name="Chelsea")
    cutout, (W, H) = plots.on_checkerboard(chelsea.cutout()), chelsea.photo.size
    frames = []
    for step in range(FRAMES):
        x = round(W * (1 - math.cos(2 * math.pi * step / FRAMES)) / 2)  # there and back, slow at both ends
        frame = chelsea.photo.copy()
        frame.paste(cutout.crop((0, 0, x, H)))
        ImageDraw.Draw(frame).line([(x, 0), (x, H)], "white", width=3)
        frames.append(frame)
    milliseconds = [900 if step in (0, FRAMES // 2) else 70 for step in range(FRAMES)]
    with atomic_write(path) as draft:
        options = {"save_all": True, "append_images": frames[1:], "duration": milliseconds, "loop": 0}
        frames[0].save(draft, "WEBP", quality=70, method=6, **options)


def draw_cutouts(path: Path) -> None:
    """`cutouts.jpg`: a row per sample of panel and web app, its photo and its cut-out on three backgrounds."""
    predict = Predictor(zoo.best())
    images: list[Image.Image] = []
    backgrounds = {"transparent": None, "a colour": "#e9c46a", "the photo, blurred": "blur"}
    for name, load in sample_photos().items():
        result = predict(load(), name=name)
        images += [result.photo, *(CutoutSettings(background).draw(result) for background in backgrounds.values())]
    heads = ["photo", *backgrounds]
    titles = heads + [""] * (len(images) - len(heads))
    alt = f"{', '.join(sample_photos())}: each photo, and its cut-out on three backgrounds, {', '.join(backgrounds)}."
    figure = plots.show_images(images, titles, columns=len(heads), width=2.4, alt=alt)
    plots.save_figure(figure, path)


def main() -> None:
    """Draws all of them."""
    for name, draw in {"chelsea.jpg": draw_chelsea, "chelsea.webp": draw_reveal, "cutouts.jpg": draw_cutouts}.items():
        path = Path(__file__).with_name(name)
        draw(path)
        print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
