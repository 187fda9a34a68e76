"""Compares ways to a class map at the photo's own size: `python figures/refinement.py HELD_OUT`.

Writes `figures/refinement.json`. HELD_OUT holds an `oxford-iiit-pet/` with photos of the validation split at their
original sizes: no model was trained on them. The settings of `petseg.inference.two_pass` were chosen on other photos.
"""

import argparse
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageFilter
from torch import Tensor

from petseg.files import write_json
from petseg.inference.matting import color_fit
from petseg.inference.photo import load_photo
from petseg.inference.predictor import Predictor, resize_to_model
from petseg.inference.two_pass import merge_logits, pet_boxes
from petseg.labels import BACKGROUND, PET, labels_from_trimap
from petseg.metrics.boundary import boundary_counts, boundary_scores
from petseg.metrics.confusion import confusion_matrices, iou, mean_iou, pooled_scores
from petseg.metrics.intervals import bootstrap

TOLERANCE = 3  # pixels by which a contour may be off, at the photo's own size
FRAMES = (1.4, 2.0, 3.0)  # sides of scenes with a small pet, as multiples of the photo's
SCENE_SIDE = 300  # longest side, in pixels, of the photo within a scene

Pair = tuple[Image.Image, Tensor]  # a photo and its labels, uint8 (H, W)
Way = Callable[[Predictor, Image.Image], Tensor]  # from a photo to logits or probabilities (3, H, W)


def enlarged(scores: Tensor, photo: Image.Image, mode: str = "bilinear") -> Tensor:
    """Scores (3, h, w) at the photo's size."""
    return F.interpolate(scores[None], photo.size[::-1], mode=mode)[0]


def passes(predictor: Predictor, photo: Image.Image, count: int = 1, mode: str = "bilinear") -> Tensor:
    """Logits of `count` passes, enlarged."""
    return enlarged(predictor.photo_logits(photo, count), photo, mode)


def guided(predictor: Predictor, photo: Image.Image, count: int = 1) -> Tensor:
    """Probabilities of `count` passes after a guided filter: a linear function of colour in small windows."""
    guide = resize_to_model(photo, (256, 256))[0]  # (3, 256, 256)
    targets = F.interpolate(predictor.photo_logits(photo, count).softmax(dim=0)[None], (256, 256), mode="bilinear")[0]
    ones = np.ones((256, 256), np.float32)
    fits = np.stack([color_fit(guide.numpy(), target.numpy(), ones, 2, 1e-3) for target in targets])  # (3, 4, 256, 256)
    fit = enlarged(torch.from_numpy(fits).flatten(0, 1), photo).unflatten(0, (3, 4))
    colors = torch.from_numpy(np.array(photo)).permute(2, 0, 1).float() / 255  # (3, H, W)
    return (fit[:, :3] * colors).sum(dim=1) + fit[:, 3]


def own_shape(size: tuple[int, int], side: float) -> tuple[int, int]:
    """Height and width with the proportions of a photo of `size` (width, height) and the pixels of a square.

    Both are multiples of 16, since encoders halve them four times; one is at most four times the other.
    """
    ratio = min(max((size[1] / size[0]) ** 0.5, 0.5), 2.0)
    h, w = (max(1, round(length / 16)) * 16 for length in (side * ratio, side / ratio))
    return h, w


def at_size(predictor: Predictor, photo: Image.Image, size: tuple[int, int]) -> Tensor:
    """Logits (3, h, w) of one pass at another working size."""
    return predictor.logits(resize_to_model(photo, size))[0]


def again(predictor: Predictor, photo: Image.Image, side: int, square: bool = True) -> Tensor:
    """Mean of the plain logits and those of a pass over the whole photo at a larger size."""
    size = (side, side) if square else own_shape(photo.size, side)
    return (passes(predictor, photo) + enlarged(at_size(predictor, photo, size), photo)) / 2


def in_proportion(predictor: Predictor, photo: Image.Image) -> Tensor:
    """Two passes, the second in the pet's own proportions and with about as many pixels as the working size has."""
    logits = predictor.first_pass(photo)
    for box in pet_boxes(logits, photo.size):
        part = photo.crop(box)
        size = own_shape(part.size, float(np.prod(predictor.card.size)) ** 0.5)
        logits = merge_logits(logits, at_size(predictor, part, size), box, photo.size)
    return enlarged(logits, photo)


def mirrored(predictor: Predictor, photo: Image.Image) -> Tensor:
    """Test-time augmentation at the price of a second pass: the mean with the photo's mirror image."""
    image = predictor.prepare(photo)
    both = predictor.logits(image) + predictor.logits(image.flip(-1)).flip(-1)
    return enlarged(both[0] / 2, photo)


