"""Alpha matting: silhouette, trimap, colours; and the colours on both sides of the edge."""

import numpy as np
import pytest
from matting import plain as ramp
from photo_files import noise
from PIL import Image, ImageDraw

from petseg.inference import matting
from petseg.inference.foreground import blurred_background, foreground
from petseg.inference.matting import MatteSettings, color_fit, matte
from petseg.labels import BACKGROUND, PET


def sure_logits(rows: list[str]) -> np.ndarray:
    labels = np.array([["#.o".index(letter) for letter in row] for row in rows])  # pet, background, boundary
    return np.ascontiguousarray(9 * np.eye(3, dtype=np.float32)[labels].transpose(2, 0, 1))


@pytest.mark.parametrize(
    ("rows", "speck", "expected"),
    [
        ("...... .####. .#oo#. .####.", 0.0, "...... .####. .####. .####."),  # boundary enclosed by pet is pet
        ("...... .####. .#o.#. .####.", 0.0, "...... .####. .#..#. .####."),  # enclosed background stays open
        ("oooo oooo", 0.0, ".... ...."),  # nothing encloses it
        ("##....# ##..... ##...## ##...##", 0.2, "##..... ##..... ##...## ##...##"),  # a speck and a second pet
        ("##....# ##..... ##...## ##...##", 0.0, "##....# ##..... ##...## ##...##"),
    ],
)
def test_the_silhouette_has_neither_holes_of_boundary_nor_specks(rows, speck, expected):
    drawn = rows.split()
    mask = matting.silhouette(sure_logits(drawn), (len(drawn), len(drawn[0])), speck)
    assert ["".join(".#"[value] for value in row) for row in mask.astype(int)] == expected.split()


def test_a_body_taken_for_boundary_is_pet_if_background_is_still_less_likely():
    logits = sure_logits(["." * 20] * 5 + ["....oooooooooooo...."] * 10 + ["." * 20] * 5)
    logits[PET][5:15, 4:16] = 1.0  # P(pet) 0.0003, P(background) 0.0001, P(boundary) 0.9995
    photo = Image.new("RGB", (200, 200), "white")
    assert matte(photo, logits)[60:140, 50:150].min() == 255
    assert ramp(photo, logits)[60:140, 50:150].max() < 140  # the ramp leaves it half transparent


def test_alpha_is_certain_beyond_the_band_and_free_at_the_edge():
    mask = np.zeros((10, 100), bool)
    mask[:, 50:] = True
    lower, upper = matting.limits(mask, MatteSettings(inner=0.1, outer=0.2))
    assert lower[0, :55].max() == 0
    assert upper[0, 40:].min() == 1
    assert (lower[:, 59:] == 1).all()
    assert (upper[:, :30] == 0).all()
    assert (np.diff(lower[0]) >= 0).all()
    assert (np.diff(upper[0]) >= 0).all()


def test_where_alpha_is_a_linear_function_of_colour_the_fit_finds_it():
    colors = np.random.default_rng(0).random((3, 30, 40), dtype=np.float32)
    alpha = 0.2 + 0.3 * colors[0] - 0.1 * colors[1] + 0.4 * colors[2]
    fit = color_fit(colors, alpha, np.ones_like(alpha), 4, 1e-7)
    for plane, value in zip(fit, (0.3, -0.1, 0.4, 0.2), strict=True):
        np.testing.assert_allclose(plane, value, atol=2e-3)


def test_alpha_follows_the_photo_where_the_network_is_two_pixels_off():
    pixels = np.full((500, 500, 3), (30, 90, 40), np.uint8)
    pixels[125:375, 127:373] = (220, 180, 150)
    logits = np.full((3, 20, 20), -4, np.float32)
    logits[BACKGROUND] = 4
    logits[PET, 5:15, 5:15], logits[BACKGROUND, 5:15, 5:15] = 4, -4  # columns 125 to 374: two too many on each side
    photo = Image.fromarray(pixels)
    alpha = matte(photo, logits)
    assert alpha[240:260, 118:127].max() < 40
    assert alpha[240:260, 127:140].min() > 215
    assert ramp(photo, logits)[240:260, 118:127].max() > 128


