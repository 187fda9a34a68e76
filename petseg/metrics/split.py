"""The confusion matrices of a split as Lightning collects them, in one process or in many."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric

from petseg.metrics.confusion import count_pixels


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
        index, matrices = (_concatenated(state).cpu() for state in (self.index, self.matrices))
        by_example = dict(zip(index.tolist(), matrices, strict=True))
        return torch.stack([by_example[example] for example in sorted(by_example)])


def _concatenated(state: list[Tensor] | Tensor) -> Tensor:
    return state if isinstance(state, Tensor) else torch.cat(state)
