"""What happens beside the training steps: checkpoints, validation of the last epoch, time and seed of each epoch."""

import os
import time
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.utilities import rank_zero_info
from torch.utils.data import RandomSampler

from petseg.errors import SettingsError
from petseg.files import atomic_write
from petseg.models.device import finish
from petseg.training.optimizer import plan
from petseg.training.runs import attempts, joined, read_log, run_of


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes each checkpoint beside its place and renames it, so that a killed run keeps the one that it had.

    Lightning writes to the folder for temporary files. Where that is on another disk, the last step is a copy, which
    can be interrupted.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        """Saves a checkpoint of the Trainer."""
        with atomic_write(Path(path)) as draft, draft.open("wb") as file:
            torch.save(checkpoint, file)  # given a path, PyTorch would not say that the disk is full


class BestCheckpoint(ModelCheckpoint):
    """Keeps `best.ckpt`, the epoch with the highest mean IoU on the validation split."""

    def __init__(self) -> None:
        super().__init__(monitor="val/mean_iou", mode="max", filename="best", enable_version_counter=False)


class LastCheckpoint(ModelCheckpoint):
    """Keeps `last.ckpt`, the last whole epoch, to resume from.

    Lightning's own `save_last` writes only epochs that are the best so far.
    """

    def __init__(self) -> None:
        super().__init__(filename="last", save_on_train_epoch_end=True, enable_version_counter=False)
        self.row: dict[str, float] = {}  # of the log, for the epoch of the checkpoint
        self.ends: list[int] = []  # the steps after which the cycles of the learning rate end

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Logs the epoch that a resumed run follows, if its log lacks it: a run may be killed before Lightning logs.

        This hook is also called where nothing is left to train.
        """
        run = run_of(Path(trainer.ckpt_path)) if trainer.ckpt_path else None
        if not self.row or run is None:
            return
        logs = [attempt / "metrics.csv" for attempt in attempts(run)]
        logged = joined([read_log(log) for log in logs if log.is_file()])
        for logger in trainer.loggers if self.row["epoch"] + 1 not in dict(logged.get("train/loss", [])) else []:
            logger.log_metrics(self.row, int(self.row["step"]))
            logger.save()

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Refuses to leave steps out, and a checkpoint whose cycles have more or fewer steps than in this training."""
        before, self.ends = self.ends, plan(trainer).ends
        if not trainer.ckpt_path:
            return
        if before and before != self.ends:
            old, new = (", ".join(map(str, ends)) for ends in (before, self.ends))
            raise SettingsError(
                f"the checkpoint's learning rate ends its cycles after {old} steps; in this training after {new}. "
                "Resume with the first run's settings, or start a new run with --weights."
            )
        if not trainer.is_last_batch:
            raise SettingsError(
                f"{trainer.ckpt_path}: was saved within an epoch, and what that lacks would not be trained. "
                "Resume with --ckpt_path last, or start a new run with --weights."
            )
        loop = trainer.fit_loop
        if loop.restarted_on_epoch_end:  # with `max_steps`, Lightning would go through the finished epoch once more
            loop.epoch_progress.increment_completed()
            loop._restarting = loop.epoch_loop.restarting = False
            for part in (loop, loop.epoch_loop, loop.epoch_loop.val_loop):
                part.reset_restart_stage()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Saves the epoch, unless the training stops within it: a resumed run would leave out the rest."""
        if trainer.is_last_batch or trainer.global_step == trainer.max_steps:
            logged = trainer.logged_metrics.items()
            metrics = {name: float(value) for name, value in logged if name.startswith(("train/", "lr-"))}
            if metrics:
                self.row = {"epoch": trainer.current_epoch, "step": trainer.global_step - 1, **metrics}
            super().on_train_epoch_end(trainer, pl_module)
        else:
            rank_zero_info(
                f"Epoch {trainer.current_epoch} is not whole and not saved: --ckpt_path last trains it again."
            )

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps of this callback."""
        return super().state_dict() | {"row": self.row, "ends": self.ends}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores what a checkpoint holds."""
        super().load_state_dict(state_dict)
        self.row, self.ends = state_dict.get("row", {}), state_dict.get("ends", [])


class ValidateLastEpoch(L.Callback):
    """Validates the last epoch also where `check_val_every_n_epoch` does not divide the number of epochs."""

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Asks for a validation after this epoch if it is the last."""
        by_epochs = trainer.check_val_every_n_epoch is not None  # else by `val_check_interval`
        if by_epochs and trainer.current_epoch + 1 >= plan(trainer).epochs:
            trainer.check_val_every_n_epoch = 1


def checkpoints() -> list[L.Callback]:
    """The callbacks that keep `best.ckpt` and `last.ckpt`, and lose no epoch."""
    # the last one comes last: a run that is stopped between the two trains this epoch again
    return [ValidateLastEpoch(), BestCheckpoint(), LastCheckpoint()]


class EpochSeconds(L.Callback):
    """Logs how long the training steps of an epoch took, without validation, as `train/seconds`."""

    def __init__(self) -> None:
        self.start = self.end = 0.0

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Starts the clock."""
        finish()
        self.start = self.end = time.perf_counter()

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        """Reads the clock, after the last step once the GPU has done it."""
        if trainer.is_last_batch:
            finish()
        self.end = time.perf_counter()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Logs the time up to the last step's end; a run that is resumed between two epochs begins with this call."""
        if self.start:
            pl_module.log("train/seconds", self.end - self.start)


class EpochSeeds(L.Callback):
    """Makes the randomness of an epoch depend only on the run's seed and the epoch's number.

    A checkpoint does not hold the state of the random generators. Without this callback, a resumed run sees its images
    in another order and with other augmentation than an uninterrupted one. The samplers of distributed runs do the
    same. The seed of an epoch is the run's seed plus the epoch's number, so the seeds of runs that are compared must be
    further apart than their number of epochs.

    Args:
        seed: of the run; default: the seed of `L.seed_everything`.
    """

    def __init__(self, seed: int | None = None) -> None:
        self.seed = seed

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Seeds the order of the examples."""
        sampler = getattr(trainer.train_dataloader, "sampler", None)
        if isinstance(sampler, RandomSampler):
            sampler.generator = torch.Generator().manual_seed(self._of_epoch(trainer))

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Seeds the augmentation, differently in each process."""
        if batch_idx == 0:
            torch.manual_seed(self._of_epoch(trainer) + 1_000_003 * trainer.global_rank)

    def _of_epoch(self, trainer: L.Trainer) -> int:
        # read late: a command line makes its callbacks before it seeds
        run = int(os.environ.get("PL_GLOBAL_SEED", 0)) if self.seed is None else self.seed
        return run + trainer.current_epoch
