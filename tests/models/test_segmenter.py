"""`Segmenter`: pixels are normalised as on paper, and the network's own tensors are all that is saved."""

import pytest
import torch
from torch import nn

from petseg.models import segmenter
from petseg.models.segmenter import IMAGENET, Segmenter
from petseg.models.unet import UNet


@pytest.mark.parametrize("scale", [1, 255])
def test_uint8_and_float_pixels_are_normalised_as_on_paper(scale):
    segmenter = Segmenter(nn.Identity(), mean=(0.5, 0.25, 0.0), std=(0.5, 0.25, 1.0))
    levels = torch.tensor([0, 51, 255], dtype=torch.uint8).expand(1, 3, 1, 3)
    image = levels if scale == 255 else levels / 255
    wanted = torch.tensor([[-1, -0.6, 1], [-1, -0.2, 3], [0, 0.2, 1]])
    torch.testing.assert_close(segmenter(image)[0, :, 0], wanted)


def test_the_mean_color_becomes_zero_by_default_with_imagenets_statistics():
    image = torch.tensor(IMAGENET.mean).view(1, 3, 1, 1).expand(2, 3, 4, 5)
    assert Segmenter(nn.Identity())(image).abs().max() < 1e-6


def test_logits_are_float32_also_where_the_network_computes_in_half_precision():
    segmenter = Segmenter(UNet(channels=(4,))).eval()
    with torch.autocast("cpu", torch.bfloat16):
        assert segmenter(torch.rand(1, 3, 8, 8)).dtype == torch.float32


def test_a_gpu_of_apple_that_takes_no_tensor_is_not_used(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    taken = torch.ones(1)

    def ones(*_, device):
        if device == "mps" and taken is None:
            raise RuntimeError("MPS backend out of memory")
        return taken

    monkeypatch.setattr(torch, "ones", ones)
    for device in ("mps", "cpu"):
        segmenter._mps_computes.cache_clear()
        assert segmenter.best_device() == device
        taken = None
    segmenter._mps_computes.cache_clear()


def test_only_the_networks_tensors_are_saved_and_all_move_together():
    segmenter = Segmenter(UNet(channels=(4,)))
    assert {key.partition(".")[0] for key in segmenter.state_dict()} == {"network"}
    assert segmenter.to("meta").mean.is_meta
