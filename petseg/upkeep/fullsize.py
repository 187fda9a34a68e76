"""Whether masks at the photo's own size get better: ways from 128x128 to there, against the original trimaps.

`PETSEG_FULLSIZE_DIR=FOLDER python -m petseg.upkeep.fullsize` writes `figures/refinement.json`. The folder holds an
`oxford-iiit-pet/` with photos at their own sizes. Their names in order, every second one was used to choose the
settings of `petseg.inference.two_pass`; the scores that count are those of the others. Most of the photos
were trained on, so the ways may be compared with each other, and not with scores of other photos.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageFilter
from torch import Tensor

from petseg.errors import DataError, ModelError
from petseg.files import write_json
from petseg.inference.photo import load_photo
from petseg.inference.predictor import Predictor, resize_to_model
from petseg.inference.two_pass import merge_logits, pet_box
from petseg.labels import BACKGROUND, PET
from petseg.metrics.boundary import boundary_counts, boundary_scores
from petseg.metrics.confusion import confusion_matrices, iou, mean_iou, pooled_scores
from petseg.metrics.intervals import bootstrap

#: Pixels by which a contour may be off, at the photo's own size.
TOLERANCE: Final = 3

#: Height and width of the scenes that stand for photos in which the pet is small, as multiples of the photo's.
FRAMES: Final = (1.4, 2.0, 3.0)

#: Longest side, in pixels, of the photo within such a scene.
SCENE_SIDE: Final = 300

#: From a photo to scores (3, H, W) of its size.
Way = Callable[[Predictor, Image.Image], Tensor]

#: A photo and its labels, uint8 (H, W).
Pair = tuple[Image.Image, Tensor]


def folder() -> Path:
    """The folder with photos at their own sizes, `PETSEG_FULLSIZE_DIR`.

    Raises:
        DataError: the variable is not set, or nothing is there.
    """
    root = Path(os.environ.get("PETSEG_FULLSIZE_DIR", "")) / "oxford-iiit-pet"
    if not os.environ.get("PETSEG_FULLSIZE_DIR") or not (root / "images").is_dir():
        raise DataError(f"{root}: no photos are there. Set PETSEG_FULLSIZE_DIR to the folder that holds it.")
    return root


def halves(root: Path) -> dict[str, list[str]]:
    """Names of the photos: those that settings were chosen on, and those that the result is reported on."""
    names = sorted(path.stem for path in (root / "images").glob("*.jpg"))
    return {"chosen on": names[::2], "reported": names[1::2]}


def pairs(root: Path, names: Sequence[str]) -> Iterator[Pair]:
    """Photos and labels at their own sizes, read one by one."""
    for name in names:
        with Image.open(root / "annotations" / "trimaps" / f"{name}.png") as trimap:
            labels = torch.from_numpy(np.array(trimap) - 1)  # trimap value minus 1
        yield load_photo(root / "images" / f"{name}.jpg"), labels


def in_a_wider_frame(pair: Pair, times: float) -> Pair:
    """The photo amid its own blurred surroundings, as if the pet had been photographed from further away.

    The photo, shrunk to `SCENE_SIDE`, lies in the middle of a picture that is `times` as high and as wide; round it
    is its mirror image, too blurred to hold a second pet, and labelled background.
    """
    photo, labels = pair[0].copy(), pair[1]
    photo.thumbnail((SCENE_SIDE, SCENE_SIDE), Image.Resampling.BILINEAR)
    W, H = photo.size
    small = Image.fromarray(labels.numpy()).resize((W, H), Image.Resampling.NEAREST)
    x, y = int(W * (times - 1) / 2), int(H * (times - 1) / 2)
    around = Image.fromarray(np.pad(np.asarray(photo), ((y, y), (x, x), (0, 0)), mode="symmetric"))
    scene = around.filter(ImageFilter.GaussianBlur(max(W, H) / 8))
    scene.paste(photo, (x, y))
    return scene, torch.from_numpy(np.pad(np.asarray(small), ((y, y), (x, x)), constant_values=BACKGROUND))


def enlarged(scores: Tensor, photo: Image.Image, mode: str = "bilinear") -> Tensor:
    """Scores (3, h, w) at the photo's size: (3, H, W)."""
    aligned = None if mode == "nearest-exact" else False
    return F.interpolate(scores[None], photo.size[::-1], mode=mode, align_corners=aligned)[0]


def looks(predictor: Predictor, photo: Image.Image, times: int = 1, mode: str = "bilinear") -> Tensor:
    """The whole photo, then the pet, `times` looks in all; logits enlarged."""
    return enlarged(predictor.photo_logits(photo, times), photo, mode)


