"""`petseg fit`, `validate` and `test`: Lightning's own command line with this project's recipe as its defaults."""

import errno
import sys
import warnings
from pathlib import Path
from typing import Any, cast

import lightning as L
import torch
import yaml
from jsonargparse import dict_to_namespace
from lightning.pytorch.callbacks import TQDMProgressBar
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from petseg.data.datamodule import PetDataModule
from petseg.errors import DISK_ERRORS, MissingError, SettingsError
from petseg.files import write_text
from petseg.models import zoo
from petseg.models.device import best_precision
from petseg.models.pretrained import PretrainedUNet, load_imagenet
from petseg.training.callbacks import AtomicCheckpointIO, EpochSeconds, EpochSeeds, checkpoints
from petseg.training.configs import FREE, KEPT, settings_of, with_configs
from petseg.training.ema import WarmupEMA
from petseg.training.runs import find_checkpoint
from petseg.training.stopping import StopTogether
from petseg.training.task import SegmentationTask
from petseg.training.weights import start_from


class NewRun(SaveConfigCallback):
    """Writes `config.yaml` into the folder of a run, whole or not at all."""

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Writes the file, once; every process calls this, and the first one writes."""
        if self.already_saved:
            return
        folder = cast(str, trainer.log_dir)
        path = Path(folder) / self.config_filename
        if trainer.strategy.broadcast(trainer.is_global_zero and path.is_file()):
            raise SettingsError(
                f"{folder}: holds another run. Choose another --trainer.logger.init_args.version, or none."
            )
        if trainer.is_global_zero:
            write_text(path, self.parser.dump(self.config, skip_none=False))
        self.already_saved = True


class PetCLI(LightningCLI):
    """LightningCLI with weight averaging, and with released weights where no checkpoint is named.

    Args:
        command: the only one that it makes a parser for, `fit`, `validate` or `test`: each parser takes a while.
        settings: as LightningCLI takes them.
    """

    def __init__(self, command: str, *settings: Any, **more: Any) -> None:
        self.subcommands = lambda: {command: LightningCLI.subcommands()[command]}  # type: ignore[method-assign]
        super().__init__(*settings, **more)

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Adds `--average.decay` and `--weights`, and sets the default network."""
        parser.add_lightning_class_args(WarmupEMA, "average")
        parser.add_argument(
            "--weights",
            default=None,
            help="released model or .safetensors file: what `fit` starts from (default: random weights, and ImageNet's "
            "for a PretrainedUNet, unless this is `random`), and what `validate` and `test` score without --ckpt_path "
            "(default: the most accurate)",
        )
        parser.add_argument("--gpu", type=dict, default={}, help="what a recipe changes where there is an NVIDIA GPU")
        parser.set_defaults({"model.network": {"class_path": "petseg.models.unet.UNet"}})
        network: Any = next(action for action in parser._actions if action.dest == "model.network")
        network.extra_help = lambda: ""  # else --help lists every module of PyTorch

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parses arguments that come from Python as well as those of the process."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "LightningCLI's args parameter")
            super().parse_arguments(parser, args)
        self.config[self.config["subcommand"]]["gpu"] = {}  # the run's own config.yaml has what was chosen
        self._check_request(self.config["subcommand"])

    def _check_request(self, command: str) -> None:
        """Refuses a run that would lose its epochs, and finds the file of `--ckpt_path`, before anything is loaded."""
        options = self.config[command]
        if command == "fit":
            for name in ("logger", "enable_checkpointing"):
                if options["trainer"][name] is False:
                    raise SettingsError(
                        f"trainer.{name}=False: a run keeps its log and its checkpoints in the folder of its logger, "
                        "and without them all epochs would be lost. Leave it out."
                    )
            for name in ("optimizer", "lr_scheduler"):
                if options.get(name):
                    raise SettingsError(
                        f"--{name}: a training has AdamW and one cycle of the learning rate, or several. Leave it out, "
                        "and choose model.learning_rate, warmup, weight_decay and restarts."
                    )
        if (precision := str(options["trainer"]["precision"])) in ("bf16-true", "16-true", "64-true", "64"):
            raise SettingsError(
                f"trainer.precision={precision}: weights are kept in 32 bits. Choose 32-true, bf16-mixed or 16-mixed."
            )
        folder, logger = options["trainer"]["default_root_dir"], options["trainer"]["logger"]
        log: Any = getattr(logger, "init_args", {})
        if folder and log.get("save_dir") == ".":
            log["save_dir"] = str(folder)
        if options["ckpt_path"]:
            runs = Path(log.get("save_dir", "."), log.get("name", "runs"))
            options["ckpt_path"] = str(find_checkpoint(options["ckpt_path"], runs))
            options["weights_only"] = True  # a checkpoint cannot run code
            if command == "fit":
                self._check_settings(settings_of(Path(options["ckpt_path"])))

    def _check_settings(self, first: dict[str, Any]) -> None:
        """Refuses to resume a run with other settings than those of its first attempt, where these are known."""
        if first and self.config["fit"]["seed_everything"] is True:  # any
            self.config["fit"]["seed_everything"] = first["seed_everything"]
        parser = self._parser("fit")
        configs = parser.parse_object(first), self.config["fit"]
        # as in `config.yaml`, which has lists for tuples
        before, now = (dict(dict_to_namespace(yaml.safe_load(parser.dump(config))).items()) for config in configs)
        for name in before | now if first else ():
            if name.startswith(KEPT) and name not in FREE and before.get(name) != now.get(name):
                raise SettingsError(
                    f"{name}={now.get(name)}: a resumed run keeps its settings, and this one began with "
                    f"{before.get(name)}. Leave it out, or start a new run with --weights."
                )

    def instantiate_trainer(self, **kwargs: Any) -> L.Trainer:
        """Builds the Trainer, without those default callbacks that a setting replaces."""
        options = self._get(self.config_init, "trainer")
        callbacks = options["callbacks"] or []
        callbacks = callbacks if isinstance(callbacks, list) else [callbacks]
        unwanted: list[type] = []
        if any(isinstance(callback, EpochSeeds) for callback in callbacks):
            unwanted.append(EpochSeeds)  # of two, each would overwrite the other's seeds
        if options["enable_progress_bar"] is False:
            unwanted.append(TQDMProgressBar)
        defaults = self.trainer_defaults["callbacks"]
        self.trainer_defaults["callbacks"] = [c for c in defaults if not isinstance(c, tuple(unwanted))]
        return super().instantiate_trainer(**{"plugins": options["plugins"] or [AtomicCheckpointIO()], **kwargs})

    def instantiate_classes(self) -> None:
        """Builds trainer, data and model."""
        try:
            super().instantiate_classes()
        except ValueError as error:
            if type(error) is not ValueError:
                raise  # a PetsegError has its sentence already, any other kind is a defect
            # jsonargparse wraps the error of a setting that may be null in a page of text
            raise SettingsError(str(error.__cause__ or error)) from error
        # class path and arguments, by which Lightning rebuilds the network of a checkpoint
        self.model.hparams["network"] = self.config_dump["model"]["network"]

    def before_fit(self) -> None:
        """Loads the named weights, or ImageNet's, into the network."""
        options, network = self.config["fit"], self.model.network
        if options["ckpt_path"]:
            return  # a resumed run has its own
        if options["weights"] not in (None, "random"):
            start_from(self.model, options["weights"])
        elif not options["weights"] and isinstance(network, PretrainedUNet):
            load_imagenet(network)

    def before_validate(self) -> None:
        """Loads the released model, unless a checkpoint is named."""
        options = self.config[self.subcommand]
        if not options["ckpt_path"]:
            segmenter, _ = zoo.load(options["weights"])
            self.model.segmenter = segmenter.to(memory_format=torch.channels_last)

    before_test = before_validate


