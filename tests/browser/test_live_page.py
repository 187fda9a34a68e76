"""The site's live page in a real browser: what it computes equals what `Predictor` computes, and nothing leaves it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import chdir
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from servers import free_port, serving
from skimage.data import coffee

from petseg import Predictor, Segmentation
from petseg.apps.cutouts import no_pet
from petseg.apps.display import sample_photos
from petseg.inference.two_pass import pet_squares
from petseg.labels import palette
from petseg.models import zoo
from petseg.upkeep import site

ROOT = Path(__file__).resolve().parents[2]
WAIT = 60_000  # milliseconds; the tests run beside others


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the page, without the site's theme."""
    pytest.importorskip("onnxscript", reason='the exporter is not installed; pip install -e ".[export]" brings it')
    folder, port = tmp_path_factory.mktemp("live"), free_port()
    head = '<!doctype html><html lang="en"><meta charset="utf-8"><link rel="icon" href="data:,"><title>petseg</title>'
    with chdir(ROOT):
        if not site.install_runtime():
            pytest.skip("onnxruntime-web is not installed; make site fetches it with npm")
        site.write_live(folder / "live")
        (folder / "live.html").write_text(f"{head}<main>{site.fragment()}</main></html>")
    with serving(["-m", "http.server", str(port), "--bind", "127.0.0.1"], port, folder) as server:
        yield f"{server.address}/live.html"


@pytest.mark.parametrize(
    ("endings", "kind", "words"),
    [
        (".js", "text/plain", "scripts with the wrong type: live/page.js as text/plain. Have it send .js and .mjs as"),
        (".mjs", "text/plain", "scripts with the wrong type: live/ort.wasm.min.mjs as text/plain"),
        (".mjs", "application/octet-stream", "live/ort.wasm.min.mjs as application/octet-stream"),
        (".json", "text/html", "The server sends a page instead of settings.json"),
        (".onnx", "text/html", "The server sends a page instead of model.onnx"),
        (".json .onnx .wasm", "text/plain", "The model is loaded."),  # what browsers need not refuse
    ],
)
def test_a_server_that_sends_files_with_the_wrong_type_is_said_to_and_nothing_turns_for_ever(
    chromium: Any, address: str, endings: str, kind: str, words: str
) -> None:
    page = chromium.new_page()
    for ending in endings.split():
        page.route(f"**/live/*{ending}", lambda route: route.fulfill(response=route.fetch(), content_type=kind))
    page.goto(address)
    page.locator(".petseg-status", has_text=words).wait_for()
    page.locator(".petseg-live:not(.petseg-busy)").wait_for()
    page.close()


def test_opened_as_a_file_the_page_says_that_it_needs_a_server(chromium: Any, tmp_path: Path) -> None:
    (tmp_path / "live.html").write_text(site.fragment(), encoding="utf-8")
    page = chromium.new_page()
    page.goto((tmp_path / "live.html").as_uri())
    page.locator(".petseg-live:not(.petseg-busy)").wait_for()
    assert page.locator(".petseg-status").inner_text().startswith("Browsers run this page only from a web server: run")
    page.close()


@pytest.fixture
def requests() -> list[str]:
    """Addresses that the page of the same test has asked for, other than those of its own memory."""
    return []


