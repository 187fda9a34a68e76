"""What a notebook needs to set itself up: profile, seeds, device and data folder, said out loud."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal, cast, get_args

import lightning as L

from petseg.data.datamodule import Source
from petseg.data.download import fetch_oxford, verify_oxford
from petseg.files import data_folder, runs_folder
from petseg.models.device import best_device

Profile = Literal["quick", "full"]


@dataclass(frozen=True)
class Setup:
    """How a notebook runs.

    `profile`: `quick` (cartoons, minutes on a laptop CPU) or `full` (Oxford-IIIT Pet, the real recipe);
    `device`: `cuda`, `mps` or `cpu`; `source`: the data set that goes with the profile; `data_dir`: where it lies;
    `runs_dir`: where notebook 03 leaves what it trained.
    """

    profile: Profile
    device: str
    source: Source
    data_dir: Path
    runs_dir: Path

    @property
    def quick(self) -> bool:
        """Whether this is the profile `quick`."""
        return self.profile == "quick"

    @property
    def trained(self) -> Path:
        """The file of weights that notebook 03 writes in this profile, there or not."""
        return self.runs_dir / f"notebook-03-{self.profile}.safetensors"

    def own(self) -> str | None:
        """The file that notebook 03 wrote in profile `full`, if it did: what a panel for photos begins with."""
        return None if self.quick or not self.trained.is_file() else str(self.trained)

    def weights(self) -> str:
        """What notebooks 04 and 05 use, said out loud: the weights of notebook 03 if it ran here, else `unet`."""
        if self.trained.is_file():
            print(f"weights: your own, from notebook 03 in profile {self.profile} ({self.trained.name})")
            return str(self.trained)
        print(f"weights: the released `unet`, since notebook 03 has not run here in profile {self.profile}")
        return "unet"


def chosen_profile() -> Profile:
    """`PETSEG_PROFILE`; unset means `full` where a GPU is, else `quick`.

    Raises:
        ValueError: the variable holds another word.
    """
    chosen = os.environ.get("PETSEG_PROFILE") or ("full" if best_device() == "cuda" else "quick")
    if chosen not in get_args(Profile):
        raise ValueError(f"PETSEG_PROFILE={chosen}: must be 'quick' or 'full'; unset it to have one chosen.")
    return cast(Profile, chosen)


def start(seed: int = 0, data: bool = True) -> Setup:
    """Sets all random seeds, and prints versions, device, profile and data source.

    Args:
        seed: of Python's, NumPy's and PyTorch's generators.
        data: whether the notebook needs the data set, so that in profile `full` it is fetched where it is missing.

    Returns:
        what was chosen, for the cells that follow.

    Raises:
        ValueError: see `chosen_profile`.
        DataError: the data set is missing and cannot be fetched.
    """
    L.seed_everything(seed, verbose=False)
    profile = chosen_profile()
    other = "full" if profile == "quick" else "quick"
    source: Source = "cartoon" if profile == "quick" else "oxford"
    setup = Setup(profile, best_device(), source, data_folder(), runs_folder())
    print(
        f"Python {platform.python_version()}, "
        + ", ".join(f"{p} {version(p)}" for p in ("petseg", "torch", "lightning"))
    )
    print(f"device: {setup.device}; seed: {seed}; data: {source}")
    print(f"profile: {profile} (for the other, set PETSEG_PROFILE={other} and restart the kernel)")
    if data and source == "oxford" and verify_oxford(setup.data_dir / "oxford-iiit-pet"):
        print("Oxford-IIIT Pet is not there, or not all of it: 0.8 GB are fetched, once.")
        fetch_oxford(setup.data_dir)
    return setup
