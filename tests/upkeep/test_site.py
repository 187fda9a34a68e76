"""The web site: its sources, which need nothing but the package, and its pages, which need the extra `site`."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from petseg.errors import DataError, MissingError
from petseg.files import read_json
from petseg.models import zoo
from petseg.upkeep import minutes
from petseg.upkeep.site import chapters, links, live, markdown, records, sources
from petseg.upkeep.site.reference import reference_pages

ROOT = Path(__file__).resolve().parents[2]
ADDRESS = "https://github.com/someone/pets"


@pytest.fixture(scope="module")
def assembled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources of this checkout's site."""
    before = Path.cwd()
    os.chdir(ROOT)
    try:
        return sources.assemble(tmp_path_factory.mktemp("site") / "source")
    finally:
        os.chdir(before)


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ("02_build.ipynb", "02_build.ipynb"),
        ("solutions/01_solutions.ipynb#Exercise-1", "solutions/01_solutions.ipynb#exercise-1"),
        ("05_segment.ipynb#Step-6:-a-soft-edge", "05_segment.ipynb#step-6-a-soft-edge"),
        ("../petseg/labels.py", f"{ADDRESS}/blob/main/petseg/labels.py"),
        ("../README.md#Results", f"{ADDRESS}/blob/main/README.md#results"),
        ("..", ADDRESS),
        ("#Results", "#results"),
        ("https://arxiv.org/abs/1505.04597#Top", "https://arxiv.org/abs/1505.04597#Top"),
    ],
)
def test_a_link_of_a_notebook_leads_to_a_page_or_to_the_repository(link: str, expected: str) -> None:
    assert chapters.site_link(link, Path("notebooks"), ADDRESS) == expected


def test_badges_become_words_and_code_stays() -> None:
    badge = "[![Open in Colab](https://colab.example/badge.svg)](https://colab.example/open)"
    text = chapters.page_text(f"# A\n\n{badge} {badge.replace('Colab', 'Kaggle')}", Path("notebooks"), ADDRESS)
    assert text == "# A\n\n[Open in Colab](https://colab.example/open) · [Open in Kaggle](https://colab.example/open)"


def picture(words: str) -> Any:
    return new_output("display_data", {"image/png": "AAAA"}, metadata={"image/png": {"alt": words}})


def test_a_chapter_keeps_alt_texts_folds_the_set_up_and_says_why_photos_are_missing(tmp_path: Path) -> None:
    cells = [
        new_code_cell("set up", metadata={"tags": ["setup"]}),
        new_code_cell("draw", outputs=[picture("A cat, drawn.")]),
        new_code_cell("show", metadata={"tags": ["photos"]}),
    ]
    notebook = chapters.chapter(new_notebook(cells=cells), Path("notebooks/01_a.ipynb"), ADDRESS, tmp_path)
    setup, draw, show, note = notebook.cells
    assert "hide-cell" in setup.metadata.tags
    assert draw.metadata.mystnb.image.alt == "A cat, drawn."
    assert "mystnb" not in show.metadata
    assert note.source == chapters.PHOTOS


def test_attached_pictures_become_files_beside_the_page(tmp_path: Path) -> None:
    cell = new_markdown_cell("![the panel](attachment:panel.jpg)", attachments={"panel.jpg": {"image/jpeg": "/9g="}})
    pictures = tmp_path / "05_photo"
    notebook = chapters.chapter(new_notebook(cells=[cell]), Path("notebooks/05_photo.ipynb"), ADDRESS, pictures)
    assert (pictures / "panel.jpg").read_bytes() == b"\xff\xd8"
    assert notebook.cells[0].source == "![the panel](05_photo/panel.jpg)"
    assert "attachments" not in notebook.cells[0]


def test_a_table_aligns_numbers_and_escapes_bars() -> None:
    lines = markdown.table(["name", "count", "score"], [["a|b", 7_778_643, 0.77216], ["c", None, 12.345]]).splitlines()
    assert lines[1:] == ["| --- | --: | --: |", "| a\\|b | 7,778,643 | 0.7722 |", "| c | - | 12.35 |"]


def test_every_change_of_the_ablation_and_every_way_to_full_size_is_on_its_page(assembled: Path) -> None:
    for name in records.ABLATIONS:
        ablation = (assembled / f"results/{name}.md").read_text()
        for run in read_json(ROOT / f"figures/{name}.json")["variants"]:
            assert ablation.count(f"| {run['change']} |") == 2
            assert f"| {run['score']:.4f} |" in ablation
    refinement = (assembled / "results/refinement.md").read_text()
    for half in ("chosen on", "reported"):
        for ways in read_json(ROOT / "figures/refinement.json")[half].values():
            for way, found in ways.items() if isinstance(ways, dict) else []:
                assert f"| {way} | {found['mean_iou']:.4f} |" in refinement


def test_an_ablation_that_is_not_complete_has_a_page_without_a_limit() -> None:
    record = read_json(ROOT / "figures" / "ablation.json")
    unknown = {"noise": None, "base": record["base"][:1], "variants": [{**record["variants"][0], "limit": None}]}
    page = records.ablation_page("ablation", record | unknown)
    assert "with 1 seed, too few to say how far they lie apart." in page


def test_a_record_without_a_page_of_its_own_shows_values_groups_and_lists() -> None:
    record = {"photos": 30, "machine": {"name": "A"}, "step": {"values": {"ours": {"low": 1, "high": 2}}}}
    page = records.other_page("speed", record | {"pairs": [{"names": ["a", "b"]}]})
    assert "- photos: 30" in page
    assert "## Pairs\n\n| row | names |\n| --- | --- |\n| 1 | a, b |" in page
    assert "| row | name |\n| --- | --- |\n| machine | A |" in page
    assert "| row | low | high |\n| --- | --: | --: |\n| step / values / ours | 1 | 2 |" in page


