"""`petseg fit`, `validate` and `test`: Lightning's own command line with this project's recipe as its defaults."""

from __future__ import annotations

import csv
import shutil
import time
import warnings
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, cast

import lightning as L
import torch
import yaml
from lightning.pytorch.callbacks import LearningRateMonitor, ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI

from petseg import zoo
from petseg.augment import AugmentSettings
from petseg.averaging import WarmAverage
from petseg.cache import DataError
from petseg.data import PetDataModule
from petseg.labels import CLASSES
from petseg.metrics import expected_calibration_error, pooled_scores
from petseg.pretrained import PretrainedUNet, load_imagenet
from petseg.task import SegmentationTask, write_json
from petseg.unet import UNet

RECIPES = Path(__file__).with_name("recipes")

#: What a released model's card says of its data, beside the counts.
DATA = {
    "name": "Oxford-IIIT Pet",
    "source": "https://www.robots.ox.ac.uk/~vgg/data/pets/",
    "licence": "CC BY-SA 4.0",
    "training": "official trainval split less 10 % of each breed for validation, at 128x128",
}

#: What every released model's card says of its limits.
LIMITS = (
    "It was trained on photos that show one cat or dog, mostly large and in the middle; several animals, other "
    "animals, drawings and photos by night are beyond what it has seen. Photos are squeezed to 128x128 pixels, so "
    "whiskers, thin legs and leashes are lost. It has no notion of a photo without a pet. Rough outlines of the people "
    "who drew the labels bound what any model can score on the boundary."
)


def best_precision() -> Literal["bf16-mixed", "16-mixed", "32-true"]:
    """The fastest precision that the hardware computes natively, as Lightning's `precision` takes it.

    bf16 on GPUs and CPUs that have it (CPUs: AVX512-BF16 or AMX; elsewhere it is emulated, and slower than fp32),
    fp16 on older NVIDIA GPUs such as a T4, fp32 otherwise.
    """
    if torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "16-mixed"
    if torch.backends.mps.is_available():
        return "32-true"
    names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")  # not public yet, so they may move
    return "bf16-mixed" if any(getattr(torch.cpu, name, bool)() for name in names) else "32-true"


class BestCheckpoint(ModelCheckpoint):
    """Keeps `best.ckpt`, by the validation split's mean IoU: what `petseg release` takes."""

    def __init__(self) -> None:
        super().__init__(monitor="val/mean_iou", mode="max", filename="best", enable_version_counter=False)


class LastCheckpoint(ModelCheckpoint):
    """Keeps `last.ckpt`, of the last validation whatever it scored: to resume from with `--ckpt_path`.

    Lightning's own `save_last` writes it only where the score is the best so far.
    """

    def __init__(self) -> None:
        super().__init__(filename="last", enable_version_counter=False)


def checkpoints() -> list[L.Callback]:
    """The callbacks that keep `best.ckpt` and `last.ckpt`."""
    return [BestCheckpoint(), LastCheckpoint()]


class EpochSeconds(L.Callback):
    """Logs how long the training steps of an epoch took, `train/seconds`; validation does not count."""

    def __init__(self) -> None:
        self.start = self.end = 0.0

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Starts the clock."""
        self.start = self.end = time.perf_counter()

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        """Reads the clock."""
        self.end = time.perf_counter()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Logs the time up to the last step's end; a run that is resumed between two epochs begins with this call."""
        if self.start:
            pl_module.log("train/seconds", self.end - self.start)


