"""Right answers to the exercises of notebook 05, and usual mistakes with words of their hints."""

import numpy as np
import torch
from PIL import Image, ImageOps

from petseg.course import lesson_05


def ramp(n, fade, low, high):
    rising = ((torch.arange(n) + 0.5) / fade).clamp(max=1)
    return torch.minimum(rising if low else torch.ones(n), rising.flip(0) if high else torch.ones(n))


def blended(first, second, box, fade):
    left, top, right, bottom = box
    across = ramp(right - left, fade, left > 0, right < first.shape[2])
    down = ramp(bottom - top, fade, top > 0, bottom < first.shape[1])
    first = first.clone()
    first[:, top:bottom, left:right] += 2 / 3 * down[:, None] * across * (second - first[:, top:bottom, left:right])
    return first


def ends(inside, fade, rises, falls):
    full = torch.ones(len(inside))
    return torch.minimum(inside / fade if rises else full, (1 - inside) / fade if falls else full)


def padded(photo, factor):
    W, H = photo.size
    frame = Image.new("RGB", (factor * W, factor * H), (128, 128, 128))
    frame.paste(photo, ((factor - 1) * W // 2, (factor - 1) * H // 2))
    return frame


MEASURED = "right. IoU by passes: 1 0.500, 2 0.900, 3 0.800. Largest: 2,"
AGREEMENT = {1: 0.5, 2: 0.9, 3: 0.8}.get


def in_place(first, second, box, fade):
    first[:] = blended(first, second, box, fade)
    return first


def transposed(pixels, orientation):
    turns = {1: 0, 3: 180, 6: -90, 8: 90}
    return np.array(Image.fromarray(pixels).rotate(turns[orientation], expand=True))


CASES = [
    ("05.a", transposed, "right."),
    ("05.c", torch.nn.Softmax2d(), "failed with ValueError"),
    ("05.g", lambda pet, boundary: [[0.0] * 3] * 2, "expected"),
    ("05.1", in_place, "changes what it is given"),
    ("05.b", lambda *case: lesson_05._resize(*case).double(), "Return torch.float32"),
    ("05.f", lambda *case: ends(*case), "weights lie between 0 and 1"),
    ("05.f", lambda inside, fade, rises, falls: ends(inside, fade, rises, True).clamp(0, 1), "look at `falls`"),
    ("05.b", lambda photo, size: lesson_05._resize(photo, size, "BICUBIC"), "without a filter Pillow takes BICUBIC"),
    ("05.1", lambda *case: blended(*case[:3], 0.1), "there is a seam"),
    ("05.1", blended, "right."),
    ("05.1", lambda first, second, box, fade: second, "expected an array of the shape (3, 12, 16)"),
    ("05.1", lambda first, *rest: blended(first + 1, *rest), "values differ"),
    ("05.2", (2, padded, AGREEMENT), f"{MEASURED} as you predicted"),
    ("05.2", (1, padded, AGREEMENT), f"{MEASURED} you predicted 1"),
    ("05.2", ("two", padded, AGREEMENT), "predict first"),
    ("05.2", (2, lambda photo, factor: photo, AGREEMENT), "must be an image of (18, 12)"),
    ("05.2", (2, lambda photo, factor: Image.new("RGB", (18, 12)), AGREEMENT), "in the middle, in its own size"),
    ("05.2", (2, lambda photo, factor: photo.resize((18, 12)), AGREEMENT), "in the middle, in its own size"),
    ("05.2", (2, lambda photo, factor: ImageOps.expand(photo, (6, 4)), AGREEMENT), "every pixel is (128, 128, 128)"),
    ("05.2", (2, padded, {1: 50, 2: 90, 3: 80}.get), "between 0 and 1"),
    ("05.2", (2, padded, {1: 0.5, 2: 0.5, 3: 0.5}.get), "Does your predictor get `passes`"),
]
