import pytest
import torch

from petseg import metrics
from petseg.data.cache import Pixels
from petseg.data.datamodule import PetDataModule, PixelDataset
from petseg.data.duplicates import Duplicate, Photo, duplicates, leaked_test_photos
from petseg.evaluation.agreement import annotator_agreement, leak_effect


def pair(first, second, mirrored=False):
    return Duplicate(Photo("train", first, ""), Photo("test", second, ""), mirrored, 1.0)


@pytest.fixture
def data():
    """Two splits of masks (1, 4); no images."""
    module = PetDataModule("oxford", progress=False)
    masks = {"train": [[[0, 0, 1, 2]], [[0, 1, 1, 2]]], "test": [[[0, 1, 1, 2]], [[2, 1, 0, 0]]]}
    for split, rows in masks.items():
        mask = torch.tensor(rows, dtype=torch.uint8).numpy()
        module.datasets[split] = PixelDataset(Pixels(mask[..., None].repeat(3, -1), mask), range(len(mask)))
    return module


def test_agreement_of_four_pixels_equals_the_fractions_on_paper(data):
    agreement = annotator_agreement(data, [pair(0, 0)])
    assert agreement.matrices.tolist() == [[[1, 1, 0], [0, 1, 0], [0, 0, 1]]]
    assert agreement.iou.value.tolist() == [1 / 2, 1 / 2, 1]
    assert float(agreement.mean_iou.value) == pytest.approx(2 / 3)


def test_the_mask_of_a_mirrored_photo_is_mirrored_back(data):
    assert float(annotator_agreement(data, [pair(0, 1, mirrored=True)]).mean_iou.value) == 1
    assert float(annotator_agreement(data, [pair(0, 1)]).mean_iou.value) < 0.5


def test_pairs_are_pooled_and_the_interval_holds_the_value(data):
    agreement = annotator_agreement(data, [pair(0, 0), pair(1, 0)])
    assert agreement.iou.value.tolist() == pytest.approx([2 / 3, 3 / 4, 1])
    assert agreement.mean_iou.low < agreement.mean_iou.value < agreement.mean_iou.high


def test_no_pair_is_one_sentence(data):
    with pytest.raises(ValueError, match="No photo is in this data set twice"):
        annotator_agreement(data, [])


def image_matrices(count, hit):
    return torch.tensor([[hit, 10 - hit, 0], [0, 10, 0], [0, 0, 10]]).repeat(count, 1, 1)


def test_leaked_photos_with_better_scores_raise_the_whole_score():
    effect = leak_effect(torch.cat([image_matrices(6, hit=5), image_matrices(2, hit=10)]), [6, 7])
    assert effect.leaked_only["iou_pet"] == 1
    assert effect.without_leaked["iou_pet"] == 0.5
    assert effect.all_photos["iou_pet"] == 50 / 80
    expected = effect.all_photos["mean_iou"] - effect.without_leaked["mean_iou"]
    assert float(effect.difference.value) == pytest.approx(expected)
    assert effect.difference.high > effect.difference.value > 0


def test_leaked_photos_like_the_others_change_nothing():
    effect = leak_effect(image_matrices(8, hit=5), [1, 4])
    assert [float(end) for end in effect.difference] == pytest.approx([0, 0, 0], abs=1e-12)


@pytest.mark.parametrize("leaked", [[], [0, 1, 2]])
def test_leaked_photos_must_be_some_but_not_all(leaked):
    with pytest.raises(ValueError, match=rf"{len(leaked)} of 3 photos"):
        leak_effect(image_matrices(3, hit=5), leaked)


@pytest.mark.real_data
def test_oxfords_annotators_agree_to_a_mean_iou_of_0_82(oxford):
    module = PetDataModule("oxford", oxford, progress=False)
    module.prepare_data()
    module.setup()
    pairs = duplicates(module)
    agreement = annotator_agreement(module, pairs)
    assert float(agreement.mean_iou.value) == pytest.approx(0.824, abs=0.001)
    assert agreement.iou.value.tolist() == pytest.approx([0.916, 0.948, 0.609], abs=0.001)
    assert 0.80 < agreement.mean_iou.low < 0.815 < 0.835 < agreement.mean_iou.high < 0.85
    assert len(leaked_test_photos(pairs)) == 23
    assert metrics.pooled_scores(agreement.matrices)["mean_iou"] == float(agreement.mean_iou.value)