def two_unsqueezed(predictor: Predictor, photo: Image.Image) -> Tensor:
    """Two looks, the second in the pet's own proportions and with about as many pixels as the working size has."""
    logits = predictor.photo_logits(photo, 1)
    box = pet_box(logits, photo.size)
    if box is not None:
        part = photo.crop(box)
        h, w = predictor.card.size
        closer = _seen(predictor, part, own_shape(part.size, (h * w) ** 0.5))
        logits = merge_logits(logits, closer, box, photo.size)
    return enlarged(logits, photo)


def own_shape(size: tuple[int, int], side: float) -> tuple[int, int]:
    """Height and width at which to see a picture in its own proportions, with the pixels of a square.

    Args:
        size: width and height of the picture in pixels.
        side: of the square in pixels.

    Returns:
        Multiples of 16, which encoders halve four times; one side is taken for at most four times the other.
    """
    bend = min(max((size[1] / size[0]) ** 0.5, 0.5), 2.0)  # the square becomes as much higher, or wider
    h, w = (max(1, round(length / 16)) * 16 for length in (side * bend, side / bend))
    return h, w


def larger(predictor: Predictor, photo: Image.Image, side: int, squeeze: bool = True) -> Tensor:
    """Mean of the plain logits and those of the whole photo once more, with `side` squared pixels or about as many.

    With `squeeze` it is a square, as in training; without, it has the photo's proportions.
    """
    again = _seen(predictor, photo, (side, side) if squeeze else own_shape(photo.size, side))
    return (looks(predictor, photo) + enlarged(again, photo)) / 2


def _seen(predictor: Predictor, photo: Image.Image, size: tuple[int, int]) -> Tensor:
    """Scores (3, h, w) of a photo at another size than the working size."""
    return predictor.logits(predictor.card.normalise(resize_to_model(photo, size)))[0]


def mirrored(predictor: Predictor, photo: Image.Image) -> Tensor:
    """For reference, test-time augmentation at the price of a second look: the mean with the photo's mirror image."""
    image = predictor.prepare(photo)
    both = predictor.logits(image) + predictor.logits(image.flip(-1)).flip(-1)
    return enlarged(both[0] / 2, photo)


def guided(
    predictor: Predictor, photo: Image.Image, times: int = 1, side: int = 256, radius: int = 2, epsilon: float = 1e-3
) -> Tensor:
    """Probabilities that follow the photo's edges: a fast guided filter with the photo's colours as its guide.

    He, Sun, Tang: Guided Image Filtering (TPAMI 2013), equations 14 to 16 for the linear coefficients of each window;
    He, Sun: Fast Guided Filter (2015), https://arxiv.org/abs/1505.00996: found at `side` x `side` pixels and applied
    at the photo's own.

    Args:
        predictor: the model.
        photo: RGB, W x H.
        times: looks in all.
        side: where the coefficients are found.
        radius: of a window of 2 radius + 1 pixels.
        epsilon: what keeps the coefficients small, on colours 0..1.

    Returns:
        float32 (3, H, W), roughly 0..1.
    """
    target = F.interpolate(predictor.photo_logits(photo, times).softmax(dim=0)[None], (side, side), mode="bilinear")[0]
    guide = resize_to_model(photo, (side, side))[0]  # (3, side, side)
    average = partial(_window_mean, radius=radius)
    mean_guide, mean_target = average(guide), average(target)
    spread = _products(guide, guide, average) - torch.einsum("chw,dhw->hwcd", mean_guide, mean_guide)
    shared = _products(guide, target, average) - torch.einsum("chw,khw->hwck", mean_guide, mean_target)
    slope = torch.linalg.solve(spread + epsilon * torch.eye(3), shared)  # (side, side, 3 of guide, 3 of target)
    offset = mean_target - torch.einsum("hwck,chw->khw", slope, mean_guide)
    slope = average(slope.permute(2, 3, 0, 1).flatten(0, 1))  # (9, side, side)
    colours = torch.from_numpy(np.array(photo)).permute(2, 0, 1).float() / 255  # (3, H, W)
    return (enlarged(slope, photo).unflatten(0, (3, 3)) * colours[:, None]).sum(0) + enlarged(average(offset), photo)


