"""Photos that are not uploaded: a path or an address typed in, and samples."""

from __future__ import annotations

import random
import urllib.error
import urllib.request
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from petseg.apps import render as presentation
from petseg.errors import PhotoError

#: Of a photo fetched from an address.
MAX_BYTES = 64_000_000


def typed_photo(text: str) -> tuple[str, bytes]:
    """Name and bytes of a photo whose path or address somebody typed.

    Args:
        text: a path of the machine that the notebook runs on (`~` is known), or an address `http(s)://...`.

    Raises:
        PhotoError: there is no such photo, or it cannot be fetched.
    """
    text = text.strip().strip("\"'")
    if text.lower().startswith(("http://", "https://")):
        return _fetched(text)
    path = Path(text).expanduser()
    if not text or not path.is_file():
        raise PhotoError(
            f"{text or 'nothing'}: no such file on the machine that runs this notebook. Check the path, or upload it."
        )
    try:
        return path.name, path.read_bytes()
    except OSError as error:
        raise PhotoError(f"{path.name}: cannot be read ({error.strerror}). Check its permissions.") from error


def _fetched(address: str) -> tuple[str, bytes]:
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


def samples(images: Path | None = None) -> dict[str, Callable[[], Any]]:
    """What can be tried without a photo of one's own: bundled pictures, and a photo of each breed where they are.

    Args:
        images: folder of the data set's photos, `Abyssinian_1.jpg` and so on; none if it is not there.

    Returns:
        by name, a function that gives a path or a picture.
    """
    found: dict[str, Callable[[], Any]] = dict(presentation.samples())
    by_breed: dict[str, list[Path]] = {}
    for path in sorted(images.glob("*.jpg")) if images else []:
        by_breed.setdefault(path.stem.rpartition("_")[0], []).append(path)
    for breed, paths in sorted(by_breed.items(), key=lambda entry: entry[0].casefold()):
        found[f"{breed.replace('_', ' ')} (data set)"] = partial(random.choice, paths)
    return found
