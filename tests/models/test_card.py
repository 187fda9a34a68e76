"""The model card: what it says comes back from a header, also from one of an earlier release, and reads well."""

import json
from dataclasses import replace

import pytest
import torch

from petseg.labels import CLASSES
from petseg.models import zoo
from petseg.models.architectures import ARCHITECTURES, architecture_of
from petseg.models.card import ModelCard
from petseg.models.normalisation import IMAGENET
from petseg.models.unet import UNet


@pytest.fixture
def network():
    return UNet(channels=(4, 8))


def card(network, **changes):
    details = {"name": "tiny", "size": (32, 48), "recipe": {"epochs": 3, "optimiser": {"name": "AdamW", "lr": 1e-3}}}
    return ModelCard.of(network, **(details | changes))


def test_a_card_of_a_network_says_what_rebuilds_and_feeds_it(network):
    made = card(network)
    assert ARCHITECTURES[made.architecture].build is UNet
    assert UNet(**made.settings).settings == network.settings
    assert (made.mean, made.std) == IMAGENET
    assert made.parameters == sum(p.numel() for p in network.parameters())
    assert made.classes == CLASSES


def test_a_network_that_no_card_can_name_is_refused():
    with pytest.raises(ValueError, match="Linear is not in ARCHITECTURES"):
        architecture_of(torch.nn.Linear(1, 1))


def test_a_card_is_its_own_inverse_through_the_header(network):
    original = replace(card(network), data="drawn, not photographed")
    header = original.to_header()
    assert all(isinstance(value, str) for value in header.values())
    assert ModelCard.from_header(header) == original


def test_a_card_with_the_names_of_an_earlier_release_is_read_with_todays(network):
    header = card(network).to_header()
    header["settings"] = json.dumps({"encoder": "tf_efficientnet_lite0", "enlarge": 2.0})
    header["recipe"] = json.dumps(
        {"enlarge": 2.0, "encoder_rate": 0.5, "size_from": [0.0], "val_share": 0.1, "epochs": 4}
    )
    read = ModelCard.from_header(header)
    assert read.settings == {"encoder": "tf_efficientnet_lite0", "input_scale": 2.0}
    assert read.recipe == {
        "input_scale": 2.0, "encoder_lr_scale": 0.5, "size_starts": [0.0], "val_fraction": 0.1, "epochs": 4
    }  # fmt: skip


@pytest.mark.parametrize("name", zoo.available())
def test_the_cards_of_released_models_use_todays_names(name):
    found = zoo.card(name)
    assert not {"enlarge", "encoder_rate", "size_from", "val_share"} & (set(found.settings) | set(found.recipe))
    assert found.recipe["val_fraction"] == 0.1
    assert "val_share" not in found.markdown()


def test_a_card_normalises_by_its_own_mean_and_std(network):
    own = card(network, mean=(0.5, 0.25, 0.0), std=(0.5, 0.25, 1.0))
    levels = torch.tensor([0, 51, 255], dtype=torch.uint8).expand(1, 3, 1, 3)
    wanted = [[-1, -0.6, 1], [-1, -0.2, 3], [0, 0.2, 1]]
    for image in (levels, levels.float() / 255):
        torch.testing.assert_close(own.normalise(image)[0, :, 0], torch.tensor(wanted))


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
