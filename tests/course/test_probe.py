import pytest
import torch

from petseg import metrics
from petseg.course.probe import linear_probe
from petseg.data.datamodule import Batch, PetDataModule
from petseg.models import pretrained
from petseg.models.pretrained import PretrainedUNet


class Planted(torch.nn.Module):
    """An encoder whose second stage holds the answer in one of its channels."""

    def __init__(self, fractions):
        super().__init__()
        self.fractions = fractions

    def forward(self, image):
        noise = torch.randn(len(image), 2, 8, 8, generator=torch.Generator().manual_seed(0))
        return [image, torch.cat([noise, self.fractions], dim=1)]


def test_a_linear_probe_finds_the_answer_where_it_was_planted_and_only_there():
    torch.manual_seed(0)
    cells = torch.randint(0, 3, (6, 8, 8))
    mask = cells.repeat_interleave(4, dim=1).repeat_interleave(4, dim=2).byte()  # (6, 32, 32)
    image = torch.randint(0, 256, (6, 3, 32, 32), dtype=torch.uint8)
    batch = Batch(image, mask, torch.arange(6))
    fractions = torch.nn.functional.one_hot(cells, 3).movedim(-1, 1).float()
    pooled = linear_probe(Planted(fractions), batch, batch)
    scores = {stride: metrics.mean_iou(matrix).item() for stride, matrix in pooled.items()}
    assert list(scores) == [1, 4]
    assert all(int(matrix.sum()) == mask.numel() for matrix in pooled.values())
    assert scores[4] > 0.55 > 0.4 > scores[1]  # upsampling blurs the edges of the planted cells


@pytest.mark.skipif(not pretrained.installed(), reason="the extra `pretrained` is not installed")
def test_a_probe_leaves_the_encoder_as_it_was(cartoons, monkeypatch, tmp_path):
    monkeypatch.setenv("PETSEG_CACHE_DIR", str(tmp_path))
    encoder = PretrainedUNet(input_scale=1.0).encoder.train()
    before = {key: value.clone() for key, value in encoder.state_dict().items()}
    module = PetDataModule("oxford", cartoons, image_size=64, progress=False)
    module.prepare_data()
    module.setup()
    val = module.datasets["val"].__getitems__([0, 1])
    assert list(linear_probe(encoder, val, val)) == [1, 2, 4, 8, 16, 32]
    assert encoder.training
    assert all(torch.equal(value, before[key]) for key, value in encoder.state_dict().items())
