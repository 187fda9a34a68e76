"""The before-and-after comparison as HTML."""

from __future__ import annotations

from html.parser import HTMLParser

from petseg.apps.comparison import CSS, comparison


class Tags(HTMLParser):
    """All start tags with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def test_both_pictures_have_address_and_words_and_the_slider_has_a_name() -> None:
    tags = Tags(comparison(("a.jpg", 'The "photo" <b>.jpg'), ("b.webp", "The cut-out"), (300, 200), label="Compare"))
    assert [(image["src"], image["alt"]) for image in tags.of("img")] == [
        ("b.webp", "The cut-out"),
        ("a.jpg", 'The "photo" <b>.jpg'),
    ]
    (slider,) = tags.of("input")
    assert (slider["type"], slider["aria-label"]) == ("range", "Compare")
    assert "--petseg-position" in (slider["oninput"] or "")
    assert not tags.of("b")
    assert not tags.of("script")


def test_the_space_of_the_pictures_is_reserved() -> None:
    assert "--petseg-ratio:1.50000" in comparison(("a", ""), ("b", ""), (300, 200))


def test_the_line_and_its_slider_begin_at_the_same_place() -> None:
    html = comparison(("a", ""), ("b", ""), (3, 2), line=0.25)
    assert "--petseg-position:25.0%" in html
    assert [slider["value"] for slider in Tags(html).of("input")] == ["25.0"]


def test_every_class_has_the_prefix_that_keeps_the_page_around_it_as_it_is() -> None:
    tags = Tags(comparison(("a", ""), ("b", ""), (3, 2)))
    classes = {name for _, attributes in tags.tags for name in (attributes.get("class") or "").split()}
    assert classes
    assert all(name.startswith("petseg-") and f".{name}" in CSS for name in classes)
