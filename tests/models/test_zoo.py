"""`petseg.models.zoo`: what is saved comes back with equal values, and what is wrong is said in a sentence."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from petseg.errors import ModelError
from petseg.files import atomic_write
from petseg.labels import CLASSES
from petseg.models import zoo
from petseg.models.segmenter import IMAGENET, Segmenter
from petseg.models.unet import UNet
from petseg.models.zoo import ModelCard


def card(segmenter: Segmenter, **changes: Any) -> ModelCard:
    """A card of the segmenter, with other values in some fields."""
    details: dict[str, Any] = {
        "name": "tiny",
        "size": (32, 48),
        "recipe": {"epochs": 3, "optimiser": {"name": "AdamW", "lr": 1e-3}},
        "data": {"name": "cartoon", "images": 12},
        "scores": {"val": {"mean_iou": 0.75}},
    }
    return replace(ModelCard.of(segmenter, **details), **changes)


@pytest.fixture
def segmenter() -> Segmenter:
    torch.manual_seed(0)
    segmenter = Segmenter(UNet(channels=(4, 8)), mean=(0.5, 0.4, 0.3), std=(0.25, 0.2, 0.15)).train()
    segmenter(torch.rand(2, 3, 16, 16))  # moves BatchNorm's statistics and counters off their defaults
    return segmenter


@pytest.fixture
def path(tmp_path: Path, segmenter: Segmenter) -> Path:
    return zoo.save(tmp_path / "tiny.safetensors", segmenter, card(segmenter))


@pytest.fixture
def shelf(path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of released models, which holds the tiny one alone."""
    monkeypatch.setattr(zoo, "WEIGHTS", path.parent)
    return path.parent


def refusal(call: Any, *arguments: Any) -> str:
    with pytest.raises(ModelError) as caught:
        call(*arguments)
    return str(caught.value)


def rewritten(path: Path, changes: dict[str, str | None]) -> Path:
    """The file with other header fields; None leaves one out."""
    with safe_open(path, framework="pt") as file:
        header = file.metadata() | changes
    save_file(load_file(path), path, metadata={key: value for key, value in header.items() if value is not None})
    return path


def test_saving_and_loading_gives_equal_values_in_float16(path, segmenter):
    loaded = zoo.load(path)[0]
    assert loaded.state_dict().keys() == segmenter.state_dict().keys()
    for key, value in segmenter.state_dict().items():
        expected = value.half().float() if value.is_floating_point() else value
        assert torch.equal(loaded.state_dict()[key], expected), key
        assert loaded.state_dict()[key].dtype == value.dtype, key


@pytest.mark.parametrize("separable", [False, True])
def test_a_loaded_model_predicts_as_the_saved_one(tmp_path, separable):
    segmenter = Segmenter(UNet(channels=(4,), separable=separable), (0.5, 0.4, 0.3), (0.25, 0.2, 0.15)).eval()
    loaded = zoo.load(zoo.save(tmp_path / "a.safetensors", segmenter, card(segmenter)))[0]
    image = torch.randint(0, 256, (1, 3, 16, 16), dtype=torch.uint8)
    with torch.no_grad():
        torch.testing.assert_close(loaded(image), segmenter(image), rtol=0.02, atol=0.02)
    assert not any(module.training for module in loaded.modules())


def test_a_loaded_model_does_not_depend_on_its_file_any_more(path, segmenter):
    loaded = zoo.load(path)[0]
    before = {key: value.clone() for key, value in loaded.state_dict().items()}
    with path.open("r+b") as file:
        file.write(b"\1" * path.stat().st_size)
    assert all(torch.equal(value, before[key]) for key, value in loaded.state_dict().items())


def test_the_card_comes_back_as_it_was(path, segmenter):
    assert zoo.load(path)[1] == zoo.card(path) == card(segmenter)


def test_a_saved_model_is_as_readable_as_any_other_file(path):
    other = path.with_name("other")
    other.touch()
    assert path.stat().st_mode == other.stat().st_mode


