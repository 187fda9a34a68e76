"""The site's live page in a real browser: what it computes equals what `Predictor` computes, and nothing leaves it."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import chdir
from functools import cache
from pathlib import Path
from typing import Any, Final
from zipfile import ZipFile

import numpy as np
import pytest
import torch
from axe import axe_faults
from inference.photo_files import encoded
from PIL import Image, ImageOps
from servers import free_port, serving
from skimage.data import camera

from petseg import Predictor, Segmentation
from petseg.apps.cutouts import EDGES, CutoutSettings, no_pet
from petseg.apps.display import sample_photos
from petseg.inference import correction, matting
from petseg.inference.correction import corrected_logits
from petseg.inference.two_pass import pet_squares
from petseg.labels import palette
from petseg.models import zoo
from petseg.upkeep import site

ROOT = Path(__file__).resolve().parents[2]
WAIT: Final = 90_000  # milliseconds; the tests run beside others
SIZE: Final[Any] = {"width": 1280, "height": 900}

#: Keeps what the page says in `window.said`.
LISTEN: Final = """
    window.said = [];
    new MutationObserver(() => said.push(document.querySelector(".petseg-status")?.textContent))
        .observe(document, { childList: true, subtree: true, characterData: true });
"""

#: Takes back all choices and closes all photos.
RESET: Final = """() => {
    const all = (what) => [...document.querySelectorAll(`.petseg-results ${what}`)];
    const click = (text) => all("button").find((button) => button.textContent === text).click();
    if (all(".petseg-correcting").length) click("Done");
    for (const fold of all("details")) fold.open = false;
    for (const box of all(".petseg-options .petseg-check input:checked")) box.click();
    for (const choice of all("input:is([value=transparent], [value='as found'], [value=keep])")) choice.click();
    for (const photo of all(".petseg-strip button")) click("Close");
}"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the page, without the site's theme."""
    pytest.importorskip("onnxscript", reason='the exporter is not installed; pip install -e ".[export]" brings it')
    folder = tmp_path_factory.mktemp("live")
    head = '<!doctype html><html lang="en"><meta charset="utf-8"><link rel="icon" href="data:,"><title>petseg</title>'
    head += '<meta name="viewport" content="width=device-width">'
    with chdir(ROOT):
        if not site.install_runtime():
            pytest.skip("onnxruntime-web is not installed; make site fetches it with npm")
        (folder / "live.html").write_text(f"{head}<main>{site.fragment()}</main></html>")
        site.write_live(folder)
    return folder


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    """The address of the page."""
    port = free_port()
    with serving(["-m", "http.server", str(port), "--bind", "127.0.0.1"], port, folder) as server:
        yield f"{server.address}/live.html"


@pytest.fixture(scope="module")
def predictor(folder: Path) -> Predictor:
    """The page's network in Python, with the page's weights of 8 bits."""
    predictor = Predictor(site.MODEL, device="cpu")
    session = pytest.importorskip("onnxruntime").InferenceSession(folder / "live/model.onnx")
    predictor.logits = lambda image: torch.from_numpy(session.run(["logits"], {"image": image.numpy()})[0])
    return predictor


class SharedPage:
    """The page, which is loaded once for the tests of this module, and again after one that failed.

    Attributes:
        requests: addresses that the page has asked for since the test began, other than those of its own memory.
        errors: exceptions of its scripts since then.
        loaded: addresses that it asked for while it was loaded.
    """

    def __init__(self, browser: Any, address: str) -> None:
        self.browser, self.address = browser, address
        self.page: Any = None
        self.requests: list[str] = []
        self.errors: list[str] = []
        self.loaded: list[str] = []

    def as_at_first(self) -> Any:
        """The page as a visitor finds it."""
        if self.page is None or not self._is_reset():
            self.close()
            self._load()
        self.requests.clear()
        self.errors.clear()
        return self.page

    def close(self) -> None:
        """Closes it."""
        if self.page:
            self.page.context.close()

    def _is_reset(self) -> bool:
        try:
            drawn(self.page, milliseconds=10_000)
            self.page.evaluate(RESET)
            self.page.set_viewport_size(SIZE)
            drawn(self.page, milliseconds=10_000)
        except Exception:  # the test before failed in the middle of something
            return False
        return True

    def _load(self) -> None:
        context = self.browser.new_context(viewport=SIZE)
        context.on("request", lambda seen: self.requests.append(seen.url) if seen.url.startswith("http") else None)
        self.page = context.new_page()
        self.page.set_default_timeout(WAIT)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.add_init_script(LISTEN)
        self.page.goto(self.address)
        self.page.locator(".petseg-ready").wait_for()
        self.page.wait_for_load_state("networkidle")
        self.loaded = list(self.requests)


