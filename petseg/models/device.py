"""The machine that networks run on: its fastest precision, and its name for records."""

import platform
from pathlib import Path
from typing import Literal

import torch

from petseg.models.segmenter import best_device


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


def finish() -> None:
    """Waits until the GPU, if there is one, has done its work: before a clock is read."""
    if torch.accelerator.is_available():
        torch.accelerator.synchronize()


def machine() -> str:
    """The name of the GPU in use, or of the CPU with the number of threads in use."""
    device = best_device()
    if device == "cuda":
        return torch.cuda.get_device_name()
    return f"{processor()}, {torch.get_num_threads()} CPU threads" if device == "cpu" else f"{processor()}, GPU"


def processor() -> str:
    """The CPU's name as Linux gives it; elsewhere as Python's `platform` does."""
    listing = Path("/proc/cpuinfo")
    lines = listing.read_text(encoding="utf-8").splitlines() if listing.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