def test_saving_and_loading_change_neither_the_network_nor_the_random_numbers(tmp_path, segmenter):
    before = {key: value.clone() for key, value in segmenter.state_dict().items()}
    state = torch.get_rng_state()
    zoo.load(zoo.save(tmp_path / "a.safetensors", segmenter, card(segmenter)))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[key]) for key, value in segmenter.state_dict().items())


def test_a_tensor_that_float16_cannot_hold_is_stored_in_float32_and_the_others_are_not(tmp_path, segmenter):
    target = tmp_path / "big.safetensors"
    weight = segmenter.network.get_parameter("head.weight")
    with torch.no_grad():
        weight[0, 0] = 70000.25
    zoo.save(target, segmenter, card(segmenter))
    kinds = {key: value.dtype for key, value in load_file(target).items()}
    assert [key for key, kind in kinds.items() if kind == torch.float32] == ["head.weight"]
    assert torch.equal(zoo.load(target)[0].network.get_parameter("head.weight"), weight)


def test_a_name_is_looked_up_among_the_released_models(shelf):
    assert zoo.available() == ["tiny"]
    assert zoo.load("tiny")[1].name == zoo.card("tiny").name == zoo.cards()[0].name == "tiny"


def test_a_model_that_is_still_being_written_is_not_there_yet(shelf):
    with atomic_write(shelf / "next.safetensors") as partial:
        partial.write_bytes(b"half of")
        assert zoo.available() == ["tiny"]
    assert zoo.available() == ["next", "tiny"]


def test_an_unknown_name_is_answered_with_the_names_there_are(shelf):
    assert refusal(zoo.load, "resnet").startswith("resnet: no released model has this name; available: tiny.")
    assert "available: tiny" in refusal(zoo.load, "../weights/tiny")
    assert "no such file" in refusal(zoo.load, shelf / "gone.safetensors")
    (shelf / "tiny.safetensors").unlink()
    assert "no released model can be run" in refusal(zoo.load)


def test_the_default_model_is_the_runnable_one_that_validates_best(shelf, segmenter, monkeypatch):
    for name, score in {"weak": 0.5, "strong": 0.8, "strongest": 0.9}.items():
        model = card(segmenter, name=name, scores={"val": {"mean_iou": score}})
        zoo.save(shelf / f"{name}.safetensors", segmenter, model)
    monkeypatch.setattr(zoo, "runnable", lambda card: card.name != "strongest")
    assert zoo.best() == zoo.card().name == zoo.load()[1].name == "strong"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_weight_that_is_not_finite_is_not_saved(tmp_path, segmenter, value):
    with torch.no_grad():
        segmenter.network.get_parameter("head.weight")[0, 0] = value
    message = refusal(zoo.save, tmp_path / "big.safetensors", segmenter, card(segmenter))
    assert "head.weight holds values that are not finite" in message
    assert list(tmp_path.iterdir()) == []


def test_a_card_that_does_not_rebuild_its_segmenter_is_not_saved(tmp_path, segmenter):
    target = tmp_path / "wrong.safetensors"
    wide = card(segmenter, settings=UNet(channels=(4, 16)).settings)
    assert "do not fit the card's settings" in refusal(zoo.save, target, segmenter, wide)
    unknown = card(segmenter, architecture="resnet")
    assert "architecture 'resnet' came" in refusal(zoo.save, target, segmenter, unknown)
    assert "ends in .safetensors" in refusal(zoo.save, tmp_path / "model.pt", segmenter, card(segmenter))
    with pytest.raises(ValueError, match="mean and std"):
        zoo.save(target, segmenter, card(segmenter, mean=(0.1, 0.2, 0.3)))
    assert list(tmp_path.iterdir()) == []


