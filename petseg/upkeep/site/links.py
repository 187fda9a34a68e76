"""A check of built pages: internal links lead somewhere, pictures have words, and nothing is fetched from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup, Tag

#: What a browser fetches by itself when it shows a page, as (selector, attribute).
FETCHED: Final = (
    ("img[src]", "src"),
    ("script[src]", "src"),
    ("iframe[src]", "src"),
    ("link[rel~=stylesheet]", "href"),
)


def faults(pages: Path) -> list[str]:
    """One sentence for each fault in a folder of HTML pages; none when all is well."""
    soups = {
        path.resolve(): BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
        for path in sorted(pages.rglob("*.html"))
        if "_static" not in path.parts  # templates of the theme
    }
    anchors = {path: {str(tag["id"]) for tag in soup.select("[id]")} for path, soup in soups.items()}
    return [
        f"{path.relative_to(pages.resolve())}: {fault}"
        for path, soup in soups.items()
        for fault in (*_broken(path, soup, anchors), *_fetched(path, soup), *_wordless(soup))
    ]


def _broken(path: Path, soup: BeautifulSoup, anchors: dict[Path, set[str]]) -> Iterator[str]:
    for tag in soup.select("a[href]"):
        link = urlsplit(str(tag["href"]))
        if link.scheme or link.netloc:
            continue
        target = (path.parent / unquote(link.path)).resolve() if link.path else path
        if not target.exists():
            yield f"the link {tag['href']} leads to no file."
        elif link.fragment and unquote(link.fragment) not in anchors.get(target, {unquote(link.fragment)}):
            yield f"the link {tag['href']} leads to no heading."


def _fetched(path: Path, soup: BeautifulSoup) -> Iterator[str]:
    for selector, attribute in FETCHED:
        for tag in soup.select(selector):
            link = urlsplit(str(tag[attribute]))
            if link.scheme not in ("", "data") or link.netloc:
                yield f"{tag[attribute]} is fetched from the network. Bundle it."
            elif not link.scheme and not (path.parent / unquote(link.path)).is_file():
                yield f"{tag[attribute]} is not there."


def _wordless(soup: BeautifulSoup) -> Iterator[str]:
    for tag in soup.select("main img"):
        if not _words(tag):
            yield f"the picture {tag.get('src')} has no alt text."


def _words(tag: Tag) -> str:
    words = str(tag.get("alt") or "").strip()
    return "" if words == tag.get("src") or words.startswith("_images/") or words.startswith("../_images/") else words
