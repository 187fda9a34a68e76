"""The web site: what Sphinx reads, and the pages that it makes, which need the extra `site`."""

import itertools
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import nbformat
import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from petseg.apps import display
from petseg.files import read_json
from petseg.models import zoo
from petseg.upkeep import site
from petseg.upkeep.record_pages import bars, described, record_page, released_page

ROOT = Path(__file__).resolve().parents[2]


def test_a_notebook_keeps_alt_texts_and_pictures_folds_its_set_up_and_says_why_photos_are_missing() -> None:
    figure = new_output("display_data", {"image/png": "AAAA"}, metadata={"image/png": {"alt": "A cat, drawn."}})
    cells = [
        new_code_cell("set up", metadata={"tags": ["setup"]}),
        new_code_cell("draw", outputs=[figure]),
        new_code_cell("show", metadata={"tags": ["photos"]}),
        new_markdown_cell("![the panel](attachment:a.jpg)", attachments={"a.jpg": {"image/jpeg": "/9g="}}),
    ]
    setup, draw, show, note, text = site.prepared(new_notebook(cells=cells)).cells
    assert "hide-cell" in setup.metadata.tags
    assert draw.metadata.mystnb.image.alt == "A cat, drawn."
    assert "mystnb" not in show.metadata
    assert note.source == site.PHOTOS
    assert text.source == "![the panel](data:image/jpeg;base64,/9g=)"
    assert "attachments" not in text


def test_a_record_s_page_has_a_table_for_each_kind_of_row() -> None:
    record = {"photos": 30, "machine": {"cpu": "A|B"}, "step": {"values": {"ours": {"low": 1.0, "high": None}}}}
    runs = [{"name": "base", "score": 0.71234, "settings": {"model": {"skips": False}}}]
    page = record_page("speed", record | {"runs": runs})
    assert page.startswith("# Speed\n\n:::{dropdown} All numbers, from `figures/speed.json`\n")
    assert "|  | photos |\n| --- | --- |\n|  | 30 |" in page
    assert "| machine | A\\|B |" in page
    assert "|  | low | high |\n| --- | --- | --- |\n| step / values / ours | 1 | - |" in page
    assert "| runs / base | 0.7123 |" in page
    assert "skips" not in page


