"""The web app in a real browser: what a person does with mouse or keyboard, and sees."""

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from axe import axe_faults
from PIL import Image
from servers import Proxy, free_port, serving, web_app
from skimage.data import camera
from visitor import chelsea, encoded

CUTOUT = "#comparison img[alt^='The pet of']"
PHOTO = "#comparison img[alt^='The photo']"
OVERLAY = "#pictures img[alt='Overlay']"
FAILED = "#status .failed"
DOWNLOAD = "Download"


def file(image: Image.Image, name: str, **settings: Any) -> dict[str, Any]:
    kind = Path(name).suffix[1:].upper().replace("JPG", "JPEG")
    return {"name": name, "mimeType": "image/jpeg", "buffer": encoded(image, kind, **settings)}


@pytest.fixture(scope="module")
def context(chromium: Any) -> Iterator[Any]:
    """What the pages of these tests share: the browser's cache of Gradio's many files."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    yield context
    context.close()


@pytest.fixture
def page(context: Any, app_url: str) -> Iterator[Any]:
    page = context.new_page()
    elsewhere: list[str] = []
    errors: list[str] = []
    page.on("request", lambda r: elsewhere.append(r.url) if not r.url.startswith((app_url, "data:", "blob:")) else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.set_default_timeout(60_000)
    open_page(page, app_url)
    yield page
    page.unroute_all(behavior="ignoreErrors")
    page.close()
    assert not elsewhere, "the page asked another server"
    assert not errors


def open_page(page: Any, url: str) -> None:
    page.goto(url)
    page.get_by_role("button", name="Chelsea the cat").wait_for()


def choose(page: Any, *files: dict[str, Any], field: str = "#photos") -> None:
    page.set_input_files(f"{field} input[type=file]", list(files))


def line(page: Any) -> float:
    """Where the line of the comparison stands: 0 to 100 from the left."""
    value: str = page.eval_on_selector(
        ".petseg-comparison", "e => getComputedStyle(e).getPropertyValue('--petseg-position')"
    )
    return float(value.strip().rstrip("%"))


def downloaded(page: Any, button: str, path: Path) -> str:
    """Clicks a button and saves what it downloads; gives the name that the file has for the visitor."""
    with page.expect_download() as download:
        page.get_by_role("button", name=button, exact=True).click()
    download.value.save_as(path)
    return str(download.value.suggested_filename)


def changes(page: Any, selector: str, action: Any) -> str:
    """Does something and waits until the picture is another; gives its new source."""
    before = page.get_attribute(selector, "src")
    action()
    page.wait_for_function("([what, old]) => document.querySelector(what)?.src !== old", arg=[selector, before])
    after: str = page.get_attribute(selector, "src")
    return after


def shape(page: Any, selector: str) -> tuple[int, int]:
    """Width and height of a picture on the screen's side of the network."""
    page.wait_for_function("what => document.querySelector(what)?.naturalWidth > 0", arg=selector)
    w, h = page.eval_on_selector(selector, "image => [image.naturalWidth, image.naturalHeight]")
    return w, h


def test_a_large_photo_is_compared_at_a_size_that_is_sharp_in_a_wide_window(page: Any) -> None:
    choose(page, file(chelsea(), "first.jpg"))
    page.locator(CUTOUT).wait_for()
    large = file(chelsea(4000, 3000), "large.jpg", quality=92)
    start = time.perf_counter()
    choose(page, large)
    page.locator(PHOTO.replace("photo", "photo large.jpg")).wait_for()
    print(f"12 megapixels, chosen to seen: {time.perf_counter() - start:.2f} s")
    page.set_viewport_size({"width": 1920, "height": 1080})
    assert shape(page, CUTOUT) == shape(page, PHOTO)
    assert shape(page, PHOTO)[0] >= page.locator(".petseg-comparison").bounding_box()["width"] > 900