class PetCLI(LightningCLI):
    """LightningCLI with weight averaging, and with released weights where no checkpoint is named."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Adds `--average.decay` and `--weights`."""
        parser.add_lightning_class_args(WarmAverage, "average")
        parser.add_argument(
            "--weights",
            default=None,
            help="released model or .safetensors file: what `fit` starts from (default: random weights, and ImageNet's "
            "where --model.encoder is given, unless this is `random`), and what `validate` and `test` score without "
            "--ckpt_path (default: the most accurate)",
        )

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parses arguments that come from Python as well as those of the process."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "LightningCLI's args parameter")
            super().parse_arguments(parser, args)

    def instantiate_trainer(self, **kwargs: Any) -> L.Trainer:
        """Builds the Trainer; `--trainer.enable_progress_bar false` takes our bar away as it would Lightning's."""
        if self._get(self.config, "trainer")["enable_progress_bar"] is False:
            kept = [c for c in self.trainer_defaults["callbacks"] if not isinstance(c, TQDMProgressBar)]
            self.trainer_defaults["callbacks"] = kept
        return super().instantiate_trainer(**kwargs)

    def before_fit(self) -> None:
        """Puts the named weights into the network."""
        weights = self.config["fit"]["weights"]
        if weights and weights != "random":
            use_weights(self.model, weights, own_network=True)
        elif not weights and not self.config["fit"]["ckpt_path"] and isinstance(self.model.network, PretrainedUNet):
            load_imagenet(self.model.network)

    def before_validate(self) -> None:
        """Puts the released weights into the network."""
        self._released_weights("validate")

    def before_test(self) -> None:
        """Puts the released weights into the network."""
        self._released_weights("test")

    def _released_weights(self, command: str) -> None:
        if not self.config[command]["ckpt_path"]:
            use_weights(self.model, self.config[command]["weights"])


def use_weights(task: SegmentationTask, name: str | Path | None = None, own_network: bool = False) -> zoo.ModelCard:
    """Gives a task the weights and the normalisation of a released model, and its network where that differs.

    Args:
        task: changed in place.
        name: as `zoo.load` takes it.
        own_network: keep the task's network where the weights fit it, though its settings differ in what has no
            weights, as in the size to which it enlarges its image.

    Raises:
        ModelError: the model cannot be read.
    """
    network, card = zoo.load(name)
    for constant, wanted in ((task.mean, card.mean), (task.std, card.std)):
        constant.copy_(torch.tensor(wanted).view_as(constant))
    if task.network.settings == card.settings or (own_network and _fits(task.network, network)):
        task.network.load_state_dict(network.state_dict())  # stays compiled, if it was
    else:
        task.network = cast(UNet | PretrainedUNet, network.to(memory_format=torch.channels_last))
    return card


def _fits(network: torch.nn.Module, other: torch.nn.Module) -> bool:
    """Whether two networks have the same weights by name and shape."""
    shapes = [{key: value.shape for key, value in one.state_dict().items()} for one in (network, other)]
    return shapes[0] == shapes[1]


def trainer_defaults(command: str) -> dict[str, Any]:
    """Trainer arguments where the command line and the recipe say nothing; logs go to `runs/version_N/metrics.csv`.

    `fit` computes in the hardware's fastest precision; scores are taken in fp32, so that they are the same elsewhere.
    """
    logger = {"class_path": "lightning.pytorch.loggers.CSVLogger", "init_args": {"save_dir": ".", "name": "runs"}}
    precision = best_precision() if command == "fit" else "32-true"
    # the bar by name: where rich is installed, as on Colab, Lightning would take rich's, which breaks in notebooks
    callbacks = [TQDMProgressBar(), LearningRateMonitor(logging_interval="epoch"), EpochSeconds(), *checkpoints()]
    return {"precision": precision, "logger": logger, "callbacks": callbacks, "log_every_n_steps": 1}


def run(arguments: list[str]) -> PetCLI:
    """Runs `fit`, `validate` or `test` as Lightning's command line understands it.

    Args:
        arguments: the command and its flags, for instance `["fit", "--trainer.max_epochs", "2"]`.
    """
    return PetCLI(
        SegmentationTask,
        PetDataModule,
        trainer_defaults=trainer_defaults(arguments[0]),
        parser_kwargs={"fit": {"default_config_files": [str(RECIPES / "course.yaml")]}},
        args=arguments,
    )