def test_a_missing_field_is_named_and_one_with_a_default_may_be_missing(path, tmp_path):
    assert zoo.card(rewritten(path, {"limits": None})).limits == ""
    assert zoo.card(rewritten(path, {"mood": '"sunny"'})).name == "tiny"  # written by a later version
    assert "the header lacks mean" in refusal(zoo.load, rewritten(path, {"mean": None}))
    save_file({"weight": torch.zeros(1)}, tmp_path / "bare.safetensors")
    assert "the header lacks name, architecture" in refusal(zoo.load, tmp_path / "bare.safetensors")


def test_a_file_that_names_an_encoder_of_elsewhere_is_refused(path):
    changes = {"architecture": '"pretrained-unet"', "settings": '{"encoder": "hf-hub:a/b"}'}
    assert "timm knows no such encoder" in refusal(zoo.load, rewritten(path, changes))


@pytest.mark.slow
def test_without_a_folder_for_temporary_files_weights_are_not_called_damaged():
    """In a separate process: this one may have imported timm and PyTorch's compiler already."""
    pytest.importorskip("timm")
    code = """
import tempfile
def nowhere():
    raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp']")
tempfile._get_default_tempdir = nowhere
from petseg.models import zoo
zoo.load("unet")
try:
    zoo.load("unet-lite0")
except Exception as error:
    print(type(error).__name__, error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True)
    expected = "MissingError unet-lite0.safetensors: no folder for temporary files can be written to. Set TMPDIR "
    assert done.stdout in ("", f"{expected}to one that can.\n")  # other versions of timm need none


def test_a_card_says_what_rebuilds_and_feeds_its_network():
    network = UNet(channels=(4, 8))
    made = ModelCard.of(Segmenter(network), name="tiny", size=(32, 32))
    assert zoo.NETWORKS[made.architecture] == "petseg.models.unet.UNet"
    assert UNet(**made.settings).settings == network.settings
    assert (made.mean, made.std) == IMAGENET
    assert made.parameters == sum(p.numel() for p in network.parameters())
    assert made.classes == CLASSES


def test_a_network_of_ones_own_cannot_be_released_and_the_sentence_says_so():
    class Mine(UNet):
        """A subclass is another network, which its parent's name would not rebuild."""

    for network in (Mine(), nn.Conv2d(3, 3, 1)):
        assert "only networks that petseg ships can be released" in refusal(card, Segmenter(network))


def test_a_network_that_is_added_needs_no_setting_but_its_own(tmp_path, monkeypatch):
    class Pixels(nn.Sequential):
        def __init__(self, width: int = 4) -> None:
            super().__init__(nn.Conv2d(3, width, 1), nn.Conv2d(width, 3, 1))
            self.settings = {"width": width}

    Pixels.__module__, Pixels.__qualname__ = "own_net", "Pixels"
    monkeypatch.setitem(sys.modules, "own_net", SimpleNamespace(Pixels=Pixels))
    monkeypatch.setattr(zoo, "NETWORKS", {**zoo.NETWORKS, "pixels": "own_net.Pixels"})
    segmenter = Segmenter(Pixels())
    path = zoo.save(tmp_path / "own.safetensors", segmenter, ModelCard.of(segmenter, name="own", size=(32, 32)))
    assert zoo.load(path)[1].settings == {"width": 4}


def test_a_card_for_people_says_recipe_scores_breeds_calibration_licence_and_limits(segmenter):
    scores = {"test": {"mean_iou": 0.75, "iou_pet": 0.8}, "breeds": {"Bombay": 0.71}, "calibration": {"pet": 0.012}}
    text = card(segmenter, scores=scores, limits="It has never seen a horse.").markdown()
    assert text.startswith("# tiny\n")
    for line in (
        "- epochs: 3",
        "- optimiser: name AdamW, lr 0.001",
        "- test: mean_iou 0.75, iou_pet 0.8",
        "- breeds: Bombay 0.71",
        "- calibration: pet 0.012",
    ):
        assert f"\n{line}\n" in text
    assert "under the MIT licence" in text
    assert text.endswith("It has never seen a horse.")
