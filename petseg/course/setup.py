"""The set-up of a notebook: profile, seeds, device and data folder, chosen and printed."""

import os
import platform
import random
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal, cast, get_args

import numpy as np
import torch

from petseg.data.download import fetch_oxford, verify_oxford
from petseg.data.splits import Source
from petseg.errors import SettingsError
from petseg.files import data_folder, runs_folder
from petseg.models.segmenter import best_device

#: `quick`: cartoons, minutes on a laptop CPU; `full`: Oxford-IIIT Pet, the real recipe.
Profile = Literal["quick", "full"]

#: How many CPU threads PyTorch chose when it was imported.
DEFAULT_THREADS = torch.get_num_threads()


@dataclass(frozen=True)
class Setup:
    """How a notebook runs; notebook 03 writes its runs to `runs_folder`."""

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
        """The weights of notebook 03 in profile `full` if they exist: only these are trained on photos."""
        return None if self.quick or not self.trained_weights.is_file() else str(self.trained_weights)

    def weights(self) -> str:
        """Chooses and prints the weights of notebooks 04, 05 and 07: of notebook 03 if it has run, else `unet`."""
        if self.trained_weights.is_file():
            print(f"weights: your own, from notebook 03 in profile {self.profile} ({self.trained_weights.name})")
            return str(self.trained_weights)
        print(f"weights: the released `unet`, since notebook 03 has not run here in profile {self.profile}")
        return "unet"


def chosen_profile() -> Profile:
    """`PETSEG_PROFILE`; if unset, `full` with an NVIDIA GPU, else `quick`.

    Raises SettingsError if the variable holds another value.
    """
    profile = os.environ.get("PETSEG_PROFILE") or ("full" if best_device() == "cuda" else "quick")
    if profile not in get_args(Profile):
        raise SettingsError(f"PETSEG_PROFILE={profile}: must be 'quick' or 'full'; or leave it unset.")
    return cast(Profile, profile)


def start(seed: int = 0, data: bool = True) -> Setup:
    """Seeds Python, NumPy and PyTorch; prints versions, device, profile and data source.

    With `data`, profile `full` fetches the data set if it is missing.

    Raises:
        SettingsError: see `chosen_profile`.
        DataError: the data set is missing and cannot be fetched.
    """
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    torch.manual_seed(seed)
    os.environ["PL_GLOBAL_SEED"] = str(seed)  # as `L.seed_everything`, without Lightning, whose import takes seconds
    profile = chosen_profile()
    other = "full" if profile == "quick" else "quick"
    source: Source = "cartoon" if profile == "quick" else "oxford"
    setup = Setup(profile, best_device(), source, data_folder(), runs_folder())
    versions = ", ".join(f"{package} {version(package)}" for package in ("petseg", "torch", "lightning"))
    print(f"Python {platform.python_version()}, {versions}")
    print(f"device: {setup.device}; seed: {seed}; data: {source}")
    print(f"profile: {profile} (for the other, set PETSEG_PROFILE={other} and restart the kernel)")
    if data and source == "oxford" and verify_oxford(setup.data_folder / "oxford-iiit-pet"):
        print("Oxford-IIIT Pet is missing or incomplete: 0.8 GB are downloaded, once.")
        fetch_oxford(setup.data_folder)
    return setup


def threads(count: int = DEFAULT_THREADS) -> None:
    """Computes with so many CPU threads from here on; default: as many as PyTorch chose at the start.

    Small networks on small images take one: their operations are so short that two threads mostly wait for each other.
    At 32 pixels, two quiet cores made 32.6 steps per second with two threads and 26.2 with one; with one of the cores
    busy, 10.8 and 24.9.
    """
    torch.set_num_threads(count)
