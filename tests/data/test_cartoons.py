from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torchvision.datasets import OxfordIIITPet

from petseg.data import cartoons
from petseg.data.splits import read_split
from petseg.errors import DataError

PET, BACKGROUND, BOUNDARY = 1, 2, 3


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The complete data set."""
    folder = tmp_path_factory.mktemp("cartoons")
    cartoons.write_dataset(folder)
    return folder


@pytest.fixture(scope="module")
def trimaps(root: Path) -> np.ndarray:
    """All trimaps: (480, 128, 128)."""
    return np.stack([np.asarray(Image.open(path)) for path in root.glob("*/annotations/trimaps/*.png")])


def state(folder: Path) -> dict[str, int]:
    """Modification time of each file."""
    return {path.name: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_every_trimap_has_pet_background_and_boundary_in_about_the_fractions_of_the_real_ones(trimaps):
    assert all(set(np.unique(trimap).tolist()) == {PET, BACKGROUND, BOUNDARY} for trimap in trimaps)
    assert 0.24 < (trimaps == PET).mean() < 0.40
    assert 0.45 < (trimaps == BACKGROUND).mean() < 0.65
    assert 0.09 < (trimaps == BOUNDARY).mean() < 0.15


def test_no_pet_pixel_touches_a_background_pixel(trimaps):
    for first, second in ((trimaps[:, 1:], trimaps[:, :-1]), (trimaps[:, :, 1:], trimaps[:, :, :-1])):
        assert not np.any(first * second == PET * BACKGROUND)


def test_an_example_and_a_sample_are_read_by_their_names(root):
    image, trimap = cartoons.cartoon("Inkwell_3")
    assert image.mode == "RGB"
    assert np.array_equal(image, Image.open(root / "oxford-iiit-pet/images/Inkwell_3.jpg"))
    assert np.array_equal(trimap, Image.open(root / "oxford-iiit-pet/annotations/trimaps/Inkwell_3.png"))
    samples = [cartoons.sample(name) for name in ("cat", "dog")]
    assert {(sample.mode, sample.size) for sample in samples} == {("RGB", (256, 256))}


def test_torchvision_reads_the_folder_as_the_official_data_set(root):
    for split in ("trainval", "test"):
        pets = OxfordIIITPet(root, split=split, target_types=["category", "segmentation"], download=False)
        assert len(pets) == 240
        image, (category, trimap) = pets[239]
        assert image.size == trimap.size == (128, 128)
        assert category == 11
    assert len(pets.classes) == 12


@pytest.mark.parametrize(("count", "trainval"), [(2, 1), (5, 3)])
def test_the_first_examples_of_each_breed_are_a_data_set_of_their_own(tmp_path, count, trainval):
    folder = cartoons.write_dataset(tmp_path, count)
    names = {split: [example.name for example in read_split(folder, split)] for split in ("trainval", "test", "list")}
    inkwells = [f"Inkwell_{number}" for number in range(1, count + 1)]
    assert [name for name in names["trainval"] if name.startswith("Inkwell")] == inkwells[:trainval]
    assert [name for name in names["test"] if name.startswith("Inkwell")] == inkwells[trainval:]
    assert {*names["trainval"], *names["test"]} == set(names["list"]) == {p.stem for p in folder.glob("images/*")}
    assert len(names["list"]) == 12 * count


def test_a_second_call_writes_only_what_is_missing_or_damaged(tmp_path):
    folder = cartoons.write_dataset(tmp_path, 2)
    before = state(folder)
    cartoons.write_dataset(tmp_path, 2)
    assert state(folder) == before
    (folder / "images/Inkwell_1.jpg").unlink()
    (folder / "annotations/trimaps/Inkwell_2.png").write_bytes(b"damaged")
    cartoons.write_dataset(tmp_path, 2)
    after = state(folder)
    assert {name for name in after if after[name] != before[name]} == {"Inkwell_1.jpg", "Inkwell_2.png"}
    assert Image.open(folder / "annotations/trimaps/Inkwell_2.png").size == (128, 128)


def test_a_folder_of_other_images_is_left_alone(tmp_path):
    photo = tmp_path / "oxford-iiit-pet/images/Abyssinian_1.jpg"
    photo.parent.mkdir(parents=True)
    photo.write_bytes(b"a real photo")
    with pytest.raises(DataError, match=r"1 images that are not cartoons, such as Abyssinian_1\.jpg"):
        cartoons.write_dataset(tmp_path, 2)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [photo]


@pytest.mark.parametrize("count", [1, 41])
def test_impossible_counts_are_refused(tmp_path, count):
    with pytest.raises(ValueError, match="must be 2 to 40"):
        cartoons.write_dataset(tmp_path, count)
