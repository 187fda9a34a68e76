"""`petseg release`: converts the checkpoint of a run into a file of weights with its card, and keeps the run's log."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from petseg.data.augment import augment_settings
from petseg.data.datamodule import PetDataModule
from petseg.errors import DataError, ModelError, SettingsError
from petseg.evaluation.mistakes import indices_by
from petseg.files import write_json
from petseg.labels import CLASSES
from petseg.metrics.calibration import expected_calibration_error, reliability_counts
from petseg.metrics.confusion import class_map, confusion_matrices, pooled_scores
from petseg.models import zoo
from petseg.models.zoo import ModelCard
from petseg.training.recipes import distillation
from petseg.training.runs import (
    attempts,
    check_writable,
    keep_log,
    logs_of,
    read_checkpoint,
    read_config,
    read_log,
    run_of,
)
from petseg.training.scoring import evaluate, loader, scorer
from petseg.training.task import SegmentationTask
from petseg.training.weights import model_card, start_from

Kind = Literal["oxford", "own", "cartoon"]
OXFORD_TEST = 3669  # photos in its official test split; data in its layout with another number are the user's own

#: What a card says of its data, beside how they were split.
DATA: dict[Kind, dict[str, str]] = {
    "oxford": {
        "name": "Oxford-IIIT Pet",
        "source": "https://www.robots.ox.ac.uk/~vgg/data/pets/",
        "licence": "CC BY-SA 4.0",
    },
    "own": {"name": "data in the layout of Oxford-IIIT Pet", "source": "not stated", "licence": "not stated"},
    "cartoon": {"name": "cartoons", "source": "part of petseg: `petseg data cartoon`", "licence": "MIT"},
}

#: What a card says of its model's limits, by its data; {size} is the height and width of its images.
LIMITS: dict[Kind, str] = {
    "oxford": (
        "It was trained on photos that show one cat or dog, mostly large and in the middle; several animals, other "
        "animals, drawings and photos by night are beyond what it has seen. Photos are squeezed to {size}x{size} "
        "pixels, so whiskers, thin legs and leashes are lost. It has no notion of a photo without a pet. The labels "
        "are rough at the boundary: two masks of one photo agree there only to an IoU of about 0.6."
    ),
    "own": "It was trained at {size}x{size} pixels; finer detail is lost. What its photos show is not stated.",
    "cartoon": (
        "It was trained on petseg's cartoons, at {size}x{size} pixels, and has never seen a photo: its scores "
        "say nothing of photos."
    ),
}

#: Weights of a task by the names of its `state_dict`.
Weights = Mapping[str, Tensor]


def release(
    checkpoint: Path,
    out: Path,
    data: PetDataModule | None = None,
    log: Path | None = None,
    test: bool = True,
    mean_with: str | None = None,
) -> ModelCard:
    """Converts a checkpoint into a released model: float16 weights, with recipe and scores in the header.

    Averaged and raw weights are compared on the validation split. The test split is scored once, with the chosen
    weights in float16, as the file stores them.

    Args:
        checkpoint: a `.ckpt` of `petseg fit`.
        out: the file to write, `<name>.safetensors`; written last.
        data: default: the data set in the run's `config.yaml`, or Oxford-IIIT Pet where there is none.
        log: folder for the run's configuration, its scores by epoch, and `release.json`.
        test: score the test split; if False, the model is not listed with a score.
        mean_with: the model that the run started from. The mean of its weights and the run's is compared as well: it
            can score higher than either (Wortsman et al.: Robust fine-tuning of zero-shot models, CVPR 2022,
            https://arxiv.org/abs/2109.01903).

    Raises:
        PetsegError: before anything is scored, where a file is missing, damaged or not writable, or where the network
            is of a class that no card can name or not of that of `mean_with`; a `ModelError` for weights that are not
            finite.
    """
    zoo.model_file(out)
    task, state = _read_task(checkpoint)
    run = run_of(checkpoint.resolve())
    config = read_config(attempts(run)[0]) if run else {}
    data = data or _data(config)
    check_writable(out)
    if log is not None:
        _check_log(log, run)
    chosen, val = _best_on_validation(task, _candidates(task, state, mean_with), data)
    matrices = {"val": val}
    scores = {"val": pooled_scores(val)}
    recipe = {**_recipe(task, state, config), "weights": chosen}
    if test:
        matrices["test"], breeds, calibration = _test_split(task, data)
        scores |= {"test": pooled_scores(matrices["test"]), "breeds": breeds, "calibration": calibration}
        recipe["test_split_scored"] = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    card = model_card(out.stem, task, data, recipe, _source(data), scores)
    card = replace(card, limits=LIMITS[_kind(data)].format(size=data.image_size))
    if log is not None and run is not None:
        keep_log(run, log)
        write_json(log / "release.json", _record(card, matrices))
    zoo.save(out, task.segmenter, card)
    return card


def _check_log(log: Path, run: Path | None) -> None:
    """Refuses a folder for the log of a run that it would damage, or that cannot be written."""
    if run is None:
        raise SettingsError(f"--log {log}: the checkpoint lies in no folder `checkpoints` of a run, so it has no log.")
    if log.resolve() in attempts(run):
        raise SettingsError(
            f"--log {log}: is the folder of the run itself, whose files it would replace. Name another."
        )
    for path in logs_of(run):
        read_log(path)  # before the test split is scored
    check_writable(log / "release.json")


def _read_task(path: Path) -> tuple[SegmentationTask, dict[str, Any]]:
    """The task of a checkpoint, and the checkpoint's content."""
    state = read_checkpoint(path)
    network = state.get("hyper_parameters", {}).get("network", {}).get("class_path")
    if network and network not in zoo.NETWORKS.values():
        raise ModelError(
            f"{path}: its network is {network}; a released model's is {' or '.join(zoo.NETWORKS.values())}. To release "
            "another one, add it to NETWORKS in petseg/models/zoo.py."
        )
    try:
        task = SegmentationTask.load_from_checkpoint(path, map_location="cpu", weights_only=True)
    except (LookupError, RuntimeError, TypeError, ValueError) as error:
        raise DataError(
            f"{path}: its weights do not fit its settings ({type(error).__name__}). Train again with this petseg."
        ) from error
    return task, state


def _data(config: Mapping[str, Any]) -> PetDataModule:
    """The data of a run by its configuration."""
    try:
        return PetDataModule(**config.get("data", {}))
    except (TypeError, ValueError) as error:
        raise DataError(f"the run's config.yaml: its data cannot be set up ({error}). Correct it.") from error


def _candidates(task: SegmentationTask, state: Mapping[str, Any], mean_with: str | None) -> dict[str, Weights]:
    """The weights that may be released, by the name that the card gives them."""
    trained = {"averaged": state["state_dict"], "raw": state.get("current_model_state", state["state_dict"])}
    if mean_with is None:
        return trained
    start = start_from(task, mean_with).name
    before = {key: value.clone() for key, value in task.state_dict().items()}
    return trained | {f"mean of {name} and {start}": _mean(weights, before) for name, weights in trained.items()}


def _mean(weights: Weights, others: Weights) -> Weights:
    """The mean of two sets of weights; whole numbers, as BatchNorm's counter of batches, come from the first."""
    return {key: value.lerp(others[key], 0.5) if value.is_floating_point() else value for key, value in weights.items()}


def _best_on_validation(
    task: SegmentationTask, candidates: Mapping[str, Weights], data: PetDataModule
) -> tuple[str, Tensor]:
    """Loads the candidate that scores highest in float16; returns its name and its confusion matrices (N, 3, 3)."""
    matrices = {}
    for name, weights in candidates.items():
        _load_as_stored(task, weights)
        matrices[name] = evaluate(task, data, "val", progress=True)
        print(f"validation, {name} weights: mean IoU {pooled_scores(matrices[name])['mean_iou']:.4f}")
    chosen = max(matrices, key=lambda name: pooled_scores(matrices[name])["mean_iou"])
    _load_as_stored(task, candidates[chosen])
    return chosen, matrices[chosen]


def _load_as_stored(task: SegmentationTask, weights: Weights) -> None:
    task.load_state_dict({key: zoo.stored(value) for key, value in weights.items()})  # copied into float32


def _test_split(task: SegmentationTask, data: PetDataModule) -> tuple[Tensor, dict[str, float], dict[str, float]]:
    """One pass over the test split: confusion matrices, mean IoU of the best and worst breeds, calibration by class."""
    batches: list[Tensor] = []
    reliability = torch.zeros(())
    with scorer(task) as segment:
        for image, mask, _ in loader(data, "test", progress=True):
            logits = segment(image)
            batches.append(confusion_matrices(class_map(logits), mask))
            reliability = reliability + reliability_counts(logits.softmax(dim=1), mask)
    matrices = torch.cat(batches)
    rows = indices_by(data.examples["test"], lambda example: example.breed)
    by_breed = {breed: pooled_scores(matrices[indices])["mean_iou"] for breed, indices in rows.items()}
    ranked = sorted(by_breed, key=lambda breed: -by_breed[breed])
    shown = list(dict.fromkeys(ranked[:3] + ranked[-3:]))  # each once, where there are few
    errors = expected_calibration_error(reliability).tolist()
    calibration = {name: round(error, 4) for name, error in zip((*CLASSES, "top label"), errors, strict=True)}
    return matrices, {breed: round(by_breed[breed], 4) for breed in shown}, calibration


def _record(card: ModelCard, matrices: Mapping[str, Tensor]) -> dict[str, Any]:
    """Recipe, scores and pooled confusion matrices of a released model, from the matrices (N, 3, 3) of each split."""
    pixels = {split: {"images": len(m), "pixels": m.sum(dim=0).tolist()} for split, m in matrices.items()}
    return {"name": card.name, "recipe": card.recipe, "scores": card.scores, "confusion": pixels}


def _kind(data: PetDataModule) -> Kind:
    """Whose data a model was trained on: `petseg release` must not call others' photos Oxford-IIIT Pet."""
    return "own" if data.source == "oxford" and len(data.examples["test"]) != OXFORD_TEST else data.source


def _source(data: PetDataModule) -> dict[str, str]:
    """What a card says of the data, beside the number of examples in each split."""
    official, rest = "" if _kind(data) == "own" else "official ", f", {100 * data.train_fraction:g} % of the rest"
    training = f"{official}trainval split less {100 * data.val_fraction:g} % of each breed for validation"
    training += f"{rest * (data.train_fraction < 1)}, at {data.image_size}x{data.image_size}"
    return {**DATA[_kind(data)], "training": training}


def _recipe(task: SegmentationTask, state: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """What it takes to train a checkpoint again: the run's configuration, or what the checkpoint holds of it."""
    recipe = {key: value for key, value in task.hparams.items() if not key.startswith("_")}
    recipe |= {"epochs": state["epoch"] + 1, "steps": state["global_step"]}
    if config:
        recipe |= {"seed": config["seed_everything"], "average_decay": config["average"]["decay"]}
        recipe |= {key: config["data"][key] for key in ("batch_size", "val_fraction", "train_fraction")}
        recipe |= {key: config["trainer"][key] for key in ("max_epochs", "precision", "gradient_clip_val")}
        augment = augment_settings(config["model"]["augment"])
        recipe["augment"] = [asdict(entry) for entry in augment] if isinstance(augment, list) else asdict(augment)
        if config.get("weights"):
            recipe["starts_from"] = Path(config["weights"]).stem
        if distilled := distillation(config):
            recipe |= {"teacher": ", ".join(distilled["teacher"]), "teacher_weight": distilled["weight"]}
            joined = state["callbacks"].get("Distillation", {}).get("student")
            recipe |= {"student_joins": distilled["join"]} if joined else {}
    return recipe