@pytest.fixture
def page(chromium: Any, address: str, requests: list[str]) -> Iterator[Any]:
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(WAIT)
    errors: list[str] = []
    context.on("request", lambda seen: requests.append(seen.url) if seen.url.startswith("http") else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(address)
    page.locator(".petseg-ready").wait_for()
    page.wait_for_load_state("networkidle")
    yield page
    context.close()
    assert not errors


@lru_cache(maxsize=1)
def predictor() -> Predictor:
    return Predictor(site.MODEL, device="cpu")


def encoded(image: Image.Image, format: str, **settings: Any) -> bytes:
    file = BytesIO()
    image.save(file, format, **settings)
    return file.getvalue()


def choose(page: Any, data: bytes, name: str, words: str = "cut out in") -> str:
    """Chooses a file and waits until the page has said these words of it; returns the whole sentence."""
    page.set_input_files("input[type=file]", {"name": name, "mimeType": "image/jpeg", "buffer": data})
    page.locator(".petseg-status", has_text=words).and_(page.locator(".petseg-status", has_text=name)).wait_for()
    page.locator(".petseg-live:not(.petseg-busy)").wait_for()
    return str(page.locator(".petseg-status").inner_text())


def downloaded(page: Any, choice: str) -> Image.Image:
    page.get_by_role("radio", name=choice).check()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download PNG").click()
    with Image.open(download.value.path()) as image:
        image.load()
        return image


def class_map(page: Any) -> Any:
    """The labels of the page's class map: uint8 (H, W)."""
    pixels = np.asarray(downloaded(page, "class map").convert("RGB")).astype(int)
    distance = np.abs(pixels[:, :, None] - np.reshape(palette(), (3, 3))).sum(axis=-1)  # (H, W, 3)
    assert distance.min(axis=-1).max() == 0  # no other colour
    return distance.argmin(axis=-1)


def agreement(page: Any, result: Segmentation) -> tuple[float, float, float]:
    """Fraction of equal labels; mean differences of alpha, and of colours where the pet is opaque, of 0 to 255."""
    labels = class_map(page)
    assert labels.shape == result.mask.shape
    pixels = [np.asarray(image).astype(int) for image in (downloaded(page, "transparent"), result.cutout())]
    alpha, colors = (np.abs(pixels[0] - pixels[1])[..., part] for part in (3, slice(3)))
    shown = np.minimum(pixels[0][..., 3], pixels[1][..., 3]) > 127
    return float((labels == result.mask).mean()), float(alpha.mean()), float(colors[shown].mean())


def assert_equal_to_python(page: Any, data: bytes, name: str) -> None:
    choose(page, data, name)
    labels, alpha, colors = agreement(page, predictor()(data))
    print(f"{name}: {labels:.2%} of labels equal; mean difference of alpha {alpha:.2f}, of colours {colors:.2f}")
    assert labels >= 0.99
    assert alpha < 1
    assert colors < 2


@pytest.mark.parametrize("sample", list(sample_photos()))
def test_a_sample_is_segmented_as_python_segments_it(page: Any, sample: str) -> None:
    page.get_by_role("button", name=sample).click()
    page.locator(".petseg-status", has_text="cut out in").wait_for()
    labels, alpha, colors = agreement(page, predictor()(sample_photos()[sample]()))
    assert labels >= 0.999
    assert alpha < 0.5
    assert colors < 1


def kinds() -> dict[str, bytes]:
    """Chelsea in the ways in which people keep photos."""
    chelsea = sample_photos()["Chelsea the cat"]()
    note = Image.Exif()
    note[0x0112] = 6
    corner = chelsea.copy()
    corner.putalpha(Image.linear_gradient("L").resize(chelsea.size).point(lambda value: min(255, value * 2)))
    return {
        "phone.jpg": encoded(chelsea.transpose(Image.Transpose.ROTATE_90), "JPEG", quality=92, exif=note),
        "see-through.png": encoded(corner, "PNG"),
        "grey.png": encoded(chelsea.convert("L"), "PNG"),
        "print.jpg": encoded(chelsea.convert("CMYK"), "JPEG", quality=95),
        "large.jpg": encoded(chelsea.resize((4000, 3000)), "JPEG", quality=90),
        "narrow.webp": encoded(chelsea.crop((100, 0, 190, 300)), "WEBP", lossless=True),
    }


@pytest.mark.parametrize("name", list(kinds()))
def test_a_photo_of_any_kind_is_segmented_as_python_segments_it(page: Any, name: str) -> None:
    assert_equal_to_python(page, kinds()[name], name)


@pytest.mark.real_data
def test_photos_at_their_own_size_are_segmented_as_python_segments_them(page: Any, fullsize: Path) -> None:
    photos = sorted((fullsize / "oxford-iiit-pet" / "images").glob("*.jpg"))[::10]
    assert len(photos) == 6
    for photo in photos:
        assert_equal_to_python(page, photo.read_bytes(), photo.name)


def test_nothing_is_fetched_or_sent_once_the_page_is_loaded(page: Any, requests: list[str]) -> None:
    assert any(address.endswith("model.onnx") for address in requests)
    before = len(requests)
    choose(page, kinds()["phone.jpg"], "phone.jpg")
    for sample in sample_photos():
        page.get_by_role("button", name=sample).click()
        page.locator(".petseg-status", has_text=f"{sample}.png: ").wait_for()
    for choice in ("transparent", "colour", "blurred", "class map"):
        downloaded(page, choice)
    assert requests[before:] == []


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("diary.txt", b"Dear diary, today I met a cat.", "not an image"),
        ("cut.jpg", b"\xff\xd8\xff\xe0\0\0", "damaged, or of a kind that this browser cannot read. Save it"),
        ("phone.heic", b"\0\0\0\x18ftypheic\0\0\0\0", "cannot read HEIC"),
        ("empty.jpg", b"", "the file is empty"),
    ],
)
def test_a_file_that_is_no_photo_gets_one_sentence_and_the_page_goes_on(
    page: Any, name: str, data: bytes, words: str
) -> None:
    sentence = choose(page, data, name, words)
    assert "Error" not in sentence
    choose(page, kinds()["phone.jpg"], "phone.jpg")


