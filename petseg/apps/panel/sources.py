"""Photos that are not uploaded: of a path or address that the user typed, and samples."""

from __future__ import annotations

import random
import urllib.error
import urllib.request
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from petseg.apps.samples import sample_photos
from petseg.errors import PhotoError

#: Of a photo fetched from an address.
MAX_BYTES = 64_000_000


def typed_photo(text: str) -> tuple[str, bytes]:
    """Name and bytes of the photo at a path or address that the user typed.

    Args:
        text: a path of the machine that the notebook runs on (`~` is known), or an address `http(s)://...`.

    Raises:
        PhotoError: there is no such photo, or it cannot be fetched.
    """
    text = text.strip().strip("\"'")
    if text.lower().startswith(("http://", "https://")):
        return _fetch(text)
    path = Path(text).expanduser()
    if not text or not path.is_file():
        raise PhotoError(
            f"{text or 'nothing'}: no such file on the machine that runs this notebook. Check the path, or upload it."
        )
    try:
        return path.name, path.read_bytes()
    except OSError as error:
        raise PhotoError(f"{path.name}: cannot be read ({error.strerror}). Check its permissions.") from error


def _fetch(address: str) -> tuple[str, bytes]:
    name = address.rpartition("/")[2].partition("?")[0] or "photo"
    request = urllib.request.Request(address, headers={"User-Agent": "petseg"})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            data: bytes = answer.read(MAX_BYTES + 1)
    except (urllib.error.URLError, TimeoutError, ValueError, OSError) as error:
        why = getattr(error, "reason", error)
        raise PhotoError(
            f"{address}: cannot be fetched ({why}). Save the photo with a browser and upload it."
        ) from error
    if len(data) > MAX_BYTES:
        raise PhotoError(f"{name}: larger than {MAX_BYTES / 1e6:.0f} MB. Download it and type its path instead.")
    return name, data


def sample_choices(images: Path | None = None) -> dict[str, Callable[[], Any]]:
    """Photos to try: those that come with the package, and one of each breed where the data set is.

    Args:
        images: folder of the data set's photos, `Abyssinian_1.jpg` and so on; it may be missing.

    Returns:
        By name, a function that returns a path or an image.
    """
    choices: dict[str, Callable[[], Any]] = dict(sample_photos())
    by_breed: dict[str, list[Path]] = {}
    for path in sorted(images.glob("*.jpg")) if images else []:
        by_breed.setdefault(path.stem.rpartition("_")[0], []).append(path)
    for breed, paths in sorted(by_breed.items(), key=lambda entry: entry[0].casefold()):
        choices[f"{breed.replace('_', ' ')} (data set)"] = partial(random.choice, paths)
    return choices
