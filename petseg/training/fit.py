"""`petseg fit`, `validate` and `test`: Lightning's own command line with this project's recipe as its defaults."""

from __future__ import annotations

import re
import signal
import warnings
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import LearningRateMonitor, TQDMProgressBar
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback
from lightning.pytorch.utilities.exceptions import MisconfigurationException, SIGTERMException

from petseg.data.datamodule import PetDataModule
from petseg.errors import MissingError, SettingsError
from petseg.models.architectures import load_pretrained_encoder
from petseg.models.device import best_precision
from petseg.training.callbacks import EpochSeconds, EpochSeeds, checkpoints
from petseg.training.checkpoints import WholeCheckpoints, find_checkpoint
from petseg.training.ema import WarmupEMA
from petseg.training.recipes import RECIPES
from petseg.training.task import SegmentationTask
from petseg.training.weights import use_weights


class PetCLI(LightningCLI):
    """LightningCLI with weight averaging, and with released weights where no checkpoint is named."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Adds `--average.decay` and `--weights`."""
        parser.add_lightning_class_args(WarmupEMA, "average")
        parser.add_argument(
            "--weights",
            default=None,
            help="released model or .safetensors file, also given as --model NAME: what `fit` starts from (default: "
            "random weights, and ImageNet's where --model.encoder is given, unless this is `random`), and what "
            "`validate` and `test` score without --ckpt_path (default: the most accurate)",
        )

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parses arguments that come from Python as well as those of the process."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "LightningCLI's args parameter")
            super().parse_arguments(parser, args)
        self._check_request(self.config["subcommand"])

    def _check_request(self, command: str) -> None:
        """Refuses what cannot end well before anything is loaded, and finds the checkpoint that is meant.

        Raises:
            SettingsError: a run would leave no checkpoint.
            DataError: there is no such checkpoint, or it cannot be read.
        """
        chosen = self.config[command]
        trainer = chosen["trainer"]
        if command == "fit":
            for name in ("logger", "enable_checkpointing"):
                if trainer[name] is False:
                    raise SettingsError(
                        f"trainer.{name}=False: a run keeps its log and its checkpoints in the folder of its logger, "
                        "and without them all epochs would be lost. Leave it out."
                    )
        if chosen["ckpt_path"]:
            chosen["ckpt_path"] = str(find_checkpoint(chosen["ckpt_path"]))

    def instantiate_trainer(self, **kwargs: Any) -> L.Trainer:
        """Builds the Trainer, whose settings may take a default of ours away.

        `enable_progress_bar: false` does so with the bar, and a recipe's own `EpochSeeds` with that of the defaults:
        each of two would overwrite what the other has seeded.
        """
        chosen = self._get(self.config_init, "trainer")
        named = chosen["callbacks"] or []
        unwanted: list[type] = [EpochSeeds] if any(isinstance(c, EpochSeeds) for c in _listed(named)) else []
        if chosen["enable_progress_bar"] is False:
            unwanted.append(TQDMProgressBar)
        kept = [c for c in self.trainer_defaults["callbacks"] if not isinstance(c, tuple(unwanted))]
        self.trainer_defaults["callbacks"] = kept
        return super().instantiate_trainer(**{"plugins": chosen["plugins"] or [WholeCheckpoints()], **kwargs})

    def instantiate_classes(self) -> None:
        """Builds trainer, data and model.

        Raises:
            SettingsError: a setting is impossible; the message is that of the class that refused it.
        """
        try:
            super().instantiate_classes()
        except ValueError as error:
            if type(error) is not ValueError:
                raise  # a PetsegError has its sentence already, any other kind is a defect
            # jsonargparse wraps the error of a setting that may be null in a page of text
            raise SettingsError(str(error.__cause__ or error)) from error

    def before_fit(self) -> None:
        """Puts the named weights into the network.

        Raises:
            SettingsError: they do not fit it.
        """
        weights = self.config["fit"]["weights"]
        if weights and weights != "random":
            use_weights(self.model, weights, own_network=True)
        elif not weights and not self.config["fit"]["ckpt_path"]:
            load_pretrained_encoder(self.model.network)

    def before_validate(self) -> None:
        """Puts the released weights into the network."""
        self._released_weights("validate")

    def before_test(self) -> None:
        """Puts the released weights into the network."""
        self._released_weights("test")

    def _released_weights(self, command: str) -> None:
        if not self.config[command]["ckpt_path"]:
            use_weights(self.model, self.config[command]["weights"])


def _listed(one_or_more: Any) -> list[Any]:
    return one_or_more if isinstance(one_or_more, list) else [one_or_more]


def trainer_defaults(command: str) -> dict[str, Any]:
    """Trainer arguments where the command line and the recipe say nothing; logs go to `runs/version_N/metrics.csv`.

    `fit` computes in the hardware's fastest precision; scores are taken in fp32, so that they are the same elsewhere.
    """
    logger = {"class_path": "lightning.pytorch.loggers.CSVLogger", "init_args": {"save_dir": ".", "name": "runs"}}
    precision = best_precision() if command == "fit" else "32-true"
    # the bar by name: where rich is installed, as on Colab, Lightning would take rich's, which breaks in notebooks
    callbacks: list[L.Callback] = [TQDMProgressBar()]
    if command == "fit":
        callbacks += [LearningRateMonitor("epoch"), EpochSeeds(), EpochSeconds(), *checkpoints()]
    return {"precision": precision, "logger": logger, "callbacks": callbacks, "log_every_n_steps": 1}


def run(arguments: list[str]) -> PetCLI:
    """Runs `fit`, `validate` or `test` as Lightning's command line understands it.

    Args:
        arguments: the command and its flags, for instance `["fit", "--trainer.max_epochs", "2"]`.

    Raises:
        SettingsError: the settings do not fit each other.
        MissingError: a file may not be read, or the folder of runs not be written to.
        SystemExit: with 143 after SIGTERM, so that `petseg fit && petseg release` ends there.
    """
    # a recipe is complete: what it leaves out has the default of its class, not the value of the course's recipe
    has_config = any(re.match(r"(--config|-c)(=|$)", argument) for argument in arguments)
    try:
        return PetCLI(
            SegmentationTask,
            PetDataModule,
            trainer_defaults=trainer_defaults(arguments[0]),
            parser_kwargs={"fit": {"default_config_files": [] if has_config else [str(RECIPES / "course.yaml")]}},
            save_config_callback=SaveConfigCallback if arguments[0] == "fit" else None,
            args=arguments,
        )
    except SIGTERMException:
        raise SystemExit(128 + signal.SIGTERM) from None
    except MisconfigurationException as error:  # Lightning's sentences are written for the user
        raise SettingsError(" ".join(str(error).split())) from error
    except ValueError as error:
        if type(error) is not ValueError or "`val_check_interval`" not in str(error):
            raise
        raise SettingsError(" ".join(str(error).split())) from error
    except RuntimeError as error:
        if not str(error).startswith("SaveConfigCallback"):
            raise
        raise SettingsError(
            "--trainer.logger.init_args.version: there is a run of this name already. Leave it out, or choose another."
        ) from error
    except PermissionError as error:
        raise MissingError(
            f"{error.filename}: may not be read or written ({error.strerror}). Change its permissions, or call "
            f"petseg {arguments[0]} in a folder of yours."
        ) from error