@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_a_photo_is_dropped_or_pasted_anywhere_on_the_page(page: Any, dropped: Any, kind: str) -> None:
    dropped(page, "h1", kind, file(chelsea(), "chelsea.jpg"))
    page.locator(CUTOUT).wait_for()
    assert page.get_attribute(PHOTO, "alt") == "The photo chelsea.jpg"
    dropped(page, "#comparison", kind, file(chelsea(200, 300), "second.jpg"))
    page.locator(PHOTO.replace("photo", "photo second.jpg")).wait_for()


def test_what_is_being_done_is_said_in_words(page: Any) -> None:
    page.evaluate("""() => {
      window.said = [];
      const listen = () => document.querySelectorAll("[role=status]").forEach((e) => said.push(e.textContent.trim()));
      new MutationObserver(listen).observe(document.body, { childList: true, subtree: true, characterData: true });
    }""")
    choose(page, file(chelsea(), "one.jpg"), file(chelsea(200, 300), "two.jpg"))
    page.locator(CUTOUT).wait_for()
    assert "Cutting out two.jpg (2 of 2)" in page.evaluate("said")
    assert page.inner_text("#status").strip() == "Ready: the pet of 2 photos is cut out."
    assert "Ready: the pet of 2 photos is cut out." in page.evaluate("said")
    assert page.locator("#status [role=status]").get_attribute("aria-live") == "polite"
    with page.expect_download():
        page.get_by_role("button", name="Download all (ZIP)").click()
    assert not [text for text in page.evaluate("said") if re.search(r"\d\.\d|queue", text)]  # numbers of Gradio's


def test_the_line_is_moved_by_keys_and_by_pointer_and_stays_when_the_picture_changes(page: Any) -> None:
    page.get_by_role("button", name="Chelsea the cat").click()
    page.locator(CUTOUT).wait_for()
    slider = page.get_by_role("slider", name="Move the line")
    assert line(page) == pytest.approx(float(slider.get_attribute("value")))
    slider.focus()
    slider.press("Home")
    assert line(page) == 0
    slider.press("ArrowRight")
    assert 0 < line(page) < 20
    box = page.locator(".petseg-comparison").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.1, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + box["height"] / 2, steps=5)
    page.mouse.up()
    assert line(page) == pytest.approx(80, abs=4)
    changes(page, CUTOUT, lambda: page.get_by_label("Blurred").check())
    assert line(page) == pytest.approx(80, abs=4)
    changes(page, PHOTO, page.get_by_role("button", name="cartoon dog").click)
    page.wait_for_timeout(200)
    assert 25 < line(page) < 45  # amid the dog, which sits on the left


def test_background_crop_edge_and_format_change_picture_and_file(page: Any, dropped: Any, tmp_path: Path) -> None:
    scene = Image.new("RGB", (902, 600), "#808080")
    scene.paste(chelsea(300, 200), (400, 200))
    choose(page, file(scene, "small.jpg", quality=95))
    page.locator(CUTOUT).wait_for()
    assert not page.locator("#own-picture").is_visible()
    page.get_by_label("Own picture").check()
    page.locator("#own-picture").wait_for()
    sea = file(Image.new("RGB", (640, 480), "#0000ff"), "sea.png")
    changes(page, CUTOUT, lambda: choose(page, sea, field="#own-picture"))
    assert page.get_attribute(CUTOUT, "alt").endswith("an image of your own")
    page.locator("#own-picture").get_by_role("button", name="Clear").click()
    page.locator(f"{CUTOUT}[alt$='transparent background']").wait_for()
    shown = changes(page, CUTOUT, lambda: choose(page, sea, field="#own-picture"))
    dropped(page, "#own-picture", "drop", {"name": "text.png", "buffer": b"text"})
    page.get_by_text("text.png: not an image").wait_for()
    assert page.get_attribute(CUTOUT, "src") == shown  # a file that cannot be read leaves the background as it is
    page.locator("#own-picture", has_text="sea").wait_for()
    changes(page, CUTOUT, lambda: page.get_by_label("Crop to the pet").check())
    assert shape(page, CUTOUT) == shape(page, PHOTO) < (600, 400)
    changes(page, CUTOUT, lambda: page.get_by_label("Softer").check())
    changes(page, CUTOUT, lambda: page.get_by_label("Soft shadow").check())
    page.get_by_label("JPEG").check()
    assert downloaded(page, DOWNLOAD, tmp_path / "cutout.jpg") == "small.cutout.jpg"
    page.locator("#status", has_text="Saved: small.cutout.jpg").wait_for()
    cutout = Image.open(tmp_path / "cutout.jpg")
    assert cutout.format == "JPEG"
    assert cutout.size == pytest.approx(shape(page, CUTOUT), abs=6)  # the photo is a little larger than on the screen
    assert np.abs(np.subtract(cutout.getpixel((1, 1)), (0, 0, 254), dtype=int)).max() <= 3