@pytest.fixture(scope="module")
def shared(chromium: Any, address: str) -> Iterator[SharedPage]:
    shared = SharedPage(chromium, address)
    yield shared
    shared.close()


@pytest.fixture
def page(shared: SharedPage) -> Iterator[Any]:
    yield shared.as_at_first()
    assert not shared.errors
    assert not shared.requests, "the page asked for something after it was loaded"


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
    page.set_default_timeout(WAIT)
    for ending in endings.split():
        page.route(f"**/live/*{ending}", lambda route: route.fulfill(response=route.fetch(), content_type=kind))
    page.goto(address)
    page.locator(".petseg-live", has_text=words).wait_for()
    page.locator(".petseg-busy").wait_for(state="detached")
    page.unroute_all(behavior="ignoreErrors")  # for what is still on its way
    page.close()


def test_a_file_that_comes_after_a_refused_one_does_not_start_the_loading_again(chromium: Any, address: str) -> None:
    page, late = chromium.new_page(), []
    page.set_default_timeout(WAIT)
    page.route("**/live/*.onnx", lambda route: route.fulfill(body="<p>Not found</p>", content_type="text/html"))
    page.route("**/live/*.wasm", lambda route: late.append(route))
    page.goto(address)
    page.locator(".petseg-live", has_text="The server sends a page instead of model.onnx").wait_for()
    page.evaluate(LISTEN)
    with page.expect_event("requestfinished", lambda request: request.url.endswith(".wasm")):
        late[0].continue_()
    page.wait_for_timeout(500)  # for the worker to tell of each part
    assert not [text for text in page.evaluate("said") if "Loading" in text]
    assert page.locator(".petseg-busy").count() == 0
    page.unroute_all(behavior="ignoreErrors")
    page.close()


def test_opened_as_a_file_the_page_says_that_it_needs_a_server(chromium: Any, tmp_path: Path) -> None:
    (tmp_path / "live.html").write_text(site.fragment(), encoding="utf-8")
    page = chromium.new_page()
    page.set_default_timeout(WAIT)
    page.goto((tmp_path / "live.html").as_uri())
    page.locator(".petseg-status", has_text="Browsers run").wait_for()
    page.locator(".petseg-busy").wait_for(state="detached")
    assert page.locator(".petseg-status").inner_text().startswith("Browsers run this page only from a web server: run")
    page.close()


def choose(page: Any, data: bytes, name: str, words: str = "segmented by") -> str:
    """Chooses a file and waits until the page has said these words of it; returns the whole sentence."""
    payload = {"name": name, "mimeType": "image/jpeg", "buffer": data}
    page.locator(".petseg-zone input[type=file]").first.set_input_files(payload)
    sentence = page.locator(".petseg-status, .petseg-message").filter(has_text=words).filter(has_text=name)
    sentence.first.wait_for()
    drawn(page)
    return str(sentence.first.inner_text())


def sample(page: Any, name: str) -> None:
    """Chooses a sample and waits until it is shown."""
    page.get_by_role("group", name="Sample photos").get_by_role("button", name=name).click()
    page.locator(".petseg-status", has_text=f"{name}: ").wait_for()
    drawn(page)


def focus_is_inside(page: Any) -> bool:
    """Whether the next key is for the front."""
    return bool(page.evaluate("document.activeElement.closest('.petseg-front') !== null"))


def drawn(page: Any, milliseconds: float = WAIT) -> None:
    """Waits until the page has done all its work."""
    script = """() => {
        const open = document.querySelector(".petseg-open");
        const shown = !open || document.querySelector(".petseg-before img").src.startsWith("blob");
        return shown && !document.querySelector(".petseg-busy");
    }"""
    page.wait_for_function(script, timeout=milliseconds)
    page.wait_for_timeout(100)


def downloaded(page: Any, background: str = "Transparent", button: str = "Download") -> Image.Image:
    """The file that a button gives, with this background."""
    if button == "Download":
        page.get_by_text(background, exact=True).click()
    with page.expect_download() as download:
        page.get_by_role("button", name=button, exact=True).click()
    with Image.open(download.value.path()) as image:
        image.load()
        return image