def evaluate(task: SegmentationTask, data: PetDataModule, split: Literal["val", "test"]) -> torch.Tensor:
    """Confusion matrices of a task on a split: one pass, no test-time augmentation, full precision.

    Returns:
        int64 (N, 3, 3) in the order of `data.examples[split]`, rows true, columns predicted.
    """
    trainer = L.Trainer(
        logger=False, enable_checkpointing=False, enable_model_summary=False, callbacks=[TQDMProgressBar()]
    )
    score = trainer.validate if split == "val" else trainer.test
    score(task, datamodule=data, verbose=False)
    return task.matrices


def release(
    checkpoint: Path,
    out: Path,
    data: PetDataModule | None = None,
    log: Path | None = None,
    test: bool = True,
) -> zoo.ModelCard:
    """Makes a released model of a checkpoint: float16 weights, with recipe and scores in the header.

    Of the averaged and the raw weights those are taken that score higher on the validation split. The test split is
    scored once, afterwards, and in float16, as everyone who loads the file gets the weights.

    Args:
        checkpoint: a `.ckpt` of `petseg fit`.
        out: where to write, `<name>.safetensors`.
        data: what to score on; Oxford-IIIT Pet by default.
        log: folder for the run's log: its configuration, its scores epoch by epoch, and when the test split was used.
        test: score the test split; without, the model is one that others are made from, and is listed by none.

    Raises:
        DataError: there is no such checkpoint.
        ModelError: the weights do not fit float16.
    """
    if not checkpoint.is_file():
        raise DataError(f"{checkpoint}: no such checkpoint. `petseg fit` writes runs/version_N/checkpoints/best.ckpt.")
    task = SegmentationTask.load_from_checkpoint(checkpoint, map_location="cpu", weights_only=True)
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    data = data or PetDataModule()
    chosen, matrices = _best_on_validation(task, state, data)
    counted = {"val": matrices}
    scores = {"val": pooled_scores(matrices)}
    run = checkpoint.parents[1]
    recipe = {**_recipe(task, state, run / "config.yaml"), "weights": chosen}
    if test:
        counted["test"], breeds, calibration = _test_split(task, data)
        scores |= {"test": pooled_scores(counted["test"]), "breeds": breeds, "calibration": calibration}
        recipe["test_split_scored"] = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    card = replace(model_card(out.stem, task, data, recipe, DATA, scores), limits=LIMITS)
    zoo.save(out, task.network, card)
    if log is not None:
        keep_log(run, log)
        found = {
            split: {"images": len(matrices), "pixels": matrices.sum(dim=0).tolist()}
            for split, matrices in counted.items()
        }
        write_json(log / "release.json", {"name": out.stem, "recipe": recipe, "scores": scores, "confusion": found})
    return card


def _test_split(
    task: SegmentationTask, data: PetDataModule, ends: int = 3
) -> tuple[torch.Tensor, dict[str, float], dict[str, float]]:
    """One pass over the test split: confusion matrices, mean IoU of its best and worst breeds, calibration by class."""
    task.reliability = torch.zeros(())
    matrices = evaluate(task, data, "test")
    breeds = [example.breed for example in data.examples["test"]]
    by_breed = {
        breed: pooled_scores(matrices[[one == breed for one in breeds]])["mean_iou"] for breed in sorted(set(breeds))
    }
    ranked = sorted(by_breed, key=lambda breed: -by_breed[breed])
    shown = ranked if len(ranked) <= 2 * ends else ranked[:ends] + ranked[-ends:]
    errors = expected_calibration_error(task.reliability).tolist()
    task.reliability = None
    return (
        matrices,
        {breed: round(by_breed[breed], 4) for breed in shown},
        {name: round(error, 4) for name, error in zip((*CLASSES, "top label"), errors, strict=True)},
    )


