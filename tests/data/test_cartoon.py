import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from torchvision.datasets import OxfordIIITPet

from petseg.data.cartoon.breeds import BREEDS
from petseg.data.cartoon.canvas import Canvas, Role, ellipse
from petseg.data.cartoon.dataset import write_dataset
from petseg.data.cartoon.picture import draw_pet, trimap_of
from petseg.errors import DataError

PET, BACKGROUND, BOUNDARY = 1, 2, 3
PER_BREED = 4


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cartoons")
    write_dataset(folder, images_per_breed=PER_BREED, size=96)
    return folder


@pytest.fixture(scope="module")
def drawn() -> list[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    pairs = [draw_pet(breed, seed, size=64) for breed in BREEDS for seed in range(100, 108)]
    return [(np.asarray(image), trimap) for image, trimap in pairs]


def disc(size: int) -> Canvas:
    canvas = Canvas.blank(size)
    canvas.pen().into(Role.PET).fill(ellipse(0.5, 0.5, 0.3), (200, 120, 60))
    return canvas


# one picture


def test_the_same_breed_and_seed_give_the_same_pixels_in_a_fresh_interpreter():
    script = (
        "import hashlib\nfrom petseg.data.cartoon.breeds import BREEDS\n"
        "from petseg.data.cartoon.picture import draw_pet\n"
        "image, trimap = draw_pet(BREEDS[3], 7, 64)\n"
        "print(hashlib.sha256(image.tobytes() + trimap.tobytes()).hexdigest())"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "123"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    image, trimap = draw_pet(BREEDS[3], 7, 64)
    assert done.stdout.strip() == hashlib.sha256(image.tobytes() + trimap.tobytes()).hexdigest()


def test_another_seed_or_another_breed_gives_another_picture():
    pictures = [draw_pet(BREEDS[i], seed, 64)[0].tobytes() for i, seed in ((0, 1), (0, 2), (1, 1))]
    assert len(set(pictures)) == 3


def test_picture_and_trimap_have_the_size_asked_for():
    image, trimap = draw_pet(BREEDS[0], 0, size=50)
    assert image.mode == "RGB"
    assert image.size == (50, 50)
    assert trimap.shape == (50, 50)
    assert trimap.dtype == np.uint8


def test_every_trimap_holds_pet_background_and_boundary_and_nothing_else(drawn):
    for _, trimap in drawn:
        assert set(np.unique(trimap).tolist()) == {PET, BACKGROUND, BOUNDARY}
        assert (trimap == PET).mean() > 0.04


def test_the_shares_of_the_classes_are_near_those_of_the_real_photos(drawn):
    trimaps = np.stack([trimap for _, trimap in drawn])
    assert 0.24 < (trimaps == PET).mean() < 0.40
    assert 0.45 < (trimaps == BACKGROUND).mean() < 0.65
    assert 0.09 < (trimaps == BOUNDARY).mean() < 0.15


def test_no_pet_pixel_touches_a_background_pixel(drawn):
    for _, trimap in drawn:
        for first, second in ((trimap[1:], trimap[:-1]), (trimap[:, 1:], trimap[:, :-1])):
            assert not np.any(first * second == PET * BACKGROUND)


def test_colour_alone_does_not_find_the_pet(drawn):
    """The best guess from a pixel's colour, estimated from every other picture, misses half of the pet or more."""
    pixels = np.stack([image // 32 for image, _ in drawn]).astype(int) @ (64, 8, 1)
    trimaps = np.stack([trimap for _, trimap in drawn])
    counts = np.zeros((512, 4))
    np.add.at(counts, (pixels[::2], trimaps[::2]), 1)
    found = counts[:, PET] > counts[:, BACKGROUND]
    guess, truth = found[pixels[1::2]], trimaps[1::2]
    known = truth != BOUNDARY
    both, either = (guess & (truth == PET))[known].sum(), (guess | (truth == PET))[known].sum()
    assert both / either < 0.6


def test_a_negative_seed_and_a_tiny_picture_are_refused():
    with pytest.raises(ValueError, match="seed must be 0 or more"):
        draw_pet(BREEDS[0], -1)
    with pytest.raises(ValueError, match="size 32 or more"):
        draw_pet(BREEDS[0], 0, size=16)


# silhouette and boundary


def test_the_boundary_of_a_straight_edge_is_two_pixels_on_either_side():
    half_plane = np.zeros((300, 300), dtype=np.uint8)
    half_plane[:, :150] = 255
    row = trimap_of(Image.fromarray(half_plane))[40]
    assert row.tolist() == [PET] * 48 + [BOUNDARY] * 4 + [BACKGROUND] * 48


def test_a_pet_cut_off_by_the_frame_has_no_boundary_there():
    everywhere = Image.new("L", (96, 96), 255)
    assert np.all(trimap_of(everywhere) == PET)


def test_a_thing_in_front_of_the_pet_is_background():
    canvas = disc(60)
    canvas.pen().fill(ellipse(0.7, 0.5, 0.2), (60, 60, 200))
    trimap = trimap_of(canvas.silhouette)
    assert trimap[30, 20] == PET
    assert trimap[30, 42] == BACKGROUND


def test_a_detail_changes_colours_and_not_the_silhouette():
    canvas = disc(60)
    before = canvas.silhouette.tobytes(), canvas.image.tobytes()
    canvas.pen().into(Role.DETAIL).fill(ellipse(0.7, 0.5, 0.2), (60, 60, 200))
    assert canvas.silhouette.tobytes() == before[0]
    assert canvas.image.tobytes() != before[1]


def test_colours_and_silhouette_of_a_shape_cover_the_same_pixels():
    canvas = disc(60)
    assert np.array_equal(np.asarray(canvas.image).any(axis=2), np.asarray(canvas.silhouette) == 255)


# a folder of pictures


def test_torchvision_reads_the_folder_as_the_official_data_set(root):
    for split in ("trainval", "test"):
        pets = OxfordIIITPet(root, split=split, target_types=["category", "segmentation"], download=False)
        assert len(pets) == len(BREEDS) * PER_BREED // 2
        image, (category, trimap) = pets[len(pets) - 1]
        assert image.size == trimap.size == (96, 96)
        assert category == len(BREEDS) - 1
        assert set(np.unique(trimap).tolist()) == {1, 2, 3}
    assert len(pets.classes) == len(BREEDS)


def test_lists_number_classes_alphabetically_and_breeds_within_their_species(root):
    lines = (root / "oxford-iiit-pet/annotations/list.txt").read_text().splitlines()
    rows = [line.split() for line in lines if not line.startswith("#")]
    assert lines[0].startswith("#")
    assert len(rows) == len(BREEDS) * PER_BREED
    first = [row for row in rows if row[0].endswith("_1")]
    names = [row[0].removesuffix("_1") for row in first]
    assert names == sorted(names, key=str.casefold)
    assert [int(row[1]) for row in first] == list(range(1, len(BREEDS) + 1))
    assert all((row[2] == "1") == row[0][0].isupper() for row in rows)
    for species in "12":
        breed_ids = [int(row[3]) for row in first if row[2] == species]
        assert breed_ids == list(range(1, len(breed_ids) + 1))


def test_trainval_and_test_share_no_picture_and_hold_half_of_every_breed(root):
    annotations = root / "oxford-iiit-pet/annotations"
    trainval, test = (
        {line.split()[0] for line in (annotations / f"{split}.txt").read_text().splitlines()}
        for split in ("trainval", "test")
    )
    assert not trainval & test
    for breed in BREEDS:
        assert sum(name.rpartition("_")[0] == breed.name for name in trainval) == PER_BREED // 2


def test_trimaps_on_disk_are_those_that_were_drawn(root):
    stored = np.asarray(Image.open(root / "oxford-iiit-pet/annotations/trimaps/Inkwell_3.png"))
    inkwell = next(breed for breed in BREEDS if breed.name == "Inkwell")
    assert np.array_equal(stored, draw_pet(inkwell, 3, 96)[1])


def test_a_complete_set_is_not_drawn_again(root, monkeypatch):
    monkeypatch.setattr("petseg.data.cartoon.dataset.draw_pet", None)  # would fail if called
    assert write_dataset(root, images_per_breed=PER_BREED, size=96) == root / "oxford-iiit-pet"


def test_cartoons_from_other_settings_or_with_a_picture_missing_are_replaced(tmp_path):
    folder = write_dataset(tmp_path, images_per_breed=2, size=40)
    write_dataset(tmp_path, images_per_breed=2, size=32)
    lost = folder / "images" / "Inkwell_1.jpg"
    assert Image.open(lost).size == (32, 32)
    lost.unlink()
    write_dataset(tmp_path, images_per_breed=2, size=32)
    assert lost.exists()
    assert json.loads((folder / "cartoon.json").read_text())["size"] == 32
    assert [path.name for path in tmp_path.iterdir()] == ["oxford-iiit-pet"]


def test_an_interrupted_run_leaves_nothing_that_looks_like_a_data_set(tmp_path, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("petseg.data.cartoon.dataset._write_lists", stop)
    with pytest.raises(KeyboardInterrupt):
        write_dataset(tmp_path, images_per_breed=2, size=32)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_no_cartoons_is_left_alone(tmp_path):
    photo = tmp_path / "oxford-iiit-pet/images/Abyssinian_1.jpg"
    photo.parent.mkdir(parents=True)
    photo.write_bytes(b"a real photo")
    with pytest.raises(DataError, match="left alone"):
        write_dataset(tmp_path, images_per_breed=2, size=32)
    assert photo.read_bytes() == b"a real photo"


def test_two_processes_may_draw_the_same_set_at_once(tmp_path):
    script = "import sys; from petseg.data.cartoon.dataset import write_dataset; write_dataset(sys.argv[1], 2, 32)"
    both = [subprocess.Popen([sys.executable, "-c", script, str(tmp_path)]) for _ in range(2)]
    assert [process.wait(timeout=300) for process in both] == [0, 0]
    assert [path.name for path in tmp_path.iterdir()] == ["oxford-iiit-pet"]
    assert len(list((tmp_path / "oxford-iiit-pet/images").iterdir())) == 2 * len(BREEDS)


def test_one_image_per_breed_is_refused(tmp_path):
    with pytest.raises(ValueError, match="must be at least 2"):
        write_dataset(tmp_path, images_per_breed=1)