def class_map(page: Any) -> Any:
    """The labels of the page's class map: uint8 (H, W)."""
    page.locator("details").evaluate("details => details.open = true")
    pixels = np.asarray(downloaded(page, button="Download class map").convert("RGB")).astype(int)
    distance = np.abs(pixels[:, :, None] - np.reshape(palette(), (3, 3))).sum(axis=-1)  # (H, W, 3)
    assert distance.min(axis=-1).max() == 0  # no other colour
    return distance.argmin(axis=-1)


def agreement(page: Any, result: Segmentation) -> tuple[float, float, float]:
    """Fraction of equal labels; mean differences of alpha, and of colours where the pet is opaque, of 0 to 255."""
    labels = class_map(page)
    assert labels.shape == result.mask.shape
    pixels = [np.asarray(image).astype(int) for image in (downloaded(page), result.cutout())]
    alpha, colors = (np.abs(pixels[0] - pixels[1])[..., part] for part in (3, slice(3)))
    shown = np.minimum(pixels[0][..., 3], pixels[1][..., 3]) > 127
    return float((labels == result.mask).mean()), float(alpha.mean()), float(colors[shown].mean())


def assert_agreement(page: Any, result: Segmentation) -> None:
    labels, alpha, colors = agreement(page, result)
    print(f"{labels:.2%} of labels equal; mean difference of alpha {alpha:.2f}, of colours {colors:.2f}")
    assert labels >= 0.999
    assert alpha < 0.5
    assert colors < 1


@pytest.mark.parametrize("name", list(sample_photos()))
def test_a_sample_is_segmented_as_python_segments_it(page: Any, predictor: Predictor, name: str) -> None:
    sample(page, name)
    assert_agreement(page, predictor(sample_photos()[name]()))


@cache
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
        "large.jpg": encoded(chelsea.resize((1600, 1200)), "JPEG", quality=90),
        "far.jpg": encoded(ImageOps.expand(chelsea, 300, (90, 110, 70)), "JPEG", quality=92),  # a small pet
        "narrow.webp": encoded(chelsea.crop((100, 0, 190, 300)), "WEBP", lossless=True),
    }


@pytest.mark.parametrize("name", list(kinds()))
def test_a_photo_of_any_kind_is_segmented_as_python_segments_it(page: Any, predictor: Predictor, name: str) -> None:
    choose(page, kinds()[name], name)
    assert_agreement(page, predictor(kinds()[name]))


@pytest.mark.real_data
def test_photos_at_their_own_size_are_segmented_as_python_segments_them(
    page: Any, predictor: Predictor, fullsize: Path
) -> None:
    photos = sorted((fullsize / "oxford-iiit-pet" / "images").glob("*.jpg"))[::20]
    assert len(photos) == 3
    for photo in photos:
        choose(page, photo.read_bytes(), photo.name)
        assert_agreement(page, predictor(photo.read_bytes()))


def test_overlay_and_class_map_are_drawn_as_in_python(page: Any, predictor: Predictor) -> None:
    choose(page, kinds()["large.jpg"], "large.jpg")
    result, shown = predictor(kinds()["large.jpg"]), "key => document.querySelector(`img[data-key=${key}]`).src"
    page.locator("details").evaluate("details => details.open = true")
    page.wait_for_function(f"({shown})('confidence').startsWith('blob')")  # the last one
    for opacity in (1, 0.5):
        overlay = page.evaluate(shown, "overlay")
        page.get_by_label("Opacity").fill(str(opacity))
        page.wait_for_function(f"old => ({shown})('overlay') !== old", arg=overlay)
        expected = np.asarray(result.overlay(opacity)).astype(int)
        difference = np.abs(np.asarray(downloaded(page, button="Download overlay").convert("RGB")) - expected)
        assert difference.mean() < 2
        assert (difference.max(axis=-1) > 80 * opacity).mean() < 0.005  # at the edge, one may be a pixel further
    hatched = """async () => {
        const image = document.querySelector("img[data-key=mask]");
        const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
        const ink = canvas.getContext("2d");
        ink.drawImage(image, 0, 0);
        const { data } = ink.getImageData(0, 0, canvas.width, canvas.height);
        return data.filter((value, i) => i % 4 === 0 && value === 0x22).length;
    }"""
    assert page.evaluate(hatched) > 100