def test_without_a_pet_there_is_a_sentence_and_no_cut_out(chromium: Any, address: str) -> None:
    page = chromium.new_page()
    settings = {**site.live_settings(), "found": {"sure": 1.1, "smallest": 0.1}}  # of no pixel a network is so sure
    page.route("**/settings.json", lambda route: route.fulfill(json=settings))
    page.goto(address)
    choose(page, kinds()["phone.jpg"], "phone.jpg", "No pet found in phone.jpg")
    assert page.locator(".petseg-result").is_hidden()
    page.close()


def test_what_does_not_look_like_a_cat_or_a_dog_is_a_question_and_is_shown_anyway_on_request(page: Any) -> None:
    data = encoded(Image.fromarray(coffee()), "PNG")
    result = predictor()(data)
    assert result.doubtful
    sentence = choose(page, data, "mug.png", "Is this a cat or a dog? No pet found in mug.png")
    assert sentence == no_pet("mug.png", result.doubtful)
    assert page.locator(".petseg-result").is_hidden()
    page.get_by_role("button", name="Show it anyway").click()
    page.locator(".petseg-status", has_text="mug.png: 600 x 400 pixels, cut out in").wait_for()
    assert agreement(page, result)[0] > 0.99
    choose(page, kinds()["phone.jpg"], "phone.jpg")
    assert page.get_by_role("button", name="Show it anyway").is_hidden()


def test_the_page_asks_the_classifier_about_the_parts_that_python_asks_about(page: Any) -> None:
    logits = torch.nn.functional.avg_pool2d(torch.randn(1, 3, 120, 150, generator=torch.manual_seed(0)), 21)[0]
    script = """async ([values, photo, settings]) => {
        const { petSquares } = await import("./live/two_pass.js");
        const logits = { data: Float32Array.from(values), channels: 3, height: 5, width: 7 };
        return petSquares(logits, photo, settings);
    }"""
    size = {"width": 1001, "height": 313}
    squares = page.evaluate(script, [logits.flatten().tolist(), size, site.live_settings()["pet_check"]])
    assert [tuple(square) for square in squares] == pet_squares(logits, (1001, 313))
    assert squares


def test_a_photo_is_dropped_or_pasted_and_the_line_moves_by_keyboard(page: Any) -> None:
    script = """([event, target, key]) => fetch(document.querySelector(".petseg-samples img").src)
        .then((answer) => answer.blob())
        .then((blob) => {
          const files = new DataTransfer();
          files.items.add(new File([blob], `${event}.png`));
          document.querySelector(target).dispatchEvent(new window[key](event, {
            bubbles: true, dataTransfer: files, clipboardData: files,
          }));
        })"""
    for event, target, kind in (("drop", ".petseg-drop", "DragEvent"), ("paste", "body", "ClipboardEvent")):
        page.evaluate(script, [event, target, kind])
        page.locator(".petseg-status", has_text=f"{event}.png: 451 x 300 pixels").wait_for()
    line = page.locator(".petseg-slider")
    line.focus()
    page.keyboard.press("Home")
    assert line.input_value() == "0"
    page.keyboard.press("ArrowRight")
    assert float(line.input_value()) > 0


def test_the_background_is_transparent_of_one_colour_or_the_blurred_photo(page: Any) -> None:
    page.get_by_role("button", name="Chelsea the cat").click()
    page.locator(".petseg-status", has_text="cut out in").wait_for()
    page.get_by_label("Colour of the background").fill("#00ff00")
    colored, blurred, clear = (downloaded(page, choice) for choice in ("colour", "blurred", "transparent"))
    outside = np.asarray(clear)[..., 3] == 0
    assert outside.any()
    assert (np.asarray(colored)[outside] == (0, 255, 0, 255)).all()
    photo = np.asarray(sample_photos()["Chelsea the cat"]())
    assert 0 < np.abs(np.asarray(blurred)[outside][:, :3].astype(int) - photo[outside]).mean() < 40


def test_a_phone_s_narrow_screen_needs_no_scrolling_to_the_side(page: Any) -> None:
    page.set_viewport_size({"width": 400, "height": 800})
    page.get_by_role("button", name="Chelsea the cat").click()
    page.locator(".petseg-status", has_text="cut out in").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 400


def test_the_page_s_model_is_small_and_computes_with_the_package_s_numbers() -> None:
    assert zoo.card(site.MODEL).parameters * 2 < 4_000_000
    settings = site.live_settings()
    assert settings["size"] == zoo.card(site.MODEL).size
    assert settings["two_pass"]["margin"] == 0.15
    assert settings["matte"]["side"] == 512


def test_the_types_of_the_page_s_modules_are_right() -> None:
    compiler = ROOT / site.LIVE / "node_modules" / ".bin" / "tsc"
    if not compiler.is_file():
        pytest.skip("TypeScript is not installed; npm ci in notebooks/site/live brings it")
    checked = subprocess.run([compiler], cwd=ROOT / site.LIVE, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout
