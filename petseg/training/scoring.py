"""A task scored on a split with Lightning's Trainer, in one pass and in full precision."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import lightning as L
from lightning.pytorch.callbacks import TQDMProgressBar
from torch import Tensor

from petseg.data.datamodule import PetDataModule
from petseg.training.task import SegmentationTask

#: Warnings that tell a student nothing. Each by its own words, so that no other is lost.
HARMLESS = (
    r".*does not have many workers",  # a batch is one gather from memory: workers would slow it
    r"The dirpath has changed from",  # a resumed run keeps its best checkpoint in its own folder
    r".*`isinstance\(treespec, LeafSpec\)` is deprecated",  # between Lightning and PyTorch
    # under fp16 the first steps are skipped until the gradients' scale is found
    r"Detected call of `lr_scheduler.step\(\)` before `optimizer.step\(\)`",
)


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps Lightning's notes on hardware and its `HARMLESS` warnings off the page; other warnings and errors stay."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            for words in HARMLESS:
                warnings.filterwarnings("ignore", words)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def evaluate(
    task: SegmentationTask,
    data: PetDataModule,
    split: Literal["val", "test"] = "val",
    *,
    accelerator: str = "auto",
    progress: bool = False,
) -> Tensor:
    """Confusion matrices of a task on a split: one pass, no test-time augmentation, fp32.

    Args:
        task: its weights are used as they are.
        data: the data module; Lightning sets it up.
        split: `val` or `test`.
        accelerator: as Lightning's Trainer takes it.
        progress: show a progress bar.

    Returns:
        int64 (N, 3, 3) in the order of `data.examples[split]`, rows true, columns predicted.
    """
    with quiet():
        trainer = L.Trainer(
            accelerator=accelerator,
            devices=1,
            logger=False,
            enable_checkpointing=False,
            enable_model_summary=False,
            enable_progress_bar=progress,
            callbacks=[TQDMProgressBar()] if progress else [],
        )
        score = trainer.validate if split == "val" else trainer.test
        score(task, datamodule=data, verbose=False)
    return task.matrices