def test_a_file_that_is_no_photo_gets_one_sentence_and_the_page_goes_on(page: Any, shared: SharedPage) -> None:
    sample(page, "Chelsea the cat")
    for name, data, words in (
        ("diary.txt", b"Dear diary, today I met a cat.", "not an image"),
        ("cut.jpg", b"\xff\xd8\xff\xe0\0\0", "damaged, or of a kind that this browser cannot read. Save it"),
        ("phone.heic", b"\0\0\0\x18ftypheic\0\0\0\0", "cannot read HEIC"),
        ("empty.jpg", b"", "the file is empty"),
    ):
        sentence = choose(page, data, name, words)
        assert "Error" not in sentence
        assert page.locator(".petseg-status").inner_text().startswith("Chelsea the cat: 451 x 300 pixels")
        assert downloaded(page).size == (451, 300)  # a file that failed spoils nothing of what is there
    page.evaluate("""() => {
        const gone = new File(["x"], "gone.jpg");
        gone.slice = () => ({ arrayBuffer: () => Promise.reject(new DOMException("", "NotReadableError")) });
        return import("./live/photo.js").then(({ bitmapOf }) => bitmapOf(gone, gone.name)).catch((error) => {
            window.refused = error.message;
        });
    }""")
    assert page.evaluate("refused").startswith("gone.jpg: cannot be read: it is a folder, or has changed or gone")
    shared.requests.clear()  # the import
    choose(page, kinds()["phone.jpg"], "phone.jpg")


def test_a_sample_that_did_not_load_is_one_sentence(chromium: Any, address: str) -> None:
    page = chromium.new_page()
    page.set_default_timeout(WAIT)
    page.route("**/cartoon%20cat.png", lambda route: route.fulfill(status=404))
    page.goto(address)
    page.locator(".petseg-ready").wait_for()
    page.get_by_role("button", name="cartoon cat").click()
    page.get_by_text("cartoon cat: did not load. Load the page again.").wait_for()
    sample(page, "Chelsea the cat")
    page.close()


def test_what_does_not_look_like_a_cat_or_a_dog_is_a_question_and_is_shown_anyway_on_request(
    page: Any, predictor: Predictor
) -> None:
    data = encoded(Image.fromarray(camera()[:256, :256]), "PNG")  # a man's head, which is cut out
    result = predictor(data)
    assert result.doubtful
    sentence = choose(page, data, "man.png", "Is this a cat or a dog? No pet found in man.png")
    assert sentence == no_pet("man.png", result.doubtful)
    assert page.get_by_role("button", name="Download", exact=True).is_hidden()
    page.get_by_role("button", name="Show it anyway").click()
    page.get_by_role("button", name="Download", exact=True).wait_for()
    drawn(page)
    assert agreement(page, result)[0] > 0.99
    choose(page, data, "again.png", "Is this a cat or a dog?")
    page.get_by_role("button", name="Correct", exact=True).click()
    drawn(page)
    page.locator(".petseg-brush").press(" ")
    page.get_by_role("button", name="Download", exact=True).wait_for()
    page.get_by_role("button", name="Undo").click()
    page.get_by_role("button", name="Show it anyway").wait_for()  # it is a question again
    choose(page, kinds()["phone.jpg"], "phone.jpg")
    assert page.get_by_role("button", name="Show it anyway").is_hidden()


def test_the_page_asks_the_classifier_about_the_parts_that_python_asks_about(page: Any, shared: SharedPage) -> None:
    logits = torch.nn.functional.avg_pool2d(torch.randn(1, 3, 120, 150, generator=torch.manual_seed(0)), 21)[0]
    script = """async ([values, photo, settings]) => {
        const { petSquares } = await import("./live/two_pass.js");
        const logits = { data: Float32Array.from(values), channels: 3, height: 5, width: 7 };
        return petSquares(logits, photo, settings);
    }"""
    size = {"width": 1001, "height": 313}
    squares = page.evaluate(script, [logits.flatten().tolist(), size, site.live_settings()["pet_check"]])
    shared.requests.clear()  # the import
    assert [tuple(square) for square in squares] == pet_squares(logits, (1001, 313))
    assert squares


def test_a_photo_is_dropped_or_pasted_and_the_line_moves_by_keyboard(page: Any, dropped: Any) -> None:
    for kind, target in (("drop", ".petseg-zone"), ("paste", "body")):
        dropped(page, target, kind, {"name": f"{kind}.jpg", "buffer": kinds()["phone.jpg"]})
        page.locator(".petseg-status", has_text=f"{kind}.jpg: 451 x 300 pixels").wait_for()
    line = page.locator(".petseg-slider")
    line.focus()
    page.keyboard.press("Home")
    assert line.input_value() == "0"
    page.keyboard.press("ArrowRight")
    assert float(line.input_value()) > 0