def test_a_jpeg_gets_a_white_background_and_a_transparent_background_a_png(page: Any) -> None:
    page.get_by_role("button", name="cartoon dog").click()
    page.locator(CUTOUT).wait_for()
    changes(page, CUTOUT, lambda: page.get_by_label("JPEG").check())
    assert page.get_by_label("White").is_checked()
    changes(page, CUTOUT, lambda: page.get_by_label("Transparent").check())
    page.wait_for_function("document.querySelector('input[value=png]').checked")
    page.get_by_label("Colour", exact=True).check()
    changes(page, CUTOUT, page.get_by_role("button", name="Sky blue").click)
    assert page.get_by_label("Other colour").input_value() == "#8fb8de"


def test_a_brush_removes_and_keeps_by_pointer_and_by_keyboard_and_undo_takes_it_back(page: Any, tmp_path: Path) -> None:
    choose(page, file(chelsea(), "cat.jpg", quality=95))
    page.locator(CUTOUT).wait_for()
    first = page.get_attribute(CUTOUT, "src")
    page.get_by_role("button", name="Correct").click()
    page.locator(".petseg-brush").wait_for()
    for field, key, reached in (
        (page.get_by_role("slider", name="Brush size"), "ArrowRight", "get('brush') > 0.3"),
        (page.get_by_label("Remove", exact=True), "Space", "get('tool') === 'remove'"),
    ):
        field.press(key)
        page.wait_for_function(f"petsegBrush.{reached}")
        assert page.evaluate("document.activeElement.matches('input')")  # which the next key changes
    page.evaluate("scrollTo(0, 0)")
    page.locator(".petseg-brush").wait_for()  # the picture is drawn anew, for a moment without a size
    box = page.locator(".petseg-brush").bounding_box()

    def paint() -> None:
        page.mouse.move(box["x"] + 0.4 * box["width"], box["y"] + box["height"] / 2)
        page.mouse.down()
        page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + box["height"] / 2, steps=5)
        page.mouse.up()

    changes(page, CUTOUT, paint)
    downloaded(page, DOWNLOAD, tmp_path / "cat.png")
    assert np.asarray(Image.open(tmp_path / "cat.png"))[150, 190:260, 3].max() == 0
    page.locator(".petseg-brush").focus()
    changes(page, CUTOUT, lambda: page.keyboard.press("k") or page.keyboard.press("Space"))
    assert page.evaluate("document.activeElement.matches('.petseg-brush')")  # the new picture has the next key, too
    assert page.get_by_label("Keep", exact=True).is_checked()
    changes(page, CUTOUT, page.get_by_role("button", name="Undo").click)
    changes(page, CUTOUT, page.get_by_role("button", name="Undo").click)
    assert page.get_attribute(CUTOUT, "src") == first
    page.locator(".petseg-brush").press("Escape")
    page.get_by_role("slider", name="Move the line").wait_for()
    assert page.get_by_role("button", name="Correct").get_attribute("aria-expanded") == "false"


