from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torchvision.datasets import OxfordIIITPet

from petseg.data import datamodule
from petseg.data.cache import open_pixels
from petseg.data.datamodule import PetDataModule
from petseg.data.splits import read_split


@pytest.fixture
def module(cartoons, ready) -> PetDataModule:
    return ready(cartoons, image_size=32, batch_size=5, val_fraction=0.34)


def test_splits_are_disjoint_and_complete(module, cartoons):
    names = {split: {example.name for example in examples} for split, examples in module.examples.items()}
    assert not names["train"] & names["val"]
    assert not (names["train"] | names["val"]) & names["test"]
    assert names["train"] | names["val"] == {e.name for e in read_split(cartoons / "oxford-iiit-pet", "trainval")}


@pytest.mark.parametrize("apple", [False, True])
def test_batches_hold_uint8_pixels_channels_last_but_for_gpus_of_apple(module, monkeypatch, apple):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: apple)
    batch = next(iter(module.val_dataloader()))
    assert batch.image.dtype == batch.mask.dtype == torch.uint8
    assert batch.image.shape == (5, 3, 32, 32)
    assert batch.image.is_contiguous(memory_format=torch.contiguous_format if apple else torch.channels_last)
    assert batch.mask.shape == (5, 32, 32)
    assert set(batch.mask.unique().tolist()) == {0, 1, 2}


def test_a_split_that_was_moved_to_a_device_gives_the_same_batches(module):
    torch.manual_seed(0)
    before = list(module.train_dataloader())
    module.datasets["train"].move_to(torch.device("cpu"))
    torch.manual_seed(0)
    for old, new in zip(before, module.train_dataloader(), strict=True):
        for layer_before, layer in zip(old, new, strict=True):
            assert torch.equal(layer_before, layer)
        assert new.image.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(("missing", "moved"), [(0, {"train", "val"}), (1, set())])
def test_training_splits_move_to_a_gpu_if_they_take_half_of_its_free_memory(module, monkeypatch, missing, moved):
    size = (len(module.datasets["train"]) + len(module.datasets["val"])) * 32 * 32 * 4
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (2 * size - missing, 10**12))
    device = torch.device("cuda")
    move = lambda self, where: setattr(self, "resident", where)  # noqa: E731
    monkeypatch.setattr(datamodule.PixelDataset, "move_to", move)
    module.move_to_gpu(device)
    assert {split for split, dataset in module.datasets.items() if dataset.resident == device} == moved


def test_a_training_moves_splits_that_were_set_up_before_and_frees_them_at_its_end(module, monkeypatch):
    trainer = SimpleNamespace(strategy=SimpleNamespace(root_device=torch.device("cpu")))
    monkeypatch.setattr(module, "trainer", trainer)
    monkeypatch.setattr(module, "move_to_gpu", lambda device: module.datasets["train"].move_to(device))
    module.setup("fit")
    assert module.datasets["train"].resident
    module.teardown("fit")
    assert not module.datasets["train"].resident


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_every_example_comes_exactly_once_and_only_those_of_training_are_shuffled(module, split):
    torch.manual_seed(0)
    indices = torch.cat([batch.index for batch in getattr(module, f"{split}_dataloader")()]).tolist()
    assert sorted(indices) == list(range(len(module.examples[split])))  # the last batch may be short
    assert (indices != sorted(indices)) == (split == "train")


def test_pixels_and_masks_are_those_of_torchvision(module, cartoons):
    listed = OxfordIIITPet(cartoons, "trainval", ["category", "segmentation"])
    names = [example.name for example in read_split(cartoons / "oxford-iiit-pet", "trainval")]
    batch = next(iter(module.val_dataloader()))
    example = module.examples["val"][int(batch.index[0])]
    image, (category, trimap) = listed[names.index(example.name)]
    assert category + 1 == example.class_id
    assert np.array_equal(batch.image[0].permute(1, 2, 0), image.resize((32, 32), 2))
    assert np.array_equal(batch.mask[0] + 1, np.asarray(trimap.resize((32, 32), 0)))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"batch_size": 0}, "batch_size=0"),
        ({"image_size": 0}, "image_size=0"),
        ({"val_fraction": 1.0}, "val_fraction=1.0"),
        ({"train_fraction": 0.0}, "train_fraction=0.0"),
    ],
)
def test_impossible_settings_are_refused(settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        PetDataModule("cartoon", **settings)


def test_a_smaller_train_split_leaves_validation_and_test_as_they_are(cartoons, ready):
    whole, half = (ready(cartoons, image_size=16, train_fraction=fraction) for fraction in (1.0, 0.5))
    assert len(half.examples["train"]) == len(half.datasets["train"]) < len(whole.examples["train"])
    assert set(half.examples["train"]) < set(whole.examples["train"])
    assert half.examples["val"] == whole.examples["val"]
    assert half.examples["test"] == whole.examples["test"]
    rows = {example.name: row for row, example in enumerate(whole.examples["train"])}
    for index, example in enumerate(half.examples["train"]):
        assert torch.equal(half.datasets["train"][index].image, whole.datasets["train"][rows[example.name]].image)


def test_cartoons_are_written_on_first_use(tmp_path, monkeypatch):
    monkeypatch.setattr(datamodule, "home_folder", lambda: tmp_path)
    module = PetDataModule("cartoon", image_size=32, progress=False)
    module.prepare_data()
    module.setup()
    assert [len(module.examples[split]) for split in ("train", "val", "test")] == [216, 24, 240]
    assert len({example.breed for example in module.examples["test"]}) == 12


def test_each_official_split_is_opened_once_however_often_lightning_prepares(cartoons, ready, monkeypatch):
    opened = []
    monkeypatch.setattr(datamodule, "open_pixels", lambda *args: opened.append(args[3]) or open_pixels(*args))
    module = ready(cartoons, image_size=16)
    module.prepare_data()
    module.setup("test")
    assert opened == ["oxford-trainval", "oxford-test"]


@pytest.mark.real_data
def test_full_size_files_and_128_pixel_files_give_nearly_the_same_pixels(oxford_data, fullsize, ready):
    small, large = oxford_data, ready(fullsize)
    rows = {example.name: row for row, example in enumerate(small.examples["train"])}
    shared = [(row, rows[e.name]) for row, e in enumerate(large.examples["train"]) if e.name in rows]
    assert len(shared) > 20
    ours = large.datasets["train"].__getitems__([row for row, _ in shared])
    theirs = small.datasets["train"].__getitems__([row for _, row in shared])
    # the 128x128 files were shrunk without antialiasing and then compressed once more
    assert (ours.image.float() - theirs.image.float()).abs().mean() < 7
    assert (ours.mask == theirs.mask).float().mean() > 0.99