def test_the_background_is_transparent_of_one_colour_or_the_blurred_photo_or_an_own_picture(page: Any) -> None:
    sample(page, "Chelsea the cat")
    page.get_by_text("Colour", exact=True).click()
    page.get_by_label("Colour of the background").fill("#00ff00")
    images = {choice: np.asarray(downloaded(page, choice)) for choice in ("Colour", "White", "Blurred", "Transparent")}
    outside = images["Transparent"][..., 3] == 0
    assert outside.any()
    for choice, color in (("Colour", (0, 255, 0, 255)), ("White", (255, 255, 255, 255))):
        assert (images[choice][outside] == color).all()
    photo = np.asarray(sample_photos()["Chelsea the cat"]())
    assert 0 < np.abs(images["Blurred"][outside][:, :3].astype(int) - photo[outside]).mean() < 40
    page.get_by_text("Own picture", exact=True).click()
    own = {"name": "wall.png", "mimeType": "image/png", "buffer": encoded(Image.new("RGB", (9, 9), "red"), "PNG")}
    page.locator(".petseg-chips input[type=file]").set_input_files(own)
    page.locator(".petseg-small", has_text="wall.png").wait_for()
    assert (np.asarray(downloaded(page, "Own picture"))[outside] == (255, 0, 0, 255)).all()
    glass = encoded(Image.new("RGBA", (9, 9), (255, 0, 0, 0)), "PNG")
    page.locator(".petseg-chips input[type=file]").set_input_files(own | {"name": "glass.png", "buffer": glass})
    page.locator(".petseg-small", has_text="glass.png").wait_for()
    assert (np.asarray(downloaded(page, "Own picture"))[outside] == 255).all()


def test_the_edge_is_moved_and_softened_and_the_crop_is_where_python_has_them(page: Any, predictor: Predictor) -> None:
    sample(page, "Chelsea the cat")
    page.get_by_label("Crop to the pet").check()
    result = predictor(sample_photos()["Chelsea the cat"]())
    for edge in EDGES:
        page.get_by_text(edge.capitalize(), exact=True).click()
        images = [downloaded(page), CutoutSettings(None, True, "png", *EDGES[edge]).draw(result)]
        assert np.allclose(images[0].size, images[1].size, atol=4)
        alphas = [np.asarray(image.resize((300, 200)).getchannel("A")).astype(int) for image in images]
        assert np.abs(alphas[0] - alphas[1]).mean() < 3, edge


def test_what_a_photo_shows_through_stays_so_with_any_edge(page: Any, predictor: Predictor) -> None:
    cutout = predictor(sample_photos()["Chelsea the cat"]()).cutout()
    choose(page, encoded(cutout, "PNG"), "cut-out.png")
    for edge in EDGES:
        page.get_by_text(edge.capitalize(), exact=True).click()
        assert np.asarray(downloaded(page))[np.asarray(cutout)[..., 3] == 0, 3].max() == 0, edge


@pytest.mark.parametrize("crop", [False, True])
def test_a_soft_shadow_is_where_python_has_it(page: Any, predictor: Predictor, crop: bool) -> None:
    scene = Image.new("RGB", (1500, 1000), "#808080")
    scene.paste(sample_photos()["Chelsea the cat"]().resize((300, 200)), (900, 600))
    choose(page, encoded(scene, "PNG"), "scene.png")
    page.get_by_label("Soft shadow").check()
    page.get_by_label("Crop to the pet").set_checked(crop)
    result = predictor(scene)
    settings = [CutoutSettings(shadow=shadow, crop=crop) for shadow in (True, False)]
    images = [downloaded(page), *(each.draw(result) for each in settings)]
    W, H = np.min([image.size for image in images], axis=0)  # the two may crop a pixel apart
    page_alpha, alpha, bare = (np.asarray(image.getchannel("A"))[:H, :W].astype(int) for image in images)
    assert np.abs(alpha - bare).sum() > 20 * np.abs(alpha - page_alpha).sum()


