"""The configurations that `petseg fit`, `validate` and `test` begin with, before the flags of the command line."""

import json
from argparse import ArgumentParser
from contextlib import suppress
from pathlib import Path
from typing import Any

from petseg.errors import DataError, SettingsError
from petseg.models import zoo
from petseg.training.recipes import RECIPES, on_gpu
from petseg.training.runs import SECTIONS, attempts, find_checkpoint, read_config, run_of

#: What a resumed run keeps, except where its data are and whether their decoding shows progress.
KEPT: tuple[str, ...] = ("seed_everything", "data.", "model.", "average.")
KEPT += ("trainer.max_epochs", "trainer.max_steps", "trainer.callbacks", "trainer.gradient_clip")
KEPT += ("trainer.check_val_every_n_epoch", "trainer.limit_val_batches")
FREE = ("data.data_dir", "data.progress")


def settings_of(checkpoint: Path) -> dict[str, Any]:
    """The settings of the first attempt at a checkpoint's run, but not its folder; empty outside a run.

    Raises:
        DataError: the file cannot be read, or a section is missing.
    """
    run = run_of(checkpoint)
    config = read_config(attempts(run)[0]) if run else {}
    settings = {name: config[name] for name in SECTIONS if name in config}
    for name in ("logger", "default_root_dir", "max_time"):  # the last has passed
        settings.get("trainer", {}).pop(name, None)
    return settings


def named_settings(command: str, flags: list[str]) -> dict[str, Any]:
    """The settings of the run whose checkpoint the flags name, or the image size of the model that they score."""
    parser = ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--ckpt_path")
    parser.add_argument("--weights")
    parser.add_argument("--trainer.default_root_dir", dest="root")
    parser.add_argument("--trainer.logger.save_dir", "--trainer.logger.init_args.save_dir", dest="folder")
    parser.add_argument("--trainer.logger.name", "--trainer.logger.init_args.name", dest="name", default="runs")
    known, _ = parser.parse_known_args(flags)
    if known.ckpt_path:
        with suppress(DataError):  # which is raised again, once all arguments are read
            runs = Path(known.folder or known.root or ".", known.name)
            settings = settings_of(find_checkpoint(known.ckpt_path, runs))
            return settings if command == "fit" or not settings else {"data": settings["data"]}
    elif command != "fit":
        return {"data": {"image_size": zoo.card(known.weights).size[0]}}
    return {}


def with_configs(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Puts the configurations before the flags, which change them, and after each what it changes on a GPU.

    Returns:
        The arguments, and the file of the defaults of `fit`: none where there is another configuration. That one is
        complete, and what it leaves out has the default of its class, not the value of the course's recipe.
    """
    command = arguments[0]
    parser = ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--config", "-c", action="append", default=[])
    known, flags = parser.parse_known_args(arguments[1:])
    configs = known.config
    if (command != "fit" or not configs) and (settings := named_settings(command, flags)):
        configs = [json.dumps(settings), *configs]
    defaults = [] if configs or command != "fit" else [str(RECIPES / "course.yaml")]
    placed = []
    for config in configs or defaults:
        changes = {}
        if not config.startswith("{"):
            _check_text(Path(config))
            changes = on_gpu(Path(config)) if command == "fit" else {}
        placed += ["--config", config, *(["--config", json.dumps(changes)] if changes else [])]
    return [command, *placed, *flags], defaults


def _check_text(config: Path) -> None:
    """Refuses a file that is no text: reading it as YAML would end in a traceback."""
    try:
        if config.is_file():
            config.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise SettingsError(f"{config}: no text in UTF-8. Save it as such, or name another.") from error
