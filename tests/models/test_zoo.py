"""`petseg.models.zoo`: what is saved comes back with equal values, and what is wrong is said in a sentence."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from petseg.errors import ModelError
from petseg.files import atomic_write
from petseg.models import zoo
from petseg.models.segmenter import Segmenter
from petseg.models.unet import UNet
from petseg.models.zoo import ModelCard


def wrapped(network: UNet) -> Segmenter:
    return Segmenter(network, mean=(0.5, 0.4, 0.3), std=(0.25, 0.2, 0.15))


def card(network: UNet, **changes: Any) -> ModelCard:
    values: dict[str, Any] = {
        "name": "tiny",
        "size": (32, 48),
        "recipe": {"epochs": 3, "optimiser": {"name": "AdamW", "lr": 1e-3}},
        "data": {"name": "cartoon", "images": 12},
        "scores": {"mean_iou": 0.75},
    }
    return replace(ModelCard.of(wrapped(network), **values), **changes)


@pytest.fixture
def network() -> UNet:
    torch.manual_seed(0)
    network = UNet(channels=(4, 8)).train()
    network(torch.randn(2, 3, 16, 16))  # moves BatchNorm's statistics and counters off their defaults
    return network


@pytest.fixture
def path(tmp_path: Path, network: UNet) -> Path:
    return zoo.save(tmp_path / "tiny.safetensors", wrapped(network), card(network))


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


def test_saving_and_loading_gives_equal_values_in_float16(path: Path, network: UNet) -> None:
    loaded = zoo.load(path)[0].network
    assert loaded.state_dict().keys() == network.state_dict().keys()
    for key, value in network.state_dict().items():
        expected = value.half().float() if value.is_floating_point() else value
        assert torch.equal(loaded.state_dict()[key], expected), key
        assert loaded.state_dict()[key].dtype == value.dtype, key


def test_a_loaded_network_predicts_as_the_saved_one(path: Path, network: UNet) -> None:
    loaded = zoo.load(path)[0].network
    image = torch.randn(1, 3, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(loaded(image), network.eval()(image), rtol=0.02, atol=0.02)
    assert not any(module.training for module in loaded.modules())


def test_the_card_comes_back_as_it_was(path: Path, network: UNet) -> None:
    assert zoo.load(path)[1] == zoo.card(path) == card(network)


def test_the_file_holds_float16_and_whole_counters(path: Path) -> None:
    kinds = {key.rsplit(".")[-1]: value.dtype for key, value in load_file(path).items()}
    assert kinds["weight"] == kinds["running_var"] == torch.float16
    assert kinds["num_batches_tracked"] == torch.int64


def test_a_saved_model_is_as_readable_as_any_other_file(path: Path) -> None:
    other = path.with_name("other")
    other.touch()
    assert path.stat().st_mode == other.stat().st_mode


def test_saving_changes_neither_the_network_nor_the_random_numbers(tmp_path: Path, network: UNet) -> None:
    before = {key: value.clone() for key, value in network.state_dict().items()}
    state = torch.get_rng_state()
    zoo.load(zoo.save(tmp_path / "a.safetensors", wrapped(network), card(network)))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_the_separable_network_is_rebuilt_from_its_settings(tmp_path: Path) -> None:
    network = UNet(channels=(4,), separable=True)
    loaded = zoo.load(zoo.save(tmp_path / "s.safetensors", wrapped(network), card(network)))[0].network
    assert sum(p.numel() for p in loaded.parameters()) == sum(p.numel() for p in network.parameters())


def test_a_name_is_looked_up_among_the_released_models(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zoo, "WEIGHTS", path.parent)
    assert zoo.available() == ["tiny"]
    assert zoo.load("tiny")[1].name == zoo.card("tiny").name == zoo.cards()[0].name == "tiny"


def test_a_model_that_is_still_being_written_is_not_there_yet(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zoo, "WEIGHTS", path.parent)
    with atomic_write(path.with_name("next.safetensors")) as partial:
        partial.write_bytes(b"half of")
        assert zoo.available() == ["tiny"]
    assert zoo.available() == ["next", "tiny"]


def test_an_unknown_name_is_answered_with_the_names_there_are(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zoo, "WEIGHTS", path.parent)
    message = refusal(zoo.load, "resnet")
    assert message.startswith("resnet: no released model has this name; available: tiny.")
    assert "available: tiny" in refusal(zoo.load, "../weights/tiny")
    assert "no such file" in refusal(zoo.load, path.with_name("gone.safetensors"))


def test_a_tensor_that_float16_cannot_hold_is_stored_in_float32_and_the_others_are_not(
    tmp_path: Path, network: UNet
) -> None:
    target = tmp_path / "big.safetensors"
    with torch.no_grad():
        network.head.weight[0, 0] = 70000.25
    zoo.save(target, wrapped(network), card(network))
    with safe_open(target, framework="pt") as file:
        kinds = {key: file.get_tensor(key).dtype for key in file.keys()}  # noqa: SIM118
    assert [key for key, kind in kinds.items() if kind == torch.float32] == ["head.weight"]
    assert torch.equal(zoo.load(target)[0].network.state_dict()["head.weight"], network.head.weight)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_weight_that_is_not_finite_is_not_saved(tmp_path: Path, network: UNet, value: float) -> None:
    with torch.no_grad():
        network.head.weight[0, 0] = value
    target = tmp_path / "big.safetensors"
    assert "head.weight holds values that are not finite" in refusal(zoo.save, target, wrapped(network), card(network))
    assert list(tmp_path.iterdir()) == []


def test_a_card_that_does_not_rebuild_its_network_is_not_saved(tmp_path: Path, network: UNet) -> None:
    target = tmp_path / "wrong.safetensors"
    other = card(network, settings=UNet(channels=(4, 16)).settings)
    assert "do not fit the card's settings" in refusal(zoo.save, target, wrapped(network), other)
    assert "architecture 'resnet' came" in refusal(
        zoo.save, target, wrapped(network), card(network, architecture="resnet")
    )
    assert "ends in .safetensors" in refusal(zoo.save, tmp_path / "model.pt", wrapped(network), card(network))
    assert list(tmp_path.iterdir()) == []


def write_half(path: Path) -> None:
    with atomic_write(path) as partial:
        partial.write_bytes(b"half")
        raise RuntimeError("the disk is full")


def test_a_failed_save_leaves_the_old_file_and_no_other(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(RuntimeError, match="disk is full"):
        write_half(path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_missing_or_damaged_header_field_is_named(path: Path) -> None:
    assert "the header lacks mean" in refusal(zoo.load, rewritten(path, {"mean": None}))
    for field, value in (("mean", "[1, 2]"), ("mean", "nonsense"), ("size", "[0, 128]"), ("classes", "3")):
        good = {"mean": "[0, 0, 0]", "size": "[8, 8]", "classes": "[]"}
        assert "model card is damaged" in refusal(zoo.card, rewritten(path, good | {field: value})), field


def test_a_header_of_a_later_version_is_read(path: Path) -> None:
    assert zoo.card(rewritten(path, {"mood": '"sunny"'})).name == "tiny"


def test_tensors_that_do_not_fit_are_named(path: Path) -> None:
    settings = json.dumps(UNet(channels=(4, 16)).settings)
    assert "do not fit the card's settings, first bottleneck" in refusal(
        zoo.load, rewritten(path, {"settings": settings})
    )
    assert "cannot be built" in refusal(zoo.load, rewritten(path, {"settings": '{"depth": 3}'}))
    assert "this petseg knows unet" in refusal(zoo.load, rewritten(path, {"architecture": '"resnet"'}))


def test_settings_of_a_giant_are_refused_without_building_it(path: Path) -> None:
    settings = json.dumps({"channels": [2**20, 2**21]})  # 158 TB of weights
    assert "do not fit" in refusal(zoo.load, rewritten(path, {"settings": settings}))


def test_a_damaged_file_is_refused(path: Path) -> None:
    data = path.read_bytes()
    for damaged in (b"", data[:100], data[:-10], b"\xff" * 200, pickle.dumps({"weight": 1})):
        path.write_bytes(damaged)
        assert refusal(zoo.load, path).startswith("tiny.safetensors: not a safetensors file, or damaged")


def test_a_file_without_a_card_is_refused(tmp_path: Path, network: UNet) -> None:
    save_file(network.state_dict(), tmp_path / "bare.safetensors")
    assert "the header lacks name, architecture" in refusal(zoo.load, tmp_path / "bare.safetensors")


def test_the_default_model_is_the_runnable_one_that_validates_best(tmp_path, network, monkeypatch):
    scores = {"weak": 0.5, "strong": 0.8, "strongest": 0.9}
    for name, score in scores.items():
        one = card(network, name=name, scores={"val": {"mean_iou": score}})
        zoo.save(tmp_path / f"{name}.safetensors", wrapped(network), one)
    monkeypatch.setattr(zoo, "WEIGHTS", tmp_path)
    monkeypatch.setattr(zoo, "runnable", lambda card: card.name != "strongest")
    assert zoo.best() == zoo.card().name == zoo.load()[1].name == "strong"


def test_without_any_model_the_default_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(zoo, "WEIGHTS", tmp_path)
    assert "no released model can be run" in refusal(zoo.load)


def test_a_card_of_a_file_that_is_older_than_a_field_has_its_default(path):
    assert zoo.card(rewritten(path, {"limits": None})).limits == ""