def test_an_error_of_the_worker_is_a_sentence_and_the_page_waits_no_longer(page: Any) -> None:
    script = """async (state) => {
        const { PageEngine } = await import("./live/engine.js");
        const engine = new PageEngine(state, async () => { throw new Error("Out of memory."); });
        engine.settings = { edges: {} };
        engine.entries.set(1, { number: 1, name: "rex.jpg", found: true });
        const files = ["cutout", "all"].map((kind) => engine.file(kind).catch((error) => error.name));
        return [await Promise.all(files), state.busy, state.messages];
    }"""
    state = {"samples": [], "messages": [], "photo": 1, "background": "white", "classes": [], "format": "png"}
    assert page.evaluate(script, state) == [["AbortError"] * 2, "", ["Out of memory."] * 2]


def test_of_a_photo_that_is_closed_while_it_is_drawn_or_corrected_nothing_is_said(page: Any) -> None:
    script = """async (state) => {
        const { PageEngine } = await import("./live/engine.js");
        const ask = async (question, { kind }) => {
            if (question === "close") return {};
            if (kind !== "after") throw new Error("This photo is closed.");
            engine.close(1);
            return { frame: [0, 0, 9, 9] };
        };
        const engine = new PageEngine(state, ask);
        engine.settings = { edges: {} };
        const open = () => {
            engine.entries.set(1, { number: 1, name: "rex.jpg", found: true, edits: [] });
            engine.put({ photo: 1 });
        };
        open();
        await engine.draw();
        open();
        engine.send({ type: "undo" });
        engine.close(1);
        await engine.queue;
        return state.messages;
    }"""
    state = {"samples": [], "messages": [], "background": "white", "classes": []}
    assert page.evaluate(script, state) == []


def test_without_a_pet_there_is_a_sentence_and_no_cut_out(page: Any) -> None:
    choose(page, wall(), "wall.png", "No pet found in wall.png, so there is no cut-out of it.")
    assert page.get_by_role("button", name="Download", exact=True).is_hidden()
    page.get_by_role("button", name="Show it anyway").wait_for(state="hidden")


def wall() -> bytes:
    """A photo of nothing."""
    return encoded(Image.new("RGB", (300, 200), "grey"), "PNG")


def test_several_photos_are_open_one_is_shown_any_can_be_closed_and_all_are_one_zip(page: Any) -> None:
    files = {"wall.png": wall(), "rex.jpg": kinds()["phone.jpg"], "Rex.jpg": kinds()["grey.png"], "sofa.png": wall()}
    payloads = [{"name": name, "mimeType": "image/png", "buffer": data} for name, data in files.items()]
    page.locator(".petseg-zone input[type=file]").first.set_input_files(payloads)
    photos = page.get_by_role("group", name="Open photos")
    photos.get_by_role("button", name="sofa.png").wait_for()
    drawn(page)
    assert page.locator(".petseg-status").inner_text().startswith("rex.jpg: ")  # the first that has a pet
    with page.expect_download() as download:
        page.get_by_role("button", name="Download all (ZIP)").click()
    with ZipFile(download.value.path()) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["rex.cutout.png", "Rex-2.cutout.png"]
        with Image.open(archive.open("rex.cutout.png")) as image:
            assert (image.size, image.mode) == ((451, 300), "RGBA")
    for left in (3, 2, 1, 0):
        page.get_by_role("button", name="Close", exact=True).click()
        page.wait_for_function("n => document.querySelectorAll('.petseg-strip button').length === n", arg=left)
    assert page.get_by_role("button", name="Close", exact=True).is_hidden()


def test_a_photo_is_shown_although_the_one_before_was_closed_while_it_was_segmented(page: Any) -> None:
    payloads = [{"name": name, "mimeType": "image/jpeg", "buffer": kinds()["phone.jpg"]} for name in ("a.jpg", "b.jpg")]
    page.locator(".petseg-zone input[type=file]").first.set_input_files(payloads)
    page.locator(".petseg-status", has_text="Cutting out b.jpg").wait_for()
    page.get_by_role("button", name="Close", exact=True).click()
    page.locator(".petseg-status", has_text="b.jpg: ").wait_for()
    drawn(page)
    assert downloaded(page).size == (451, 300)