@pytest.mark.parametrize("path", sorted((ROOT / "figures").glob("*.json")), ids=lambda path: path.stem)
def test_a_record_s_page_begins_with_its_result_in_numbers_and_its_bars_are_numbers(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    record = read_json(path)
    result = record_page(path.stem, record).split("\n\n")[1]
    assert re.search(r"\d", result)
    assert result.endswith(".")
    if chart := described(path.stem)["bars"]:
        assert all(value > 0 for row in bars(record, **chart).values() for value in row.values())


def test_the_page_of_released_models_ranks_them_and_folds_what_others_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    shown, folded = released_page().split(":::{dropdown}")
    models = re.findall(r"^\| \[(.+)\]\(model-.+\.md\) \| (0\.\d+) \| \S+ M \| \S+ MB \|$", shown, re.MULTILINE)
    assert sorted(name for name, _ in models) == sorted(zoo.available())
    assert models == sorted(models, key=lambda model: -float(model[1]))
    assert "SegFormer" in folded


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of this checkout's site; Sphinx fails where a link leads nowhere."""
    if find_spec("sphinx") is None or find_spec("myst_nb") is None:
        pytest.skip("needs the extra `site`")
    folder = tmp_path_factory.mktemp("site")
    for name in ("notebooks", "figures", "data/README.md", "CHANGELOG.md", "pyproject.toml", "petseg"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).symlink_to(ROOT / name)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(site, "install_runtime", lambda: False)  # tests/browser opens the live page
        html = folder / site.build()
    assert not list(html.rglob(".doctrees"))
    return html


@pytest.fixture(scope="module")
def pages(html: Path) -> dict[str, BeautifulSoup]:
    """The site's pages by name."""
    return {
        path.relative_to(html).with_suffix("").as_posix(): BeautifulSoup(path.read_text(), "html.parser")
        for path in html.rglob("*.html")
        if "_static" not in path.parts
    }


@pytest.mark.slow
def test_the_site_has_a_page_of_every_notebook_record_model_and_module(pages: dict[str, Any]) -> None:
    notebooks = {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")}
    records = {f"results/{path.stem}" for path in (ROOT / "figures").glob("*.json")}
    models = {f"results/model-{name}" for name in zoo.available()}
    others = {"index", "live", "glossary", "teach", "changelog", "data", "results/released", "reference/index"}
    assert notebooks | records | models | others <= set(pages)
    assert "class_map" in pages["reference/petseg.metrics.confusion"].text
    assert not any("petseg.upkeep" in name for name in pages)


@pytest.mark.slow
def test_no_page_fetches_anything_from_elsewhere_and_every_picture_has_words(pages: dict[str, Any]) -> None:
    fetched = {"img[src]": "src", "script[src]": "src", "iframe[src]": "src", "link[rel~=stylesheet]": "href"}
    for name, page in pages.items():
        sources = [str(tag[key]) for selector, key in fetched.items() for tag in page.select(selector)]
        assert [source for source in sources if source.startswith(("http", "//"))] == [], name
        words = [str(tag.get("alt") or "") for tag in page.select("main img")]
        assert [text for text in words if not text or "_images/" in text] == [], name


@pytest.mark.slow
def test_the_first_page_leads_to_live_page_colab_and_every_lesson_with_its_time(pages: dict[str, Any]) -> None:
    first = pages["index"]
    live, colab = (str(button["href"]) for button in first.select("main a.sd-btn"))
    assert live == "live.html"
    assert colab.startswith("https://colab.research.google.com/")
    lessons = [str(link["href"]) for link in first.select("main .sd-card a")]
    assert lessons == sorted(f"{path.stem}.html" for path in (ROOT / "notebooks").glob("*.ipynb"))
    assert first.select_one('link[rel="icon"]')
    times = [row.text.split("\n")[2] for row in first.select("table tr")[1:]]
    assert len(times) == len(read_json(ROOT / "figures/minutes.json"))
    assert all(time.endswith((" s", " min")) for time in times)


@pytest.mark.slow
def test_no_page_is_wider_than_its_window_on_a_phone_and_on_a_laptop_light_and_dark(html: Path, chromium: Any) -> None:
    too_wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    for width, scheme in itertools.product((400, 1280), ("light", "dark")):
        page = chromium.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        for name in ("index", "02_build_the_unet", "results/released"):
            page.goto((html / f"{name}.html").as_uri())
            assert page.locator("html").get_attribute("data-theme") == scheme
            assert page.evaluate(too_wide) <= 0, (name, width)
        page.close()


def test_the_site_has_the_accent_of_the_apps_light_and_dark() -> None:
    colors = re.findall(r"--pst-color-primary: (.+);", (ROOT / site.TEXTS / "static/site.css").read_text())
    front = (ROOT / site.FRONT / "front.css").read_text()
    assert colors == [display.COLOR, re.search(r"color-scheme: dark; --petseg-mark: (#\w+)", front)[1]]  # type: ignore[index]


def test_a_phone_finds_an_icon_of_the_live_page_without_transparent_corners() -> None:
    name = re.search(r'<link rel="apple-touch-icon" href="live/(.+)">', (ROOT / site.LIVE / "page.html").read_text())
    with Image.open(ROOT / site.LIVE / name[1]) as icon:  # type: ignore[index]
        assert icon.size == (180, 180)
        assert icon.convert("RGBA").getextrema()[3] == (255, 255)


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_the_timetable_of_a_lesson_has_its_parts_in_order_and_adds_up_to_its_study_time(path: Path) -> None:
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown"]
    headings = [line for cell in cells for line in re.findall("^## (.+)", cell.source, re.MULTILINE)]
    hours = re.search(r"\*\*Time and hardware\*\*: (three|four) hours", cells[0].source)
    text = (ROOT / site.TEXTS / "teach.md").read_text()
    table = text[text.index(f"{{dropdown}} {path.stem[:2]} ") :].split(":::")[0]
    rows = re.findall(r"^\| (\d+) \| (.+) \|$", table, re.MULTILINE)
    assert [part for _, parts in rows if parts[0] != "*" for part in parts.split("; ")] == headings
    assert sum(int(minutes) for minutes, _ in rows) == {"three": 180, "four": 240}[hours[1]]  # type: ignore[index]


def test_the_lock_file_of_the_live_page_names_no_server() -> None:
    packages = read_json(ROOT / site.LIVE / "package-lock.json")["packages"]
    assert "node_modules/onnxruntime-web" in packages
    assert all("resolved" not in entry for entry in packages.values())