def test_while_the_page_waits_each_stroke_counts_and_photos_are_not_lost(
    page: Any, dropped: Any, tmp_path: Path
) -> None:
    choose(page, file(chelsea(), "cat.jpg", quality=95))
    page.locator(CUTOUT).wait_for()
    page.get_by_role("button", name="Correct").click()
    brush = page.locator(".petseg-correcting .petseg-brush")
    brush.wait_for()
    with holding(page, "queue/join"):
        for key in ["r", "Space", *["ArrowLeft"] * 5, "Space", "z", *["ArrowRight"] * 10, "Space"]:
            brush.press(key)  # the second stroke is taken back

    def opacity() -> list[int]:
        downloaded(page, DOWNLOAD, tmp_path / "cat.png")
        return [int(np.asarray(Image.open(tmp_path / "cat.png"))[150, round(x * 451), 3]) for x in (0.4, 0.5, 0.6)]

    assert any(opacity() == [255, 0, 0] for _ in range(10)), opacity()
    page.get_by_role("button", name="Details").click()
    with holding(page, "queue/join"):
        page.get_by_label("Model").click()
        page.get_by_role("option", name="unet-separable").click()
        brush.press("z")  # while the other model segments
    assert any(opacity() == [255, 0, 255] for _ in range(10)), opacity()
    page.locator("#legend", has_text="segmented by unet-separable").wait_for()
    with holding(page, "queue/join"):
        with holding(page, "upload"):
            choose(page, file(chelsea(), "first.jpg"))
            dropped(page, "h1", "drop", file(chelsea(200, 300), "second.jpg"))
        page.locator("#photos", has_text="second").filter(has_not_text="Uploading").wait_for()
    for name in ("first.jpg", "second.jpg"):
        page.get_by_role("img", name=name, exact=True).wait_for()


@contextmanager
def holding(page: Any, request: str) -> Iterator[None]:
    """Lets no request of this kind reach the server before the end of the block, which must send one."""
    held: list[Any] = []
    over: list[Any] = []  # requests that were answered, failed, or were given up by the page

    def note(request: Any) -> None:  # Playwright takes no method of a list
        over.append(request)

    for event in ("requestfinished", "requestfailed"):
        page.on(event, note)
    pattern = re.compile(rf"/gradio_api/{request}(\?|$)")  # not `upload_progress`
    page.route(pattern, lambda route: held.append(route))
    yield
    while not held:
        page.wait_for_timeout(100)
    page.wait_for_timeout(500)
    for route in held:  # one after the other, as they were sent
        route.continue_()
        for _ in range(300):
            if route.request in over:
                break
            page.wait_for_timeout(100)
    page.unroute(pattern)
    for event in ("requestfinished", "requestfailed"):
        page.remove_listener(event, note)


def test_where_no_pet_was_found_the_brush_can_add_one(page: Any, tmp_path: Path) -> None:
    choose(page, file(Image.new("RGB", (300, 200), "#3a7d2b"), "grass.png"), file(chelsea(), "cat.jpg"))
    page.get_by_role("img", name="grass.png", exact=True).click()
    page.get_by_text("No pet found in grass.png").wait_for()
    page.get_by_role("button", name="Download all (ZIP)").wait_for(state="hidden")
    page.get_by_role("button", name=DOWNLOAD, exact=True).wait_for(state="hidden")
    page.get_by_role("button", name="Correct").click()
    brush = page.locator(".petseg-correcting .petseg-brush")
    brush.wait_for()
    brush.click(position={"x": 200, "y": 150})
    page.get_by_role("button", name=DOWNLOAD, exact=True).wait_for()
    page.get_by_text("No pet found in grass.png").wait_for(state="detached")
    page.get_by_role("button", name="Download all (ZIP)").wait_for()
    downloaded(page, DOWNLOAD, tmp_path / "grass.png")
    assert 0 < (np.asarray(Image.open(tmp_path / "grass.png"))[..., 3] > 200).mean() < 0.5