def test_strokes_are_followed_and_decide_the_matte_as_in_python(page: Any, shared: SharedPage) -> None:
    generator = np.random.default_rng(0)
    logits = generator.normal(0, 3, (3, 12, 16)).astype(np.float32)
    logits[:, 8:, 11:] = np.array([-5, 5, -5])[:, None, None]  # what is kept amid background would be a speck
    keep, remove = np.zeros((2, 90, 120), bool)
    keep[10:14, 20:60] = keep[70:80, 100:104] = True
    remove[12:50, 50:54] = remove[60:62, 5:90] = True
    script = """async ([values, keep, remove, settings]) => {
        const { correctedLogits } = await import("./live/correction.js");
        const { matte } = await import("./live/matting.js");
        const logits = { data: Float32Array.from(values), channels: 3, height: 12, width: 16 };
        const masks = [keep, remove].map((mask) => Uint8Array.from(mask));
        const size = { width: 120, height: 90 };
        const corrected = correctedLogits(logits, size, ...masks, settings.correction);
        const photo = { ...size, data: new Uint8Array(3 * 120 * 90).fill(128), channels: 3 };
        return [[...corrected.data], [...matte(photo, corrected, settings.matte)]];
    }"""
    masks = [mask.astype(int).ravel().tolist() for mask in (keep, remove)]
    computed, alpha = page.evaluate(script, [logits.ravel().tolist(), *masks, site.live_settings()])
    shared.requests.clear()  # the imports
    expected = corrected_logits(logits, keep, remove)
    assert (np.abs(expected) == correction.SPREAD).any()
    np.testing.assert_allclose(np.reshape(computed, expected.shape), expected, atol=1e-4)
    opacity = np.where(remove, 0, 255)[keep | remove]
    for found in (np.reshape(alpha, keep.shape), matting.matte(Image.new("RGB", (120, 90), "gray"), expected)):
        assert np.array_equal(found[keep | remove], opacity)


def test_the_brush_removes_and_keeps_and_undo_takes_it_back_by_mouse_and_keyboard(page: Any) -> None:
    sample(page, "Chelsea the cat")
    before = np.asarray(downloaded(page))[..., 3]
    H, W = before.shape
    assert before[H // 2, round(0.56 * W)] == 255
    page.get_by_role("button", name="Correct", exact=True).click()
    canvas = page.locator(".petseg-brush")
    drawn(page)

    def with_mouse() -> None:
        page.get_by_text("Remove", exact=True).click()
        box = canvas.bounding_box()
        page.mouse.move(box["x"] + 0.4 * box["width"], box["y"] + 0.5 * box["height"])
        page.mouse.down()
        page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.5 * box["height"], steps=4)
        page.mouse.up()

    def with_keyboard() -> None:
        for key in ("k", "r", "ArrowLeft", "ArrowLeft", " "):
            canvas.press(key)

    canvas.click(button="right")
    assert page.locator(".petseg-tools + .petseg-row").get_by_role("button", name="Undo").is_disabled()
    for paint in (with_mouse, with_keyboard):
        paint()
        page.wait_for_function("!document.querySelector('.petseg-tools + .petseg-row button').disabled")
        drawn(page)
        assert np.asarray(downloaded(page))[H // 2, round(0.56 * W), 3] < 8
        page.get_by_role("button", name="Undo").click()
        page.wait_for_function("document.querySelector('.petseg-tools + .petseg-row button').disabled")
        assert focus_is_inside(page)
        drawn(page)
        assert np.array_equal(np.asarray(downloaded(page))[..., 3], before)
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + 0.4 * box["width"], box["y"] + 0.5 * box["height"])
    page.mouse.down()
    canvas.press("Escape")  # while it paints: the stroke is given up
    assert canvas.is_hidden()
    assert focus_is_inside(page)
    page.mouse.up()
    page.get_by_role("button", name="Correct", exact=True).click()
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.5 * box["height"])
    assert page.locator(".petseg-tools + .petseg-row").get_by_role("button", name="Undo").is_disabled()
    canvas.press("Escape")


def test_zoom_enlarges_the_comparison_and_shows_the_photos_own_pixels(page: Any) -> None:
    choose(page, kinds()["large.jpg"], "large.jpg")
    width = "document.querySelector('.petseg-before img').naturalWidth"
    page.wait_for_function(f"{width} === 1440")
    box = page.locator(".petseg-comparison")
    small = box.bounding_box()["width"]
    page.get_by_role("button", name="Zoom to the photo's own pixels").click()
    assert abs(box.bounding_box()["width"] - 1600) < 2
    while page.get_by_role("button", name="Zoom out").is_enabled():
        page.get_by_role("button", name="Zoom out").click()
    page.get_by_role("button", name="Zoom in").click()
    assert abs(box.bounding_box()["width"] / small - 1.5) < 0.01
    page.wait_for_function(f"{width} === 1600")
    page.locator(".petseg-viewer").press("ArrowDown")
    page.wait_for_function("document.querySelector('.petseg-viewer').scrollTop > 0")
    page.get_by_role("button", name="Zoom to the photo's own pixels").click()
    assert abs(box.bounding_box()["width"] - 1600) < 2
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280


