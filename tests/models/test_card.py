"""The model card: what it says comes back from a header, also from one of an earlier release, and reads well."""

from dataclasses import replace

import pytest
import torch

from petseg.errors import ModelError
from petseg.labels import CLASSES
from petseg.models import zoo
from petseg.models.segmenter import IMAGENET, Segmenter
from petseg.models.unet import UNet
from petseg.models.zoo import ModelCard


@pytest.fixture
def network():
    return UNet(channels=(4, 8))


def card(network, **changes):
    details = {"name": "tiny", "size": (32, 48), "recipe": {"epochs": 3, "optimiser": {"name": "AdamW", "lr": 1e-3}}}
    return ModelCard.of(Segmenter(network), **(details | changes))


def test_a_card_of_a_network_says_what_rebuilds_and_feeds_it(network):
    made = card(network)
    assert zoo.NETWORKS[made.architecture] is UNet
    assert UNet(**made.settings).settings == network.settings
    assert (made.mean, made.std) == IMAGENET
    assert made.parameters == sum(p.numel() for p in network.parameters())
    assert made.classes == CLASSES


def test_a_network_that_no_card_can_name_is_refused():
    with pytest.raises(ModelError, match="Linear: only networks that petseg ships can be released"):
        card(torch.nn.Linear(1, 1))


def test_a_card_is_its_own_inverse_through_the_header(network):
    original = replace(card(network), data="drawn, not photographed")
    header = original.to_header()
    assert all(isinstance(value, str) for value in header.values())
    assert ModelCard.from_header(header) == original


@pytest.mark.parametrize("name", zoo.available())
def test_the_cards_of_released_models_use_todays_names(name):
    found = zoo.card(name)
    assert not {"enlarge", "encoder_rate", "size_from", "val_share"} & (set(found.settings) | set(found.recipe))
    assert found.recipe["val_fraction"] == 0.1
    assert "val_share" not in found.markdown()


def test_a_card_for_people_says_recipe_scores_breeds_calibration_licence_and_limits(network):
    scores = {
        "test": {"mean_iou": 0.75, "iou_pet": 0.8},
        "breeds": {"Bombay": 0.71, "pug": 0.79},
        "calibration": {"pet": 0.012},
    }
    text = card(network, scores=scores, limits="It has never seen a horse.").markdown()
    assert "# tiny" in text
    assert "- epochs: 3" in text
    assert "optimiser: name AdamW, lr 0.001" in text
    assert "| test | 0.7500 | 0.8000 |" in text
    assert "Bombay 0.710, pug 0.790" in text
    assert "pet 0.012" in text
    assert "MIT" in text
    assert text.endswith("It has never seen a horse.")
