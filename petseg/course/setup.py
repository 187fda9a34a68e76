"""The set-up of a notebook: profile, seeds, device and data folder, chosen and printed."""

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
from petseg.errors import SettingsError
from petseg.files import data_folder, runs_folder
from petseg.models.device import best_device

Profile = Literal["quick", "full"]


@dataclass(frozen=True)
class Setup:
    """How a notebook runs.

    Attributes:
        profile: `quick` (cartoons, minutes on a laptop CPU) or `full` (Oxford-IIIT Pet, the real recipe).
        device: `cuda`, `mps` or `cpu`.
        source: the data set of the profile.
        data_folder: see `files.data_folder`.
        runs_folder: see `files.runs_folder`; notebooks 03 and 06 write their runs to it.
    """

    profile: Profile
    device: str
    source: Source
    data_folder: Path
    runs_folder: Path

    @property
    def quick(self) -> bool:
        """Whether this is the profile `quick`."""
        return self.profile == "quick"

    @property
    def trained_weights(self) -> Path:
        """The file of weights that notebook 03 writes in this profile, whether it exists or not."""
        return self.runs_folder / f"notebook-03-{self.profile}.safetensors"

    def own_weights(self) -> str | None:
        """The weights of notebook 03 in profile `full`, if it has run: only these are trained on photos."""
        return None if self.quick or not self.trained_weights.is_file() else str(self.trained_weights)

    def weights(self) -> str:
        """Chooses and prints the weights of notebooks 04 and 05: those of notebook 03 if it has run, else `unet`."""
        if self.trained_weights.is_file():
            print(f"weights: your own, from notebook 03 in profile {self.profile} ({self.trained_weights.name})")
            return str(self.trained_weights)
        print(f"weights: the released `unet`, since notebook 03 has not run here in profile {self.profile}")
        return "unet"


def chosen_profile() -> Profile:
    """`PETSEG_PROFILE`; unset means `full` with a GPU, else `quick`.

    Raises:
        SettingsError: the variable holds another value.
    """
    chosen = os.environ.get("PETSEG_PROFILE") or ("full" if best_device() == "cuda" else "quick")
    if chosen not in get_args(Profile):
        raise SettingsError(f"PETSEG_PROFILE={chosen}: must be 'quick' or 'full'; or leave it unset.")
    return cast(Profile, chosen)


def start(seed: int = 0, data: bool = True) -> Setup:
    """Sets all random seeds, and prints versions, device, profile and data source.

    Args:
        seed: of Python's, NumPy's and PyTorch's generators.
        data: whether the notebook needs the data set, so that in profile `full` it is fetched where it is missing.

    Returns:
        the settings, for the cells that follow.

    Raises:
        SettingsError: see `chosen_profile`.
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
    if data and source == "oxford" and verify_oxford(setup.data_folder / "oxford-iiit-pet"):
        print("Oxford-IIIT Pet is missing or incomplete: 0.8 GB are downloaded, once.")
        fetch_oxford(setup.data_folder)
    return setup