def test_the_cut_out_is_copied_shared_and_shown_pixel_by_pixel(context: Any, page: Any) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Chelsea the cat").click()
    page.locator(CUTOUT).wait_for()
    page.get_by_role("button", name="Copy", exact=True).click()
    page.get_by_text("Copied: paste it elsewhere.").wait_for()
    assert page.evaluate("navigator.clipboard.read().then((items) => items[0].types)") == ["image/png"]
    assert not page.get_by_role("button", name="Share").is_visible()  # this browser cannot
    page.evaluate(
        """() => {
          document.body.classList.add("petseg-shares");
          navigator.share = async ({ files }) => (window.shared = [files[0].name, files[0].type]);
        }"""
    )
    page.get_by_role("button", name="Share").click()
    assert page.wait_for_function("window.shared").json_value() == ["Chelsea the cat.cutout.png", "image/png"]
    page.get_by_role("button", name="1:1", exact=True).click()
    own_size = page.get_by_alt_text("The cut-out at its own size")
    own_size.wait_for()
    page.wait_for_function("(image) => image.complete", arg=own_size.element_handle())
    assert own_size.evaluate("(image) => [image.clientWidth, image.naturalWidth]") == [451, 451]
    page.keyboard.press("Escape")
    own_size.wait_for(state="detached")


def test_on_a_phone_a_photo_can_be_taken(chromium: Any, app_url: str) -> None:
    phone = chromium.new_context(viewport={"width": 400, "height": 800}, has_touch=True, is_mobile=True)
    page = phone.new_page()
    open_page(page, app_url)
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Take a photo").tap()
    chooser.value.set_files([file(chelsea(), "taken.jpg")])
    page.locator(f"{CUTOUT}[alt*='taken.jpg']").wait_for()
    phone.close()


def test_on_a_phone_samples_stand_in_one_row_and_the_download_needs_no_scrolling(page: Any) -> None:
    page.set_viewport_size({"width": 400, "height": 850})
    assert len({round(sample.bounding_box()["y"]) for sample in page.locator("button.sample").all()}) == 1
    assert "paste" not in page.inner_text("#photos").lower()
    assert not page.locator("footer .divider").last.is_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_role("button", name="Chelsea the cat").click()
    page.locator(CUTOUT).wait_for()
    for height in (850, 700):
        page.set_viewport_size({"width": 400, "height": height})
        page.wait_for_timeout(500)
        box = page.get_by_role("button", name=DOWNLOAD, exact=True).bounding_box()
        assert box["y"] + box["height"] <= height


def test_the_page_fits_each_width_and_has_no_fault_that_axe_finds(page: Any) -> None:
    page.get_by_role("button", name="Chelsea the cat").click()
    page.locator(CUTOUT).wait_for()
    page.get_by_role("button", name="Correct").click()
    page.get_by_label("Remove", exact=True).wait_for()
    page.get_by_role("button", name="Details").click()
    page.locator(OVERLAY).wait_for()
    faults = {}
    for theme in ("light", "dark"):
        page.evaluate("theme => document.body.classList.toggle('dark', theme === 'dark')", theme)
        for width in (1920, 1280, 400):
            page.set_viewport_size({"width": width, "height": 900})
            page.wait_for_timeout(500)  # colours fade from one theme to the other
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), width
            faults[theme, width] = axe_faults(page, ".gradio-container")
    assert not any(faults.values()), faults


def test_several_photos_are_looked_at_one_after_the_other_and_come_as_a_zip(page: Any, tmp_path: Path) -> None:
    choose(page, file(chelsea().convert("L"), "grey.png"), file(chelsea(200, 300), "tall.jpg"))
    page.locator(CUTOUT).wait_for()
    assert shape(page, PHOTO) == (451, 300)
    page.get_by_role("button", name="Details").click()
    page.locator(OVERLAY).wait_for()
    changes(page, OVERLAY, lambda: page.get_by_role("img", name="tall.jpg", exact=True).click())
    page.locator(PHOTO.replace("photo", "photo tall.jpg")).wait_for()
    assert shape(page, PHOTO) == (200, 300)
    assert downloaded(page, "Download all (ZIP)", tmp_path / "all.zip") == "cut-outs.zip"
    page.get_by_role("button", name="cartoon dog").click()
    page.get_by_role("button", name="Download all (ZIP)").wait_for(state="detached")