def test_the_page_fits_each_width_and_has_no_fault_that_axe_finds(page: Any) -> None:
    samples = page.get_by_role("group", name="Sample photos").get_by_role("button")
    for width in (400, 1280):
        page.set_viewport_size({"width": width, "height": 800})
        assert len({button.bounding_box()["y"] for button in samples.all()}) == 1
    sample(page, "Chelsea the cat")
    for width in (400, 1280):
        page.set_viewport_size({"width": width, "height": 800})
        page.evaluate("scrollTo(0, 0)")
        for part in (page.locator(".petseg-comparison"), page.get_by_role("button", name="Download", exact=True)):
            box = part.bounding_box()
            assert box["y"] + box["height"] <= 800
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.get_by_text("Colour", exact=True).click()
    page.locator("details").evaluate("details => details.open = true")
    page.get_by_role("button", name="Correct", exact=True).click()
    drawn(page)
    faults = {}
    for theme in ("dark", "light"):
        page.evaluate(
            """theme => {
                document.documentElement.dataset.theme = theme;
                document.body.style.cssText = theme === "dark" ? "background: #14181e; color: #ced6dd" : "";
            }""",
            theme,
        )
        for width in (400, 1280):
            page.set_viewport_size({"width": width, "height": 900})
            faults[theme, width] = axe_faults(page, ".petseg-front")
    assert not any(faults.values()), faults


def test_a_phone_offers_its_camera_and_no_paste(chromium: Any, address: str) -> None:
    context = chromium.new_context(viewport={"width": 400, "height": 800}, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.set_default_timeout(WAIT)
    page.goto(address)
    page.locator(".petseg-zone").wait_for()
    assert page.get_by_text("Take a photo").is_visible()
    assert page.get_by_text("or paste one").is_hidden()
    assert page.get_by_text("Photos of your pet", exact=True).is_visible()
    assert page.get_by_text("Drop photos of your pet here").is_hidden()
    context.close()


def test_a_browser_offers_to_install_the_page(page: Any, shared: SharedPage) -> None:
    session = page.context.new_cdp_session(page)
    assert session.send("Page.getAppManifest")["url"].endswith("/live/manifest.json")
    faults = session.send("Page.getInstallabilityErrors")["installabilityErrors"]
    assert {fault["errorId"] for fault in faults} <= {"in-incognito"}  # as every page of these tests is
    shared.requests.clear()  # the browser fetches manifest and icon when it is asked


def test_after_the_first_visit_the_page_works_without_a_network(chromium: Any, address: str) -> None:
    context = chromium.new_context()
    page = context.new_page()
    page.set_default_timeout(WAIT)
    page.goto(address)
    page.evaluate("""() => {
        caches.open("of another app");
        navigator.serviceWorker.register("offline.js");
        navigator.serviceWorker.ready.then(() => (window.kept = true));
    }""")
    page.wait_for_function("window.kept")  # with a limit, which a promise has not
    context.set_offline(True)
    page.reload()
    page.locator(".petseg-ready").wait_for()
    sample(page, "Chelsea the cat")
    manifest = page.evaluate("fetch('live/manifest.json').then((answer) => answer.json())")
    assert manifest["start_url"] == "../live.html"
    names = page.evaluate("caches.keys()")
    assert len(names) == 2
    assert "of another app" in names
    context.close()


def test_while_the_page_loads_it_says_how_many_megabytes(page: Any, shared: SharedPage) -> None:
    assert any(address.endswith("model.onnx") for address in shared.loaded)
    pattern = r"Loading the model: \d+\.\d of \d+\.\d MB …"
    assert [words for words in page.evaluate("said") if words and re.fullmatch(pattern, words)]


def test_the_page_s_model_is_small() -> None:
    assert zoo.card(site.MODEL).parameters < 8_000_000  # a byte each


def test_the_types_of_the_page_s_modules_are_right() -> None:
    compiler = ROOT / site.LIVE / "node_modules" / ".bin" / "tsc"
    if not compiler.is_file():
        pytest.skip("TypeScript is not installed; npm ci in notebooks/site/live brings it")
    checked = subprocess.run([compiler], cwd=ROOT / site.LIVE, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout
