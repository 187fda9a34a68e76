"""`lessons.jpg`: a picture of each lesson, from the outputs of its notebook, for README and the site's first page."""

from base64 import b64decode
from io import BytesIO
from pathlib import Path

import nbformat
from PIL import Image, ImageDraw, ImageFont, ImageOps

from petseg.files import atomic_write

#: By title, what the alt text of the picture begins with.
PICTURES = {
    "01 Explore": "3 pictures with their masks painted over",
    "02 Build": "A U-Net of 5 stages",
    "03 Train": "Losses over the epochs",
    "04 Evaluate": "Mean IoU of 12 breeds",
    "05 Use": "Chelsea's ear",
    "06 Transfer": "Mean IoU on validation by number",
    "07 Compare": "Chelsea under blur",
    "08 Train fast": "The fast recipe reaches",
}
COLUMNS, TILE, TITLE = 4, (300, 200), 30  # pixels; the title is above the picture


def picture(number: str, start: str) -> Image.Image:
    """The picture of a lesson whose alt text starts so."""
    (path,) = Path("notebooks").glob(f"{number}_*.ipynb")
    for cell in nbformat.read(path, as_version=4).cells:
        for output in cell.get("outputs", []):
            for kind, about in output.get("metadata", {}).items():
                if kind.startswith("image/") and about.get("alt", "").startswith(start):
                    return Image.open(BytesIO(b64decode(output.data[kind])))
    raise SystemExit(f"{path}: no picture's alt text begins with {start!r}. Change it in figures/lessons.py.")


def main() -> None:
    """Writes the picture; to be called in the root of a checkout."""
    W, H = TILE
    sheet = Image.new("RGB", (COLUMNS * W, len(PICTURES) // COLUMNS * (H + TITLE)), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(20)
    for index, (title, start) in enumerate(PICTURES.items()):
        left, top = index % COLUMNS * W, index // COLUMNS * (H + TITLE)
        draw.text((left + 6, top + 3), title, "#222", font)
        small = ImageOps.pad(picture(title[:2], start).convert("RGB"), (W - 12, H - 8), color="white")
        sheet.paste(small, (left + 6, top + TITLE))
    with atomic_write(Path("figures/lessons.jpg")) as draft:
        sheet.save(draft, "JPEG", quality=82)


if __name__ == "__main__":
    main()
