"""What a notebook needs to set itself up: profile, seeds, device and data folder, said out loud."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal, cast, get_args

import lightning as L
import torch

from petseg.data import Source, default_data_dir

Profile = Literal["quick", "full"]


@dataclass(frozen=True)
class Setup:
    """How a notebook runs.

    `profile`: `quick` (cartoons, minutes on a laptop CPU) or `full` (Oxford-IIIT Pet, the real recipe);
    `device`: `cuda`, `mps` or `cpu`; `source`: the data set that goes with the profile; `data_dir`: where it lies.
    """

    profile: Profile
    device: str
    source: Source
    data_dir: Path


def best_device() -> str:
    """`cuda` or `mps` where PyTorch can use it, else `cpu`."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def chosen_profile() -> Profile:
    """`PETSEG_PROFILE`; unset means `full` where a GPU is, else `quick`.

    Raises:
        ValueError: the variable holds another word.
    """
    chosen = os.environ.get("PETSEG_PROFILE") or ("full" if best_device() == "cuda" else "quick")
    if chosen not in get_args(Profile):
        raise ValueError(f"PETSEG_PROFILE={chosen}: must be 'quick' or 'full'; unset it to have one chosen.")
    return cast(Profile, chosen)


def start(seed: int = 0) -> Setup:
    """Sets all random seeds, and prints versions, device, profile and data source.

    Args:
        seed: of Python's, NumPy's and PyTorch's generators.

    Returns:
        what was chosen, for the cells that follow.

    Raises:
        ValueError: see `chosen_profile`.
    """
    L.seed_everything(seed, verbose=False)
    profile = chosen_profile()
    other = "full" if profile == "quick" else "quick"
    source: Source = "cartoon" if profile == "quick" else "oxford"
    setup = Setup(profile, best_device(), source, default_data_dir())
    print(
        f"Python {platform.python_version()}, "
        + ", ".join(f"{p} {version(p)}" for p in ("petseg", "torch", "lightning"))
    )
    print(f"device: {setup.device}; seed: {seed}; data: {source}")
    print(f"profile: {profile} (for the other, set PETSEG_PROFILE={other} and restart the kernel)")
    return setup