#: What is compared; the first is what all others are measured against.
WAYS: Final[dict[str, Way]] = {
    "plain: bilinear": looks,
    "class map, nearest": partial(looks, mode="nearest-exact"),
    "bicubic": partial(looks, mode="bicubic"),
    "guided filter": guided,
    "photo again at 192x192": partial(larger, side=192),
    "photo again in its own proportions": partial(larger, side=144, squeeze=False),
    "two looks": partial(looks, times=2),
    "three looks": partial(looks, times=3),
    "two looks, the second unsqueezed": two_unsqueezed,
    "two looks, guided filter": partial(guided, times=2),
    "reference: photo again mirrored": mirrored,
}


def compare(predictor: Predictor, examples: Sequence[Pair] | Iterator[Pair], ways: dict[str, Way]) -> dict[str, Any]:
    """Scores of each way, by its name.

    Returns:
        For each: `mean_iou`, `iou_*` and `accuracy` pooled over all pixels; `mean_iou_per_photo`, in which a photo of
        two megapixels counts no more than others; `boundary_f`, pooled, of the pet's contour within `TOLERANCE`
        pixels; and `gain` over the first way in pooled mean IoU, with its 95 % range over resampled photos.
    """
    found: dict[str, list[Tensor]] = {name: [] for name in ways}
    edges: dict[str, list[Tensor]] = {name: [] for name in ways}
    for photo, labels in examples:
        for name, way in ways.items():
            label = way(predictor, photo).argmax(dim=0, keepdim=True)  # (1, H, W)
            found[name] += confusion_matrices(label, labels[None])
            edges[name] += boundary_counts(label == PET, labels[None] == PET, [TOLERANCE])
    first = torch.stack(next(iter(found.values())))
    return {name: _scores(torch.stack(found[name]), torch.stack(edges[name]), first) for name in ways}


def _scores(matrices: Tensor, edges: Tensor, first: Tensor) -> dict[str, Any]:
    gain = bootstrap(torch.stack([first, matrices], dim=1), lambda both: mean_iou(both[:, 1]) - mean_iou(both[:, 0]))
    scores = pooled_scores(matrices) | {
        "mean_iou_per_photo": float(iou(matrices).nanmean(dim=0).mean()),
        "boundary_f": float(boundary_scores(edges.sum(dim=0)).f[0]),
    }
    rounded = {key: round(value, 4) for key, value in scores.items()}
    return rounded | {"gain": [round(float(value), 4) for value in gain]}


def _window_mean(values: Tensor, radius: int) -> Tensor:
    """Mean over each pixel's window (C, h, w); at the frame over as much of it as there is."""
    return F.avg_pool2d(values[None], 2 * radius + 1, 1, radius, count_include_pad=False)[0]


def _products(a: Tensor, b: Tensor, average: Callable[[Tensor], Tensor]) -> Tensor:
    """Means (h, w, C, K) over windows of the products of channels of a (C, h, w) and b (K, h, w)."""
    means = average((a[:, None] * b[None]).flatten(0, 1))
    return means.unflatten(0, (len(a), len(b))).permute(2, 3, 0, 1)


def main(argv: Sequence[str] | None = None) -> int:
    """Writes the comparison; 0, or 1 and a sentence where the photos or the model are not there."""
    parser = argparse.ArgumentParser(prog="python -m petseg.upkeep.fullsize", description=__doc__)
    parser.add_argument("--model", help="released model or .safetensors file; default: the most accurate")
    parser.add_argument("--out", type=Path, default=Path("figures/refinement.json"), metavar="FILE")
    args = parser.parse_args(argv)
    try:
        root, predictor = folder(), Predictor(args.model)
    except (DataError, ModelError) as error:
        print(f"petseg: {error}", file=sys.stderr)
        return 1
    split = halves(root)
    results: dict[str, Any] = {"model": predictor.card.name, "tolerance": TOLERANCE}
    for half, names in split.items():
        results[half] = {"photos": len(names), "as they are": compare(predictor, pairs(root, names), WAYS)}
        for times in FRAMES:
            scenes = (in_a_wider_frame(pair, times) for pair in pairs(root, names))
            results[half][f"in a frame {times} times as wide"] = compare(predictor, scenes, WAYS)
    write_json(args.out, results)
    print("\n".join(_table(results["reported"])))
    return 0


def _table(half: dict[str, Any]) -> Iterator[str]:
    """Lines to print: pooled mean IoU of each way on photos as they are and in wider frames."""
    columns = [key for key in half if key != "photos"]
    yield f"mean IoU of {half['photos']} photos: {'; '.join(columns)}"
    for name in WAYS:
        yield f"{name:<36}" + "".join(f"{half[column][name]['mean_iou']:>9.4f}" for column in columns)


if __name__ == "__main__":
    sys.exit(main())
