"""The upload panel in a real browser, in JupyterLab."""

import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
from axe import axe_faults
from lab import NOTEBOOK, NUMBERS, SECONDS, jupyterlab, open_panel, show, upload, wait_for, write_notebook
from PIL import Image
from servers import Server
from skimage.data import cat

#: The two pictures of the comparison.
BEFORE, AFTER = ".petseg-before img", ".petseg-after img"


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("lab")
    write_notebook(folder / NOTEBOOK)
    with jupyterlab(folder) as server:
        yield server


@pytest.fixture(scope="session")
def panel(chromium: Any, lab: Server) -> Iterator[Any]:
    """The panel in JupyterLab after Restart and Run All."""
    page = open_panel(chromium, lab)
    yield page
    page.close()


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos as people have them, good and bad."""
    folder = tmp_path_factory.mktemp("photos")
    chelsea = Image.fromarray(cat())
    note = Image.Exif()
    note[0x0112] = 6
    chelsea.transpose(Image.Transpose.ROTATE_90).save(folder / "phone.jpg", quality=92, exif=note)
    chelsea.save(folder / "chelsea.jpg", quality=92)
    (folder / "diary.jpg").write_text("Dear diary, today I met a cat.")
    (folder / "empty.jpg").touch()
    Image.effect_noise((1280, 1024), 100).save(folder / "noise.png")  # comes in two parts
    two = Image.new("RGB", (1400, 300), "#808080")
    for left in (50, 900):
        two.paste(chelsea.resize((300, 200)), (left, 50))
    two.save(folder / "two.png")
    return folder


def pixels(page: Any, image: str) -> Any:
    """What the browser shows for a picture of the panel: uint8 (H, W, 4)."""
    script = """async (image) => {
        await image.decode();
        const canvas = document.createElement("canvas");
        [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
        canvas.getContext("2d").drawImage(image, 0, 0);
        return canvas.toDataURL();
    }"""
    address = page.locator(image).evaluate(script)
    with Image.open(BytesIO(b64decode(address.partition(",")[2]))) as png:
        return np.asarray(png.convert("RGBA"))


def changed(page: Any, image: str, act: Callable[[], Any]) -> Any:
    """The pixels of a picture after an action that must change it."""
    old = page.locator(image).get_attribute("src")
    act()
    page.wait_for_function("([image, old]) => document.querySelector(image).src !== old", arg=[image, old])
    return pixels(page, image)


def test_a_photo_of_a_phone_comes_out_upright_and_cut_out(panel: Any, files: Path, tmp_path: Path) -> None:
    name = show(panel, files / "phone.jpg")
    wait_for(panel, f"{name}: 451 x 300 pixels")
    with panel.expect_download() as download:
        panel.get_by_role("button", name="Download", exact=True).click()
    assert download.value.suggested_filename == name.replace(".jpg", ".cutout.png")
    download.value.save_as(tmp_path / "phone.png")
    with Image.open(tmp_path / "phone.png") as cutout:
        assert (cutout.size, cutout.mode) == ((451, 300), "RGBA")
        assert cutout.getchannel("A").getextrema() == (0, 255)


def test_the_line_between_photo_and_cutout_follows_mouse_and_keyboard(panel: Any, files: Path) -> None:
    show(panel, files / "chelsea.jpg")
    comparison = panel.locator(".petseg-comparison")
    box = comparison.bounding_box()
    position = "element => parseFloat(element.style.getPropertyValue('--petseg-position'))"
    for fraction in (0.02, 0.8):
        comparison.click(position={"x": fraction * box["width"], "y": box["height"] / 2})
        assert abs(comparison.evaluate(position) - 100 * fraction) < 1
    panel.get_by_label("Move the line between photo and cut-out").focus()
    panel.keyboard.press("ArrowLeft")
    panel.keyboard.press("ArrowDown")  # which would choose another cell, were it JupyterLab's
    assert 77 < comparison.evaluate(position) < 79.5
    panel.keyboard.press("Home")
    assert comparison.evaluate(position) == 0


def test_settings_change_the_cutout_alone(panel: Any, files: Path) -> None:
    show(panel, files / "chelsea.jpg")
    photo = pixels(panel, BEFORE)
    assert pixels(panel, AFTER)[..., 3].min() == 0
    white = changed(panel, AFTER, panel.get_by_text("White", exact=True).click)
    assert white[..., 3].min() == 255
    panel.get_by_label("File format").select_option("JPEG")
    with panel.expect_download() as download:
        panel.get_by_role("button", name="Download", exact=True).click()
    assert download.value.suggested_filename.endswith(".cutout.jpg")
    transparent = changed(panel, AFTER, panel.get_by_text("Transparent", exact=True).click)
    assert panel.get_by_label("File format").input_value() == "png"  # a JPEG cannot be transparent
    grown = changed(panel, AFTER, panel.get_by_text("Looser", exact=True).click)
    assert (grown[..., 3] > 127).sum() > (transparent[..., 3] > 127).sum()
    assert grown.shape == photo.shape
    changed(panel, AFTER, panel.get_by_text("As found", exact=True).click)
    panel.get_by_text("Own picture", exact=True).click()
    with panel.expect_file_chooser() as chooser:
        panel.get_by_text("Choose a picture").click()
    chooser.value.set_files(files / "noise.png")
    panel.locator(f"{AFTER}[alt*='an image of your own']").wait_for()
    assert np.array_equal(pixels(panel, BEFORE), photo)
    changed(panel, AFTER, panel.get_by_text("Transparent", exact=True).click)


def test_several_photos_at_once_are_all_there_and_in_one_zip(panel: Any, files: Path, tmp_path: Path) -> None:
    names = upload(panel, *(files / f"{name}.jpg" for name in ("chelsea", "diary", "phone", "empty")))
    wait_for(panel, f"{names[1]}: not an image")
    wait_for(panel, f"{names[3]}: the file is empty")
    photos = panel.get_by_role("group", name="Open photos")
    assert photos.get_by_role("button", name=names[1]).count() == 0
    assert photos.get_by_role("button", name=names[0]).get_attribute("aria-pressed") == "true"
    photos.get_by_role("button", name=names[2]).click()
    wait_for(panel, f"{names[2]}: 451 x 300 pixels")
    with panel.expect_download() as download:
        panel.get_by_role("button", name="Download all (ZIP)").click()
    download.value.save_as(tmp_path / "all.zip")
    with ZipFile(tmp_path / "all.zip") as archive:
        assert {name.replace(".jpg", ".cutout.png") for name in (names[0], names[2])} <= set(archive.namelist())


def test_what_a_key_has_chosen_keeps_the_focus(panel: Any, files: Path) -> None:
    names = upload(panel, files / "two.png", files / "chelsea.jpg")
    has_focus = "element => element === document.activeElement"
    photos = panel.get_by_role("group", name="Open photos")
    for name in (names[1], names[0]):
        photos.get_by_role("button", name=name).press("Enter")
        panel.locator(f"{BEFORE}[alt='The photo {name}']").wait_for()
        assert photos.get_by_role("button", name=name).evaluate(has_focus)
    pet = panel.get_by_role("checkbox", name="2")
    changed(panel, AFTER, lambda: pet.press(" "))
    assert pet.evaluate(has_focus)
    assert not pet.is_checked()


def test_the_brush_removes_what_it_covers_and_undo_takes_it_back(panel: Any, files: Path) -> None:
    show(panel, files / "chelsea.jpg")
    before = pixels(panel, AFTER)
    changed(panel, AFTER, panel.get_by_role("button", name="Correct", exact=True).click)
    canvas = panel.locator(".petseg-brush")
    canvas.press("r")
    after = changed(panel, AFTER, lambda: canvas.press(" "))
    H, W = before.shape[:2]
    assert (before[H // 2, W // 2, 3], after[H // 2, W // 2, 3]) == (255, 0)
    again = changed(panel, AFTER, panel.get_by_role("button", name="Undo").click)
    assert np.array_equal(again[..., 3], before[..., 3])
    changed(panel, AFTER, panel.get_by_role("button", name="Done").click)


def test_the_panel_has_no_fault_that_axe_finds(panel: Any, files: Path) -> None:
    show(panel, files / "chelsea.jpg")
    jupyter = "name => window.jupyterapp.commands.execute('apputils:change-theme', { theme: name })"
    faults = {}
    for theme in ("Dark", "Light"):
        panel.evaluate(jupyter, f"JupyterLab {theme}")
        body = panel.locator(f"body[data-jp-theme-light='{str(theme == 'Light').lower()}']")
        body.wait_for(state="attached")  # a body has no box
        for width in (400, 1280):
            panel.locator(".petseg-front").evaluate(f"panel => panel.style.width = '{width}px'")
            faults[theme, width] = axe_faults(panel, ".petseg-front")
    panel.locator(".petseg-front").evaluate("panel => panel.style.width = ''")
    assert not any(faults.values()), faults


def test_a_sample_and_a_typed_path_are_one_key(panel: Any, files: Path) -> None:
    panel.get_by_role("button", name="Chelsea the cat").first.focus()
    panel.keyboard.press("Enter")
    wait_for(panel, "Chelsea the cat: 451 x 300 pixels")
    image = panel.get_by_role("group", name="Sample photos").locator("img").first
    assert image.evaluate("image => image.naturalWidth") == 128
    panel.get_by_label("Path or address").fill(str(files / "chelsea.jpg"))
    panel.keyboard.press("Enter")
    wait_for(panel, "chelsea.jpg: 451 x 300 pixels")


@pytest.mark.parametrize(("kind", "target"), [("drop", ".petseg-zone"), ("paste", "body")])
def test_a_photo_can_be_dropped_or_pasted(panel: Any, files: Path, dropped: Any, kind: str, target: str) -> None:
    name = f"{next(NUMBERS)} {kind}.jpg"
    panel.locator(".petseg-zone").hover()  # a paste is meant for the panel if the pointer is over it
    dropped(panel, target, kind, {"name": name, "buffer": (files / "phone.jpg").read_bytes()})
    wait_for(panel, f"{name}: 451 x 300 pixels")


@pytest.mark.parametrize("width", [400, 1280])
def test_the_panel_fits_its_width_and_the_comparison_a_screen(panel: Any, files: Path, width: int) -> None:
    show(panel, files / "chelsea.jpg")
    panel.locator(".petseg-front").evaluate(f"panel => panel.style.width = '{width}px'")
    script = """panel => [...panel.querySelectorAll("button, input:not(.petseg-unseen), select, p, span, canvas")]
        .filter((part) => !part.closest(".petseg-strip, .petseg-comparison"))
        .filter((part) => part.getBoundingClientRect().right > panel.getBoundingClientRect().right + 1)
        .map((part) => part.outerHTML)"""
    wide = panel.locator(".petseg-front").evaluate(script)
    height = panel.locator(".petseg-comparison").bounding_box()["height"]
    panel.locator(".petseg-front").evaluate("panel => panel.style.width = ''")
    assert wide == []
    assert 150 < height <= 560


def test_no_photo_is_in_the_saved_notebook(panel: Any, lab: Server, files: Path) -> None:
    (name,) = upload(panel, files / "chelsea.jpg")
    wait_for(panel, f"{name}: 451 x 300 pixels")
    notebook = lab.log.parent / NOTEBOOK
    before = notebook.stat().st_mtime_ns
    panel.keyboard.press("Control+s")
    end = time.monotonic() + 120
    while notebook.stat().st_mtime_ns == before and time.monotonic() < end:
        panel.wait_for_timeout(SECONDS / 10)
    assert notebook.stat().st_mtime_ns != before
    panel.wait_for_timeout(SECONDS / 2)  # written to the end
    saved = notebook.read_text()
    assert '"output_type": "display_data"' in saved or '"output_type": "execute_result"' in saved
    assert "data:image" not in saved
    assert len(saved) < 5_000