def test_what_does_not_look_like_a_cat_or_a_dog_is_a_question_and_is_shown_anyway_on_request(page: Any) -> None:
    choose(page, file(Image.fromarray(camera()).convert("RGB"), "man.png"))
    page.locator(FAILED, has_text="Is this a cat or a dog? No pet found in man.png").wait_for()
    page.get_by_role("button", name="Show it anyway").click()
    page.locator(CUTOUT).wait_for()
    assert page.get_by_role("button", name=DOWNLOAD, exact=True).is_visible()
    assert not page.get_by_role("button", name="Show it anyway").is_visible()
    assert page.locator(FAILED).count() == 0


def test_what_shows_no_pet_is_one_sentence_and_the_next_photo_is_shown(page: Any) -> None:
    choose(page, file(Image.new("RGB", (300, 200), "grey"), "wall.png"))
    page.locator(FAILED, has_text="No pet found in wall.png").wait_for()
    page.locator(PHOTO).wait_for()
    assert not page.locator(CUTOUT).is_visible()
    assert not page.get_by_role("button", name=DOWNLOAD, exact=True).is_visible()
    assert shape(page, PHOTO) == (300, 200)
    page.get_by_role("button", name="Details").click()  # why there is none
    page.locator(OVERLAY).wait_for()
    choose(page, file(chelsea(), "moving.gif", save_all=True, append_images=[chelsea().rotate(90)]))
    page.locator(CUTOUT).wait_for()
    assert "moving.gif: " in page.inner_text("#status")


def test_a_file_that_is_too_large_is_one_sentence_and_is_not_uploaded(page: Any, tmp_path: Path) -> None:
    (tmp_path / "huge.jpg").write_bytes(bytes(53_000_000))
    page.set_input_files("#photos input[type=file]", tmp_path / "huge.jpg")
    page.get_by_text('File(s) exceed the maximum allowed size of 50.0 Mb: "huge.jpg"').wait_for()
    page.get_by_role("button", name="cartoon dog").click()
    page.locator(CUTOUT).wait_for()


@pytest.mark.parametrize("status", [None, 502])
@pytest.mark.parametrize("request_for", ["upload", "queue/join", "queue/data"])
def test_a_request_that_fails_is_a_sentence_and_the_next_click_works(
    page: Any, request_for: str, status: int | None
) -> None:
    streams: set[Any] = set()  # what comes over an open one needs no request that could fail
    page.on("request", lambda request: "/queue/data" in request.url and streams.add(request))
    for end in ("requestfinished", "requestfailed"):
        page.on(end, lambda request: streams.discard(request))
    page.get_by_role("button", name="Chelsea the cat").click()
    page.locator(CUTOUT).wait_for()
    page.wait_for_timeout(500)
    while streams:
        page.wait_for_timeout(100)
    fails = f"**/gradio_api/{request_for}?*" if request_for != "queue/join" else "**/gradio_api/queue/join*"
    page.route(fails, lambda route: route.fulfill(status=status, body="<html>") if status else route.abort())
    if request_for == "upload":
        choose(page, file(chelsea(), "cat.jpg"))
    else:
        page.get_by_role("button", name=DOWNLOAD, exact=True).click()
    page.get_by_text("The server fails (502)" if status else "The server does not answer.").wait_for()
    assert page.locator("progress").count() == 0
    page.unroute(fails)
    changes(page, PHOTO, page.get_by_role("button", name="cartoon dog").click)


#: Each end of the server's events comes late, as on a busy machine: the page still takes the stream for open.
LATE_END = """(() => {
  const send = window.fetch;
  const late = async (chunk, controller) => {
    for (const event of new TextDecoder().decode(chunk).split(/(?<=\\n\\n)/)) {
      if (event.includes("close_stream")) await new Promise((resolve) => setTimeout(resolve, 1000));
      controller.enqueue(new TextEncoder().encode(event));
    }
  };
  window.fetch = async (...call) => {
    const answer = await send(...call);
    if (!String(call[0].url ?? call[0]).includes("/queue/data")) return answer;
    return new Response(answer.body.pipeThrough(new TransformStream({ transform: late })), answer);
  };
})()"""