def trainer_defaults(command: str) -> dict[str, Any]:
    """Trainer arguments that neither the command line nor the recipe gives; logs go to `runs/version_N/metrics.csv`.

    `fit` computes in the hardware's fastest precision; scores are computed in fp32, so that they hardly differ between
    machines.
    """
    logger = {"class_path": "lightning.pytorch.loggers.CSVLogger", "init_args": {"save_dir": ".", "name": "runs"}}
    precision = best_precision() if command == "fit" else "32-true"
    # this bar by name: where rich is installed, as on Colab, Lightning would take rich's, which breaks in notebooks
    callbacks: list[L.Callback] = [TQDMProgressBar()]
    if command == "fit":
        callbacks += [EpochSeeds(), EpochSeconds(), *checkpoints()]
    # one device unless more are asked for: with all of a machine, batch and number of steps would be others
    return {"devices": 1, "precision": precision, "logger": logger, "callbacks": callbacks, "log_every_n_steps": 1}


def run(arguments: list[str]) -> PetCLI:
    """Runs `fit`, `validate` or `test` as Lightning's command line understands it.

    Args:
        arguments: the command and its flags, for instance `["fit", "--trainer.max_epochs", "2"]`.

    Raises:
        SettingsError: the settings do not fit each other.
        MissingError: a file cannot be read, or the folder of runs cannot be written.
        SystemExit: with 143 after SIGTERM.
        KeyboardInterrupt: after Ctrl-C.
    """
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))  # for a network in a file of the current folder
    defaults, stop = trainer_defaults(arguments[0]), StopTogether()
    defaults["callbacks"].append(stop)
    try:
        with stop.handling_signals():
            arguments, recipes = with_configs(arguments)
            return PetCLI(
                arguments[0],
                SegmentationTask,
                PetDataModule,
                trainer_defaults=defaults,
                parser_kwargs={arguments[0]: {"default_config_files": recipes}},
                save_config_callback=NewRun if arguments[0] == "fit" else None,
                args=arguments,
            )
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise SettingsError(
            "a batch has one value per channel in the network's deepest stage, from which BatchNorm cannot learn. "
            "Raise data.image_size or data.batch_size; an epoch's last batch holds the rest of its images."
        ) from error
    except MisconfigurationException as error:  # Lightning's sentences are written for the user
        raise SettingsError(" ".join(str(error).split())) from error
    except OSError as error:
        if error.errno not in DISK_ERRORS - {errno.ENOSPC, errno.EDQUOT} or not error.filename:
            raise  # of a full disk the command has its own sentence
        raise MissingError(
            f"{error.filename}: cannot be read or written ({error.strerror}). Change its permissions, or call "
            f"petseg {arguments[0]} in another folder."
        ) from error
