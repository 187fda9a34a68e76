import pytest
import torch

from petseg import metrics
from petseg.data.cache import Pixels
from petseg.data.datamodule import PetDataModule, PixelDataset
from petseg.data.duplicates import Pair, Photo, aligned
from petseg.evaluation.evaluate import annotator_matrices


def pair(first, second):
    return Pair(Photo("train", first, ""), Photo("test", second, ""), 1.0)


@pytest.fixture
def data():
    """Two splits of masks (1, 4); no images."""
    module = PetDataModule("oxford", progress=False)
    masks = {"train": [[[0, 0, 1, 2]], [[0, 1, 1, 2]]], "test": [[[0, 1, 1, 2]], [[0, 0, 1, 2]]]}
    for split, rows in masks.items():
        mask = torch.tensor(rows, dtype=torch.uint8).numpy()
        module.datasets[split] = PixelDataset(Pixels(mask[..., None].repeat(3, -1), mask), range(len(mask)))
    return module


def test_agreement_of_four_pixels_equals_the_fractions_on_paper(data):
    matrices = annotator_matrices(data, [pair(0, 0)])
    assert matrices.tolist() == [[[1, 1, 0], [0, 1, 0], [0, 0, 1]]]
    assert metrics.iou(matrices[0]).tolist() == [1 / 2, 1 / 2, 1]


def test_masks_are_compared_only_of_the_same_crop_and_each_photo_once(data):
    other_crop, same = pair(0, 0), pair(0, 1)
    assert aligned(data, [other_crop, same, same]) == [same]


@pytest.mark.real_data
def test_two_masks_of_one_photo_of_oxford_agree_to_a_mean_iou_of_0_82(oxford_data, oxford_pairs):
    comparable = aligned(oxford_data, oxford_pairs)
    photos = [photo.name for pair in comparable for photo in pair[:2]]
    assert len(set(photos)) == len(photos)
    assert 30 < len(comparable) < len(oxford_pairs)
    matrices = annotator_matrices(oxford_data, comparable)
    assert metrics.iou(matrices.sum(dim=0)).tolist() == pytest.approx([0.916, 0.948, 0.609], abs=0.003)
    interval = metrics.bootstrap(matrices, metrics.mean_iou)
    assert float(interval.value) == pytest.approx(0.824, abs=0.002)
    assert 0.80 < interval.low < 0.815 < 0.835 < interval.high < 0.85