def test_what_is_asked_while_the_server_ends_its_answers_is_answered(page: Any, app_url: str, tmp_path: Path) -> None:
    page.add_init_script(LATE_END)
    open_page(page, app_url)
    page.get_by_role("button", name="Chelsea the cat").click()
    page.locator(CUTOUT).wait_for()
    changes(page, PHOTO, page.get_by_role("button", name="cartoon dog").click)
    downloaded(page, DOWNLOAD, tmp_path / "first.png")
    page.wait_for_timeout(1100)  # the end is here
    downloaded(page, DOWNLOAD, tmp_path / "second.png")
    stalled: list[Any] = []
    page.route("**/gradio_api/queue/join*", lambda route: route.continue_() if stalled else stalled.append(route))
    changes(
        page, PHOTO, lambda: [page.get_by_role("button", name=n).click() for n in ("cartoon dog", "Chelsea the cat")]
    )
    assert page.get_attribute(PHOTO, "alt") == "The photo Chelsea the cat"  # the answer does not wait for the other
    changes(page, PHOTO, stalled[0].continue_)
    assert page.get_attribute(PHOTO, "alt") == "The photo cartoon dog"


#: The app with a defect in the handlers of all buttons that wait for the server.
BROKEN = """
import sys
from petseg.apps.webapp.handlers import Handlers
from petseg.cli import main

def broken(*values, **options):
    raise RuntimeError("a defect")

for name in ("download", "archive", "stroke", "undo", "choose_pets", "own_picture", "show"):
    setattr(Handlers, name, broken)
sys.exit(main(["app", "--model", "unet", "--port", sys.argv[1]]))
"""


def test_an_error_of_the_server_is_a_sentence_and_no_button_turns_for_ever(chromium: Any, tmp_path: Path) -> None:
    port = free_port()
    page = chromium.new_page()
    page.set_default_timeout(60_000)
    two = Image.new("RGB", (1400, 300), "#808080")
    for left in (50, 900):
        two.paste(chelsea(300, 200), (left, 50))

    def fails(action: Any) -> None:
        action()
        toast = page.locator(".toast-body", has_text="The server cannot do this with these files and values.")
        toast.wait_for()
        page.wait_for_timeout(300)
        assert page.locator("progress, [data-testid=status-tracker]:not(.hide)").locator("visible=true").count() == 0
        toast.get_by_test_id("toast-close").click()
        toast.wait_for(state="detached")

    def button(name: str) -> Any:
        return page.get_by_role("button", name=name, exact=True).click

    with serving(["-c", BROKEN, str(port)], port, tmp_path, os.environ | {"TMPDIR": str(tmp_path)}) as server:
        open_page(page, server.address)
        choose(page, file(two, "two.png"), file(chelsea(), "cat.jpg"))
        page.locator(CUTOUT).wait_for()
        for name in ("Download", "Download all (ZIP)"):
            fails(button(name))
        page.get_by_role("button", name="Correct").click()
        page.locator(".petseg-brush").wait_for()
        fails(lambda: page.locator(".petseg-brush").press("Space"))
        fails(button("Undo"))
        fails(page.get_by_label("1", exact=True).uncheck)
        page.get_by_label("Own picture").check()
        fails(lambda: choose(page, file(chelsea(), "sea.png"), field="#own-picture"))
        fails(page.get_by_role("img", name="cat.jpg", exact=True).click)
        page.get_by_role("button", name="Details").click()
        fails(button("Download overlay"))
        changes(page, PHOTO, page.get_by_role("button", name="cartoon dog").click)
    page.close()


