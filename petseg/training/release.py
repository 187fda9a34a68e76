"""`petseg release`: what a run becomes when it is done: a file of weights with its card, and a log worth keeping."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from petseg.data.augment import AugmentSettings
from petseg.data.datamodule import PetDataModule, Source
from petseg.errors import DataError
from petseg.files import write_json
from petseg.labels import CLASSES
from petseg.metrics.calibration import expected_calibration_error
from petseg.metrics.confusion import pooled_scores
from petseg.models import zoo
from petseg.models.zoo import ModelCard
from petseg.training.checkpoints import read_checkpoint
from petseg.training.recipes import distillation
from petseg.training.runs import attempts, check_writable, keep_log, logs_of, read_config
from petseg.training.scoring import evaluate
from petseg.training.task import SegmentationTask
from petseg.training.weights import model_card, use_weights

#: What a released model's card says of its data, by their source, beside how they were split.
DATA: dict[Source, dict[str, str]] = {
    "oxford": {
        "name": "Oxford-IIIT Pet",
        "source": "https://www.robots.ox.ac.uk/~vgg/data/pets/",
        "licence": "CC BY-SA 4.0",
    },
    "cartoon": {"name": "cartoons", "source": "part of petseg: `petseg data cartoon`", "licence": "MIT"},
}

#: What a released model's card says of its limits, by what it was trained on; {size} is that of its pictures.
LIMITS: dict[Source, str] = {
    "oxford": (
        "It was trained on photos that show one cat or dog, mostly large and in the middle; several animals, other "
        "animals, drawings and photos by night are beyond what it has seen. Photos are squeezed to {size}x{size} "
        "pixels, so whiskers, thin legs and leashes are lost. It has no notion of a photo without a pet. Rough "
        "outlines of the people who drew the labels bound what any model can score on the boundary."
    ),
    "cartoon": (
        "It was trained on petseg's cartoons, at {size}x{size} pixels, and has never seen a photo: its scores "
        "say nothing of photos."
    ),
}


def release(
    checkpoint: Path,
    out: Path,
    data: PetDataModule | None = None,
    log: Path | None = None,
    test: bool = True,
    mean_with: str | None = None,
) -> ModelCard:
    """Makes a released model of a checkpoint: float16 weights, with recipe and scores in the header.

    Of the averaged and the raw weights those are taken that score higher on the validation split. The test split is
    scored once, afterwards, and in float16, as everyone who loads the file gets the weights.

    Where a run started from another model's weights, the mean of the weights before and after can score higher than
    either (Wortsman et al.: Robust fine-tuning of zero-shot models, CVPR 2022, https://arxiv.org/abs/2109.01903).
    `mean_with` has these means compared as well.

    Args:
        checkpoint: a `.ckpt` of `petseg fit`.
        out: where to write, `<name>.safetensors`; written last.
        data: what to score on; by default that of the run, as its `config.yaml` tells (of a run that was resumed,
            that of its first attempt), and Oxford-IIIT Pet where there is none.
        log: folder for the run's log: its configuration, its scores epoch by epoch, and when the test split was used.
        test: score the test split; without, the model is one that others are made from, and is listed by none.
        mean_with: the model that the run started from, as `zoo.load` takes it.

    Raises:
        DataError: there is no such checkpoint, it cannot be read, or its run has no log that could be kept.
        ModelError: the name of `out` is none for a model, a weight is infinite or not a number, or `mean_with` cannot
            be read.
        SettingsError: the weights of `mean_with` are of another network.
        MissingError: `out` or `log` cannot be written to.
    """
    zoo.model_file(out)
    task, state = _read_checkpoint(checkpoint)
    run = checkpoint.resolve().parent.parent
    config = read_config(attempts(run)[0])
    data = data or _data(config)
    check_writable(out)
    if log is not None:
        logs_of(run)
        check_writable(log / "release.json")
    chosen, matrices = _best_on_validation(task, _candidates(task, state, mean_with), data)
    counted = {"val": matrices}
    scores = {"val": pooled_scores(matrices)}
    recipe = {**_recipe(task, state, config), "weights": chosen}
    if test:
        counted["test"], breeds, calibration = _test_split(task, data)
        scores |= {"test": pooled_scores(counted["test"]), "breeds": breeds, "calibration": calibration}
        recipe["test_split_scored"] = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    card = model_card(out.stem, task, data, recipe, _source(data), scores)
    card = replace(card, limits=LIMITS[data.source].format(size=data.image_size))
    if log is not None:
        keep_log(run, log)
        found = {
            split: {"images": len(matrices), "pixels": matrices.sum(dim=0).tolist()}
            for split, matrices in counted.items()
        }
        write_json(log / "release.json", {"name": out.stem, "recipe": recipe, "scores": scores, "confusion": found})
    zoo.save(out, task.segmenter, card)
    return card


def _read_checkpoint(path: Path) -> tuple[SegmentationTask, dict[str, Any]]:
    """The task of a checkpoint, and all that the checkpoint holds."""
    state = read_checkpoint(path)
    try:
        task = SegmentationTask.load_from_checkpoint(path, map_location="cpu", weights_only=True)
    except (LookupError, RuntimeError, TypeError, ValueError) as error:
        raise DataError(
            f"{path}: its weights do not fit its settings ({type(error).__name__}). Train again with this petseg."
        ) from error
    return task, state


def _data(config: Mapping[str, Any]) -> PetDataModule:
    """The data of a run by its configuration: source, sizes, fractions, and the folder where it names one."""
    try:
        return PetDataModule(**config.get("data", {}))
    except (TypeError, ValueError) as error:
        raise DataError(f"the run's config.yaml: its data cannot be set up ({error}). Correct it.") from error


def _source(data: PetDataModule) -> dict[str, str]:
    """What a card says of the data, beside the size of each split."""
    training = f"official trainval split less {100 * data.val_fraction:g} % of each breed for validation"
    if data.train_fraction < 1:
        training += f", {100 * data.train_fraction:g} % of the rest"
    return {**DATA[data.source], "training": f"{training}, at {data.image_size}x{data.image_size}"}


def _test_split(
    task: SegmentationTask, data: PetDataModule, ends: int = 3
) -> tuple[torch.Tensor, dict[str, float], dict[str, float]]:
    """One pass over the test split: confusion matrices, mean IoU of its best and worst breeds, calibration by class."""
    matrices = evaluate(task, data, "test", progress=True)
    breeds = [example.breed for example in data.examples["test"]]
    by_breed = {
        breed: pooled_scores(matrices[[one == breed for one in breeds]])["mean_iou"] for breed in sorted(set(breeds))
    }
    ranked = sorted(by_breed, key=lambda breed: -by_breed[breed])
    shown = ranked if len(ranked) <= 2 * ends else ranked[:ends] + ranked[-ends:]
    errors = expected_calibration_error(task.reliability).tolist()
    return (
        matrices,
        {breed: round(by_breed[breed], 4) for breed in shown},
        {name: round(error, 4) for name, error in zip((*CLASSES, "top label"), errors, strict=True)},
    )


def _candidates(
    task: SegmentationTask, state: Mapping[str, Any], mean_with: str | None
) -> dict[str, Mapping[str, torch.Tensor]]:
    """Weights that may be released, by what the card will call them."""
    found = {"averaged": state["state_dict"], "raw": state.get("current_model_state", state["state_dict"])}
    if mean_with is None:
        return found
    start = use_weights(task, mean_with, own_network=True).name
    before = {key: value.clone() for key, value in task.state_dict().items()}
    means = {f"mean of {name} and {start}": _mean(weights, before) for name, weights in found.items()}
    return found | means


def _mean(weights: Mapping[str, torch.Tensor], others: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The mean of two sets of weights; of whole numbers, as BatchNorm's count of batches, the first."""
    return {key: value.lerp(others[key], 0.5) if value.is_floating_point() else value for key, value in weights.items()}


def _best_on_validation(
    task: SegmentationTask, candidates: Mapping[str, Mapping[str, torch.Tensor]], data: PetDataModule
) -> tuple[str, torch.Tensor]:
    """Loads those weights, as a file stores them, that score highest; returns their name and confusion matrices."""
    found = {}
    for name, weights in candidates.items():
        _load_as_stored(task, weights)
        found[name] = evaluate(task, data, "val", progress=True)
        print(f"validation, {name} weights: mean IoU {pooled_scores(found[name])['mean_iou']:.4f}")
    chosen = max(found, key=lambda name: pooled_scores(found[name])["mean_iou"])
    _load_as_stored(task, candidates[chosen])
    return chosen, found[chosen]


def _load_as_stored(task: SegmentationTask, weights: Mapping[str, torch.Tensor]) -> None:
    task.load_state_dict({key: zoo.stored(value) for key, value in weights.items()})  # copied into float32


def _recipe(task: SegmentationTask, state: dict[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """What it takes to train a checkpoint again: its run's configuration, or what the checkpoint itself knows."""
    recipe = {key: value for key, value in task.hparams.items() if not key.startswith("_")}
    recipe |= {"epochs": state["epoch"] + 1, "steps": state["global_step"], "augment": asdict(AugmentSettings())}
    if config:
        recipe |= {"seed": config["seed_everything"], "average_decay": config["average"]["decay"]}
        recipe |= {key: config["data"][key] for key in ("batch_size", "val_fraction")}
        recipe["train_fraction"] = config["data"].get("train_fraction", 1.0)  # older runs could not choose it
        recipe |= {key: config["trainer"][key] for key in ("max_epochs", "precision", "gradient_clip_val")}
        recipe["augment"] = config["model"]["augment"] or recipe["augment"]
        recipe |= _others(config)
    return recipe


def _others(config: Mapping[str, Any]) -> dict[str, Any]:
    """What a run owes to other models: the one whose weights it started from, and its teacher."""
    found: dict[str, Any] = {}
    if config.get("weights"):
        found["starts_from"] = Path(config["weights"]).stem
    if taught := distillation(config):
        found |= {"teacher": ", ".join(taught["teacher"]), "teacher_weight": taught["weight"]}
    return found