def test_every_record_and_every_model_has_a_page(assembled: Path) -> None:
    pages = {path.stem for path in (assembled / "results").glob("*.md")}
    written = {path.stem for path in (ROOT / "figures").glob("*.json")} - {"results"}
    assert pages == written | {"released"} | {f"model-{name}" for name in zoo.available()}
    for card in zoo.cards():
        assert (assembled / f"results/model-{card.name}.md").read_text() == card.markdown()


def test_every_public_module_has_a_page_of_reference_and_upkeep_has_none() -> None:
    pages = reference_pages(ROOT / "petseg")
    assert {"index", "petseg.labels", "petseg.metrics", "petseg.metrics.confusion"} <= set(pages)
    assert not any(name.startswith("petseg.upkeep") for name in pages)
    assert "automodule:: petseg.metrics.confusion\n" in pages["petseg.metrics.confusion"]
    assert "[`petseg.metrics.confusion`](petseg.metrics.confusion.md)" in pages["petseg.metrics"]


def test_the_first_page_has_a_start_for_each_reader_and_the_time_of_each_notebook(assembled: Path) -> None:
    text = (assembled / "index.md").read_text()
    for reader in ("You are a student", "You are an engineer", "You have a photo of your pet"):
        assert reader in text
    times = read_json(ROOT / minutes.RECORD)
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        title = sources.title(nbformat.read(path, as_version=4), path.name)
        quick = minutes.duration(times[path.stem]["quick"]["seconds"])
        assert f"| [{path.stem[:2]} {title}]({path.name}) | {quick} | " in text
    assert "(live.md)" in text
    assert "<!--" not in text


def test_a_notebook_without_a_title_is_named() -> None:
    with pytest.raises(DataError, match="01_a: its first cell has no title"):
        sources.title(new_notebook(cells=[new_markdown_cell("Text")]), "01_a")


def test_the_check_of_pages_finds_each_kind_of_fault_and_no_other(tmp_path: Path) -> None:
    (tmp_path / "good.html").write_text(
        '<main><h2 id="top">A</h2><a href="#top">up</a><a href="https://a.org">a</a></main>'
    )
    assert links.faults(tmp_path) == []
    (tmp_path / "bad.html").write_text(
        '<main><a href="gone.html">1</a><a href="good.html#nowhere">2</a><img src="data:,">'
        '<a href="good.html#top">ok</a><script src="https://cdn.example/x.js"></script>'
        '<script src="gone.js"></script></main>'
    )
    found = links.faults(tmp_path)
    assert len(found) == 5
    assert all(fault.startswith("bad.html: ") for fault in found)


@pytest.mark.skipif(find_spec("sphinx") is None or find_spec("myst_nb") is None, reason="needs the extra `site`")
def test_sphinx_builds_the_site_without_a_warning_and_every_link_leads_somewhere(tmp_path: Path) -> None:
    for name in ("notebooks", "figures", "data/README.md", "CHANGELOG.md", "pyproject.toml", "petseg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).symlink_to(ROOT / name)
    built = subprocess.run([sys.executable, "-m", "petseg.upkeep.site"], cwd=tmp_path, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    assert (tmp_path / "build/site/html/05_segment_your_pet.html").is_file()


def test_without_the_page_s_packages_the_site_says_how_to_get_them(tmp_path: Path) -> None:
    for name in ("package.json", "page.html"):
        (tmp_path / name).write_bytes((ROOT / live.SOURCE / name).read_bytes())
    assert not live.installed(tmp_path)
    assert "Node.js" in live.page_parts(tmp_path)["live"]
    there = tmp_path / "node_modules" / live.PACKAGE / "package.json"
    there.parent.mkdir(parents=True)
    there.write_text('{"version": "0.0.1"}')
    assert not live.installed(tmp_path)  # another version than package.json names
    version = read_json(ROOT / live.SOURCE / "package.json")["dependencies"][live.PACKAGE]
    there.write_text(f'{{"version": "{version}"}}')
    assert "petseg-comparison" in live.page_parts(tmp_path)["live"]


def test_without_npm_the_remedy_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "package.json").write_bytes((ROOT / live.SOURCE / "package.json").read_bytes())
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingError, match=r"^npm is missing, .* Install Node\.js"):
        live.install(tmp_path)


@pytest.mark.skipif(os.name == "nt", reason="the stand-in for npm is a shell script")
@pytest.mark.parametrize("works", [True, False])
def test_the_page_s_packages_are_there_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, works: bool
) -> None:
    source, npm = tmp_path / "live", tmp_path / "npm"
    source.mkdir()
    for name in ("package.json", "package-lock.json"):
        (source / name).write_bytes((ROOT / live.SOURCE / name).read_bytes())
    version = read_json(source / "package.json")["dependencies"][live.PACKAGE]
    npm.write_text(
        f"""#!/bin/sh
/bin/mkdir -p node_modules/{live.PACKAGE}
echo '{{"version": "{version}"}}' > node_modules/{live.PACKAGE}/package.json
test ! -e {source}/node_modules || exit 3
exit {0 if works else 1}
"""
    )
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    if works:
        live.install(source)
        live.install(source)  # is there
    else:
        with pytest.raises(MissingError, match="npm ci failed"):
            live.install(source)
    assert live.installed(source) == works
    assert len(list(source.iterdir())) == (3 if works else 2)


def test_the_lock_file_names_no_server() -> None:
    packages = read_json(ROOT / live.SOURCE / "package-lock.json")["packages"]
    assert f"node_modules/{live.PACKAGE}" in packages
    assert all("resolved" not in entry for entry in packages.values())
