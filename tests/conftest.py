"""What several tests share: the real data where they are, a small cartoon data set, a small released model."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# tests run in several processes, which share the cores; set before PyTorch is imported, and so for subprocesses too
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch
from chrome import NoBrowserError, launched
from disks import NoDiskError, small_disk

from petseg.data.cartoons import write_dataset
from petseg.data.datamodule import PetDataModule
from petseg.data.duplicates import Pair, duplicates
from petseg.files import cache_folder
from petseg.labels import PET
from petseg.models import zoo
from petseg.models.segmenter import Segmenter
from petseg.models.unet import UNet
from petseg.models.zoo import ModelCard

# a shell starts what runs in its background with Ctrl-C ignored, and commands that the tests start would inherit that
signal.signal(signal.SIGINT, signal.default_int_handler)

#: Modules of long tests, the longest first: they are begun first, so that in the end no process waits for them.
LONG = [
    "test_practice",
    "test_webapp_browser",
    "test_live_page",
    "test_webapp_start",
    "test_torture",
    "test_resume",
    "test_webapp",
    "test_panel_browser",
    "test_site",
    "test_batch",
    "test_fit",
    "test_distribution",
]

CACHE = cache_folder()
CHECKOUT = Path(__file__).resolve().parents[1]
REASON = "the real Oxford-IIIT Pet is not there; set PETSEG_DATA_DIR to the folder that holds oxford-iiit-pet/"


def _real(folder: str, variable: str) -> Path:
    root = Path(os.environ.get(variable) or CHECKOUT.parent / "shared" / folder)
    if not (root / "oxford-iiit-pet" / "annotations" / "test.txt").is_file():
        pytest.skip(REASON)
    return root


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts long modules first, the longest before all."""
    items.sort(key=lambda item: LONG.index(item.path.stem) if item.path.stem in LONG else len(LONG))


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """Chromium, driven by Playwright."""
    try:
        with launched() as browser:
            yield browser
    except NoBrowserError as error:
        pytest.skip(str(error))


@pytest.fixture(autouse=True)
def _no_seed_of_another_test() -> None:
    """Lightning keeps the seed of a run in the environment, where the next run of this process would find it."""
    os.environ.pop("PL_GLOBAL_SEED", None)


@pytest.fixture(scope="session", autouse=True)
def _cache_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Decoded images go to a folder of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PETSEG_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "cache"))
        yield


def _ready(root: Path, **settings: Any) -> PetDataModule:
    module = PetDataModule("oxford", root, progress=False, **settings)
    module.prepare_data()
    module.setup()
    return module


@pytest.fixture(scope="session")
def ready() -> Callable[..., PetDataModule]:
    """A function from the folder of a data set and settings of `PetDataModule` to its data, decoded and split."""
    return _ready


@pytest.fixture(scope="session")
def oxford_data(oxford: Path) -> PetDataModule:
    """The complete data set, decoded where `petseg` decodes it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PETSEG_CACHE_DIR", str(CACHE))
        return _ready(oxford)


@pytest.fixture(scope="session")
def oxford_pairs(oxford_data: PetDataModule) -> list[Pair]:
    """The photos that it holds twice."""
    return duplicates(oxford_data)


@pytest.fixture(scope="session")
def oxford() -> Path:
    """The folder that holds the complete data set."""
    return _real("data", "PETSEG_DATA_DIR")


@pytest.fixture(scope="session")
def fullsize() -> Path:
    """The folder that holds some photos of it at their own sizes."""
    return _real("data-fullsize", "PETSEG_FULLSIZE_DIR")


@pytest.fixture(scope="session")
def cartoons(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that holds a small cartoon data set in the official layout."""
    root = tmp_path_factory.mktemp("cartoons")
    write_dataset(root, images_per_breed=6)
    return root


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """The folder of a disk of 1 MB."""
    try:
        with small_disk(tmp_path / "disk") as folder:
            yield folder
    except NoDiskError as error:
        pytest.skip(str(error))


@pytest.fixture
def small_model(tmp_path: Path) -> Path:
    """The file of a tiny network with random weights."""
    return _save_small(tmp_path / "small.safetensors")


@pytest.fixture
def pet_model(tmp_path: Path) -> Path:
    """The file of a tiny network that is sure of a pet at every pixel."""
    return _save_small(tmp_path / "pet.safetensors", pet_bias=50.0)


def _save_small(path: Path, pet_bias: float = 0.0) -> Path:
    torch.manual_seed(0)
    network = UNet(channels=(4, 8))
    with torch.no_grad():
        network.head.bias[PET] += pet_bias  # the score of the pet is higher by this at every pixel
    segmenter = Segmenter(network, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    return zoo.save(path, segmenter, ModelCard.of(segmenter, name=path.stem, size=(32, 32)))