WAYS: dict[str, Way] = {  # all others are measured against the first
    "bilinear": passes,
    "class map, nearest": partial(passes, mode="nearest-exact"),
    "bicubic": partial(passes, mode="bicubic"),
    "guided filter": guided,
    "photo again at 192x192": partial(again, side=192),
    "photo again in its own proportions": partial(again, side=144, square=False),
    "two passes": partial(passes, count=2),
    "three passes": partial(passes, count=3),
    "two passes, the second in the pet's proportions": in_proportion,
    "two passes, guided filter": partial(guided, count=2),
    "reference: photo again mirrored": mirrored,
}


def pairs(folder: Path, limit: int | None = None) -> Iterator[Pair]:
    """The photos of a folder and their labels at their original sizes, one by one in the order of their names."""
    for name in sorted(path.stem for path in (folder / "oxford-iiit-pet" / "images").glob("*.jpg"))[:limit]:
        trimap = folder / "oxford-iiit-pet" / "annotations" / "trimaps" / f"{name}.png"
        labels = labels_from_trimap(np.array(Image.open(trimap)), trimap.name)
        yield load_photo(folder / "oxford-iiit-pet" / "images" / f"{name}.jpg"), torch.from_numpy(labels)


def in_a_wider_frame(pair: Pair, times: float) -> Pair:
    """The photo in the middle of its own blurred mirror image, as if the pet had been further away."""
    photo, labels = pair[0].copy(), pair[1]
    photo.thumbnail((SCENE_SIDE, SCENE_SIDE), Image.Resampling.BILINEAR)
    W, H = photo.size
    small = Image.fromarray(labels.numpy()).resize((W, H), Image.Resampling.NEAREST)
    x, y = int(W * (times - 1) / 2), int(H * (times - 1) / 2)
    around = Image.fromarray(np.pad(np.asarray(photo), ((y, y), (x, x), (0, 0)), mode="symmetric"))
    scene = around.filter(ImageFilter.GaussianBlur(max(W, H) / 8))  # too blurred to hold a second pet
    scene.paste(photo, (x, y))
    return scene, torch.from_numpy(np.pad(np.asarray(small), ((y, y), (x, x)), constant_values=BACKGROUND))


def compare(predictor: Predictor, examples: Iterable[Pair], ways: dict[str, Way] = WAYS) -> dict[str, Any]:
    """Scores of each way: pooled IoU, the mean over photos, boundary F, and the gain over the first way."""
    matrices: dict[str, list[Tensor]] = {name: [] for name in ways}
    contours: dict[str, list[Tensor]] = {name: [] for name in ways}
    for photo, labels in examples:
        for name, way in ways.items():
            class_map = way(predictor, photo).argmax(dim=0, keepdim=True)  # (1, H, W)
            matrices[name] += confusion_matrices(class_map, labels[None])
            contours[name] += boundary_counts(class_map == PET, labels[None] == PET, [TOLERANCE])
    first = torch.stack(matrices[next(iter(ways))])
    return {name: scores(torch.stack(matrices[name]), torch.stack(contours[name]), first) for name in ways}


def scores(matrices: Tensor, contours: Tensor, first: Tensor) -> dict[str, Any]:
    """Scores of one way, rounded; `gain` is (value, lower, upper end of its 95 % interval over photos)."""
    gain = bootstrap(torch.stack([first, matrices], dim=1), lambda both: mean_iou(both[:, 1]) - mean_iou(both[:, 0]))
    values = pooled_scores(matrices) | {
        "mean_iou_per_photo": float(iou(matrices).nanmean(dim=0).mean()),
        "boundary_f": float(boundary_scores(contours.sum(dim=0)).f[0]),
    }
    return {key: round(value, 4) for key, value in values.items()} | {"gain": [round(float(v), 4) for v in gain]}


def main() -> None:
    """Compares all ways on the photos as they are and in wider frames."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("held_out", metavar="HELD_OUT", type=Path)
    parser.add_argument("--model", help="released model or .safetensors file (default: the most accurate)")
    parser.add_argument("--limit", type=int, help="number of photos, for a quick try")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    args = parser.parse_args()
    predictor = Predictor(args.model)
    photos = list(pairs(args.held_out, args.limit))
    reported: dict[str, Any] = {"photos": len(photos), "as they are": compare(predictor, photos)}
    for times in FRAMES:
        scenes = (in_a_wider_frame(pair, times) for pair in photos)
        reported[f"in a frame {times} times as wide"] = compare(predictor, scenes)
    write_json(args.out, {"model": predictor.card.name, "tolerance": TOLERANCE, "reported": reported})


if __name__ == "__main__":
    main()
