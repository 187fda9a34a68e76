"""Photos that are not uploaded: from a path or address that the user typed, and of a breed of the data set."""

from __future__ import annotations

import random
import re
import urllib.request
from collections.abc import Callable
from functools import partial
from http.client import HTTPException
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from petseg.apps.panel.widget import MAX_BYTES
from petseg.errors import PhotoError

#: Characters that stay in an address: those with a meaning, and the percent sign of what is encoded already.
SAFE = "/:;,?&=+$!*'()@~%[]"


def typed_photo(text: str) -> tuple[str, Path | bytes]:
    """Name and source of the photo at a path of this machine (`~` is the home folder) or at an `http(s)://` address.

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
    return path.name, path


def _fetch(address: str) -> tuple[str, bytes]:
    try:
        request = urllib.request.Request(ascii_address(address), headers={"User-Agent": "petseg"})
        with urllib.request.urlopen(request, timeout=20) as answer:
            data: bytes = answer.read(MAX_BYTES + 1)
    except (OSError, ValueError, HTTPException) as error:
        why = getattr(error, "reason", error)
        raise PhotoError(
            f"{address}: cannot be fetched ({why}). Save the photo with a browser and upload it."
        ) from error
    name = unquote(urlsplit(address).path).rpartition("/")[2] or "photo"
    if len(data) > MAX_BYTES:
        raise PhotoError(f"{name}: larger than {MAX_BYTES / 1e6:.0f} MB. Download it and type its path instead.")
    return name, data


def ascii_address(address: str) -> str:
    """An address as people write it, in the characters that the web allows: RFC 3987, section 3.1.

    The host is encoded by IDNA (`käse.de` becomes `xn--kse-qla.de`), other characters as UTF-8 with percent signs.
    Percent signs of characters that are encoded already stay.

    Raises:
        ValueError: it is not an address.
    """
    parts = urlsplit(re.sub(r"%(?![0-9a-fA-F]{2})", "%25", address))  # a percent sign that encodes nothing
    host = parts.netloc.encode("idna").decode()
    return urlunsplit((parts.scheme, host, quote(parts.path, SAFE), quote(parts.query, SAFE), ""))


def breed_samples(images: Path | None = None) -> dict[str, Callable[[], Path]]:
    """By breed, a function that returns the path of one of its photos at random; `images` is the data set's folder."""
    by_breed: dict[str, list[Path]] = {}
    for path in sorted(images.glob("*.jpg")) if images else []:
        by_breed.setdefault(path.stem.rpartition("_")[0], []).append(path)
    breeds = sorted(by_breed.items(), key=lambda item: item[0].casefold())
    return {breed.replace("_", " "): partial(random.choice, paths) for breed, paths in breeds}