@pytest.mark.parametrize("size", [(1, 1), (2, 300), (500, 375), (1300, 700)])
def test_a_matte_has_the_size_of_its_photo(size):
    logits = np.random.default_rng(2).normal(0, 3, (3, 8, 8)).astype(np.float32)
    alpha = matte(noise(*size), logits)
    assert (alpha.shape, alpha.dtype) == (size[::-1], np.uint8)
    assert foreground(noise(*size), alpha).shape == (*size[::-1], 3)


def fur(side: int = 400) -> tuple[Image.Image, np.ndarray, np.ndarray, np.ndarray]:
    """A drawn animal with hairs: photo, its alpha (H, W) and colours (H, W, 3), and logits of a network."""
    rng = np.random.default_rng(0)
    shape = Image.new("L", (4 * side, 4 * side))  # drawn at four times the size: soft edges
    draw = ImageDraw.Draw(shape)
    draw.ellipse([1.2 * side, 1.2 * side, 2.8 * side, 2.8 * side], fill=255)
    for angle in rng.uniform(0, 2 * np.pi, 600):
        ends = (0.75 * side, angle), (rng.uniform(0.82, 0.95) * side, angle + rng.normal(0, 0.06))
        draw.line([(2 * side + r * np.cos(a), 2 * side + r * np.sin(a)) for r, a in ends], fill=255, width=5)
    alpha = np.asarray(shape.resize((side, side), Image.Resampling.BOX))
    coat, behind = (np.clip(rng.normal(color, 6, (side, side, 3)), 0, 255) for color in ((170, 120, 70), (50, 90, 60)))
    mixture = alpha[..., None] / 255 * coat + (1 - alpha[..., None] / 255) * behind
    p = np.asarray(shape.resize((64, 64), Image.Resampling.BOX), np.float32) / 255
    logits = np.log(np.clip([p * p, (1 - p) ** 2, 2 * p * (1 - p)], 1e-3, 1)).astype(np.float32)
    return Image.fromarray(mixture.round().astype(np.uint8)), alpha, coat, logits


def test_on_drawn_fur_the_errors_of_alpha_and_of_colour_are_below_the_ramps():
    photo, true, coat, logits = fur()
    edge = (true > 0) & (true < 255)
    alpha_errors, color_errors = {}, {}
    pets = {"ramp": (ramp(photo, logits), np.asarray(photo))}
    pets["matte"] = (alpha := matte(photo, logits)), foreground(photo, alpha)
    for name, (alpha, colors) in pets.items():
        alpha_errors[name] = np.abs(alpha[edge].astype(float) - true[edge]).mean()
        color_errors[name] = np.abs(true[edge, None] / 255 * (colors[edge] - coat[edge])).mean()
    assert alpha_errors["matte"] < 0.8 * alpha_errors["ramp"]
    assert color_errors["matte"] < 0.7 * color_errors["ramp"]


def test_the_pets_colour_contains_nothing_of_the_background():
    row = np.concatenate([np.zeros(150), np.linspace(0, 255, 12), np.full(150, 255)]).astype(np.uint8)
    alpha = np.tile(row, (200, 1))
    opacity = alpha[..., None] / 255
    photo = Image.fromarray((opacity * (200, 40, 40) + (1 - opacity) * (20, 60, 220)).round().astype(np.uint8))
    colors = foreground(photo, alpha)
    visible = alpha > 40
    assert np.abs(colors[visible] - np.array([200.0, 40, 40])).max() < 25
    assert np.abs(np.asarray(photo)[visible] - np.array([200.0, 40, 40])).max() > 100
    assert (colors[alpha == 0] == 0).all()
    assert np.array_equal(colors[alpha == 255], np.asarray(photo)[alpha == 255])


def test_a_blurred_background_takes_no_light_from_the_pet():
    pixels = np.full((200, 300, 3), (20, 40, 60), np.uint8)
    alpha = np.zeros((200, 300), np.uint8)
    pixels[60:140, 100:200], alpha[60:140, 100:200] = 255, 255  # a white pet
    behind = np.asarray(blurred_background(Image.fromarray(pixels), alpha)).astype(int)
    assert np.abs(behind - (20, 40, 60)).max() <= 1
    whole = np.asarray(blurred_background(noise(300, 200), np.full((200, 300), 255, np.uint8)))  # all of it is pet
    assert whole.std() < np.asarray(noise(300, 200)).std() / 2
    assert whole.mean() == pytest.approx(np.asarray(noise(300, 200)).mean(), abs=3)
