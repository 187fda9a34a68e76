"""Scores of a split, in one process or in many, and Lightning without the notes that tell a student nothing."""

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat
from tqdm import tqdm

from petseg.data.datamodule import PetDataModule
from petseg.metrics.confusion import count_pixels, split_matrices
from petseg.models.inspection import in_eval_mode
from petseg.models.segmenter import best_device

#: Warnings that are hidden, each by its own words, so that no other is lost.
HARMLESS = (
    r".*does not have many workers",  # a batch is one gather from memory: workers would slow it
    r"The dirpath has changed from",  # a resumed run keeps its best checkpoint in its own folder
    r".*`isinstance\(treespec, LeafSpec\)` is deprecated",  # between Lightning and PyTorch
    # under fp16 the first steps are skipped until the gradients' scale is found
    r"Detected call of `lr_scheduler.step\(\)` before `optimizer.step\(\)`",
)


@contextmanager
def quiet() -> Iterator[None]:
    """Hides Lightning's notes on hardware and its `HARMLESS` warnings; other warnings and errors stay."""
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


@contextmanager
def scorer(segmenter: nn.Module) -> Iterator[Callable[[Tensor], Tensor]]:
    """A function from images (B, 3, H, W) to logits of a segmenter or a task: eval mode, best device, no gradients."""
    device, home = best_device(), next(segmenter.parameters()).device
    with in_eval_mode(segmenter), torch.no_grad():
        segmenter.to(device)
        try:
            yield lambda image: segmenter(image.to(device))
        finally:
            segmenter.to(home)


def evaluate(
    segmenter: nn.Module, data: PetDataModule, split: Literal["val", "test"] = "val", progress: bool = False
) -> Tensor:
    """Confusion matrices int64 (N, 3, 3) of a segmenter or a task on a split, in its order."""
    with scorer(segmenter) as segment:
        return split_matrices(segment, loader(data, split, progress))


def loader(data: PetDataModule, split: Literal["val", "test"], progress: bool = False) -> tqdm:
    """The batches of a split in order, with a progress bar where asked."""
    data.prepare_data()
    data.setup()
    batches = data.val_dataloader() if split == "val" else data.test_dataloader()
    return tqdm(batches, split, disable=not progress)


class SplitConfusion(Metric):
    """Collects the confusion matrix of every image of a split, as `split_matrices` does in a single process.

    A distributed sampler repeats examples so that all processes get equally many. Each matrix is therefore stored with
    the index of its example, and `compute` counts a repeated example once.
    """

    full_state_update = False
    index: list[Tensor]  # int64 (B,) per batch; a single tensor once torchmetrics has gathered several processes
    matrices: list[Tensor]  # int64 (B, 3, 3) per batch; on the metric's device, since NCCL gathers only from GPUs

    def __init__(self) -> None:
        super().__init__()
        self.add_state("index", default=[], dist_reduce_fx="cat")
        self.add_state("matrices", default=[], dist_reduce_fx="cat")

    def update(self, prediction: Tensor, target: Tensor, index: Tensor) -> None:
        """Adds a batch: labels (B, H, W) of both, and indices int64 (B,) of the examples in their split."""
        self.index.append(index.to(self.device))
        self.matrices.append(count_pixels(prediction, target).to(self.device))

    def compute(self) -> Tensor:
        """The matrices in the order of the split: int64 (N, 3, 3) on the CPU.

        Raises:
            ValueError: no batch was added.
        """
        if len(self.index) == 0:
            raise ValueError("no image to score: the split is empty, or no batch of it was passed")
        index, matrices = (dim_zero_cat(state).cpu() for state in (self.index, self.matrices))
        by_example = dict(zip(index.tolist(), matrices, strict=True))
        return torch.stack([by_example[example] for example in sorted(by_example)])
