"""`petseg fit`, `validate` and `test`: Lightning's own command line with this project's recipe as its defaults."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, cast

import lightning as L
import torch
from lightning.pytorch.callbacks import LearningRateMonitor, ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI

from petseg import zoo
from petseg.averaging import WarmAverage
from petseg.data import PetDataModule
from petseg.pretrained import PretrainedUNet, load_imagenet
from petseg.task import SegmentationTask, TaskError
from petseg.unet import UNet

RECIPES = Path(__file__).with_name("recipes")


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

    def instantiate_classes(self) -> None:
        """Builds trainer, data and model.

        Raises:
            TaskError: a setting is impossible; the message is that of the class that refused it.
        """
        try:
            super().instantiate_classes()
        except ValueError as error:
            if type(error) is not ValueError:
                raise  # has a name, so it is written for the person at the keyboard already, or it is a defect
            # jsonargparse wraps the error of a setting that may be null in a page of text
            raise TaskError(str(error.__cause__ or error)) from error

    def before_fit(self) -> None:
        """Puts the named weights into the network.

        Raises:
            TaskError: they do not fit it.
        """
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
        own_network: keep the task's network and normalisation, as what is trained on must: a checkpoint tells its
            task's settings and nothing else. The network's settings may differ in what has no weights, as in the size
            to which it enlarges its image.

    Raises:
        ModelError: the model cannot be read.
        TaskError: with `own_network`, the model does not fit the task.
    """
    network, card = zoo.load(name)
    if own_network:
        _check_fit(task, network, card)
    else:
        for constant, wanted in ((task.mean, card.mean), (task.std, card.std)):
            constant.copy_(torch.tensor(wanted).view_as(constant))
    if own_network or task.network.settings == card.settings:
        task.network.load_state_dict(network.state_dict())  # stays compiled, if it was
    else:
        task.network = cast(UNet | PretrainedUNet, network.to(memory_format=torch.channels_last))
    return card


def _check_fit(task: SegmentationTask, network: torch.nn.Module, card: zoo.ModelCard) -> None:
    """Raises TaskError where a model's weights or its normalisation are not those of a task."""
    shapes = [{key: value.shape for key, value in one.state_dict().items()} for one in (task.network, network)]
    if shapes[0] != shapes[1]:
        raise TaskError(
            f"{card.name}: its weights are of a network with {_listed(card.settings)}; this training's has "
            f"{_listed(task.network.settings)}. Set --model.encoder, or else --model.channels, --model.separable and "
            "--model.skips, to those of the weights, or start from others."
        )
    for word, constant, wanted in (("mean", task.mean, card.mean), ("std", task.std, card.std)):
        if not torch.allclose(constant.flatten().cpu(), torch.tensor(wanted)):
            raise TaskError(
                f"{card.name}: normalises its images with {word} {_numbers(wanted)}; this training does with "
                f"{_numbers(constant.flatten().tolist())}, as --model.encoder has it. Start from other weights."
            )


def _listed(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in settings.items())


def _numbers(values: Sequence[float]) -> str:
    return "/".join(f"{value:.3g}" for value in values)


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