@pytest.mark.parametrize("strips_path", [True, False])
def test_behind_a_proxy_below_a_path_all_works_and_an_answer_that_breaks_off_is_a_sentence(
    chromium: Any, tmp_path: Path, strips_path: bool
) -> None:
    port = free_port()
    proxy = Proxy(port, "/cutouts", strips_path, keeps_host=strips_path)
    root = "/cutouts" if proxy.keeps_host else proxy.address
    page = chromium.new_page()
    page.set_default_timeout(60_000)
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    with web_app(tmp_path, port, "--root-path", root, "--model", "unet"):
        open_page(page, f"{proxy.address}/")
        page.get_by_role("button", name="cartoon dog").click()
        page.locator(CUTOUT).wait_for()
        changes(page, PHOTO, lambda: choose(page, file(chelsea(), "cat.jpg")))
        assert downloaded(page, DOWNLOAD, tmp_path / "cat.png") == "cat.cutout.png"
        assert Image.open(tmp_path / "cat.png").size == (451, 300)
        proxy.cuts = "queue/data"
        page.get_by_role("button", name=DOWNLOAD, exact=True).click()
        page.get_by_text("The server does not answer.").wait_for()
    page.close()
    proxy.shutdown()
    assert {url[: len(proxy.address) + 1] for url in requests if not url.startswith(("data:", "blob:"))} == {
        f"{proxy.address}/"
    }


def test_the_page_shows_how_programs_use_it(page: Any) -> None:
    page.get_by_role("button", name="Use via API").click()
    page.get_by_text("/segment").first.wait_for()


def test_the_keyboard_alone_is_enough(page: Any) -> None:
    names = "e => [e.getAttribute('aria-label'), e.labels?.[0]?.textContent, e.textContent].filter(Boolean).join(' ')"

    def tab() -> str:
        page.keyboard.press("Tab")
        return str(page.evaluate(f"({names})(document.activeElement)")).strip()

    order = [tab() for _ in range(2)]
    assert order[0].startswith("Click to upload")
    assert order[1] == "Chelsea the cat"
    page.keyboard.press("Enter")
    page.locator(CUTOUT).wait_for()
    wanted = ["Move the line", DOWNLOAD, "Correct", "Transparent", "As found", "Crop to the pet", "PNG", "Details"]
    for _ in range(30):
        if wanted and wanted[0] in tab():
            wanted.pop(0)
            outline = page.evaluate(
                "[document.activeElement, document.activeElement.closest('.petseg-comparison')].filter(Boolean)"
                ".map((e) => getComputedStyle(e)).some((s) => s.outlineStyle !== 'none' || s.boxShadow !== 'none')"
            )
            assert outline, page.evaluate("document.activeElement.outerHTML")[:200]
    assert not wanted


def test_every_picture_has_a_name_and_details_are_folded_away(page: Any) -> None:
    page.get_by_role("button", name="Chelsea the cat").click()
    page.locator(CUTOUT).wait_for()
    assert not page.locator(OVERLAY).is_visible()
    page.get_by_role("button", name="Details").click()
    page.locator(OVERLAY).wait_for()
    pictures = page.locator("#comparison img, #pictures img")
    assert [picture.get_attribute("alt") for picture in pictures.all()] == [
        "The pet of Chelsea the cat, cut out, on a transparent background",
        "The photo Chelsea the cat",
        "Overlay",
        "Class map",
        "Confidence: light is sure",
    ]
    cutout = page.get_attribute(CUTOUT, "src")
    changes(page, OVERLAY, lambda: page.get_by_role("slider", name="Opacity").press("End"))
    changes(page, OVERLAY, lambda: page.get_by_label("boundary", exact=True).uncheck())
    assert page.get_attribute(CUTOUT, "src") == cutout


@pytest.mark.parametrize(
    ("scheme", "query", "dark"), [("light", "", False), ("dark", "", True), ("light", "/?__theme=dark", True)]
)
def test_the_page_is_as_light_as_the_visitors_other_pages_or_as_its_address_asks(
    page: Any, app_url: str, scheme: str, query: str, dark: bool
) -> None:
    page.emulate_media(color_scheme=scheme)
    open_page(page, app_url + query)
    page.wait_for_function(  # colours fade
        """dark => {
          const of = (name) => getComputedStyle(document.querySelector(name));
          const [page, text] = [of("gradio-app").backgroundColor, of("h1").color]
            .map((color) => color.match(/\\d+/g).reduce((sum, value) => sum + Number(value), 0));
          return dark ? page < 60 && text > 600 : page > 600 && text < 150;
        }""",
        arg=dark,
    )