def keep_log(run: Path, folder: Path) -> None:
    """Copies what is worth keeping of a run: its configuration, and its log with one row an epoch.

    Args:
        run: folder of `petseg fit`, `runs/version_N`.
        folder: made if missing.

    Raises:
        DataError: the run has no log.
    """
    if not (run / "metrics.csv").is_file():
        raise DataError(f"{run}: holds no metrics.csv. Name the folder that `petseg fit` made, runs/version_N.")
    with (run / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    epochs: dict[str, dict[str, str]] = {}
    for row in rows:
        if row.get("epoch"):
            epochs.setdefault(row["epoch"], {}).update({key: _short(value) for key, value in row.items() if value})
    columns = list(dict.fromkeys(key for row in epochs.values() for key in row))
    folder.mkdir(parents=True, exist_ok=True)
    with zoo.written_whole(folder / "metrics.csv") as partial, partial.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(epochs.values())
    if (run / "config.yaml").is_file():
        with zoo.written_whole(folder / "config.yaml") as partial:
            shutil.copyfile(run / "config.yaml", partial)


def _short(value: str) -> str:
    """A number with six digits, which are more than a rerun on another machine repeats."""
    return f"{float(value):.6g}"


def model_card(
    name: str,
    task: SegmentationTask,
    data: PetDataModule,
    recipe: Mapping[str, Any],
    source: Mapping[str, Any],
    scores: Mapping[str, Mapping[str, float]],
) -> zoo.ModelCard:
    """The card of a task's network.

    Args:
        name: of the model.
        task: what was trained.
        data: what it was trained on, set up.
        recipe: how.
        source: what the card says of the data, beside the size of each split.
        scores: by split.
    """
    return zoo.ModelCard(
        name=name,
        architecture="unet" if isinstance(task.network, UNet) else "pretrained-unet",
        settings=task.network.settings,
        mean=tuple(task.mean.flatten().tolist()),
        std=tuple(task.std.flatten().tolist()),
        size=(data.image_size, data.image_size),
        parameters=sum(p.numel() for p in task.network.parameters()),
        recipe=dict(recipe),
        data={**source, "examples": {split: len(examples) for split, examples in data.examples.items()}},
        scores={split: dict(found) for split, found in scores.items()},
    )


def _best_on_validation(task: SegmentationTask, state: dict[str, Any], data: PetDataModule) -> tuple[str, torch.Tensor]:
    """Loads averaged or raw weights, rounded to float16, whichever score higher; says which, and their matrices."""
    candidates = {"averaged": state["state_dict"], "raw": state.get("current_model_state", state["state_dict"])}
    found = {}
    for name, weights in candidates.items():
        task.load_state_dict(weights)
        task.network.half().float()
        found[name] = evaluate(task, data, "val")
        print(f"validation, {name} weights: mean IoU {pooled_scores(found[name])['mean_iou']:.4f}")
    chosen = max(found, key=lambda name: pooled_scores(found[name])["mean_iou"])
    task.load_state_dict(candidates[chosen])
    task.network.half().float()
    return chosen, found[chosen]


def _recipe(task: SegmentationTask, state: dict[str, Any], written: Path) -> dict[str, Any]:
    """What it takes to train a checkpoint again: its run's configuration, or what the checkpoint itself knows."""
    recipe = {key: value for key, value in task.hparams.items() if not key.startswith("_")}
    recipe |= {"epochs": state["epoch"] + 1, "steps": state["global_step"], "augment": asdict(AugmentSettings())}
    if written.is_file():
        config = yaml.safe_load(written.read_text())
        recipe |= {"seed": config["seed_everything"], "average_decay": config["average"]["decay"]}
        recipe |= {key: config["data"][key] for key in ("batch_size", "val_share")}
        recipe |= {key: config["trainer"][key] for key in ("max_epochs", "precision", "gradient_clip_val")}
        recipe["augment"] = config["model"]["augment"] or recipe["augment"]
        recipe |= _others(config)
    return recipe


def _others(config: Mapping[str, Any]) -> dict[str, Any]:
    """What a run owes to other models: the one whose weights it started from, and its teacher."""
    found: dict[str, Any] = {}
    if config.get("weights"):
        found["starts_from"] = Path(config["weights"]).stem
    for callback in config["trainer"].get("callbacks") or []:
        if callback["class_path"] == "petseg.distil.Distil":
            taught = callback["init_args"]
            found |= {"teacher": Path(taught["teacher"]).stem, "teacher_weight": taught["weight"]}
    return found
