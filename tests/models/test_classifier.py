"""The classifier: ImageNet's EfficientNet-Lite0 in plain PyTorch, and P(cat or dog) from its classes."""

import elsewhere
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from petseg.models import pretrained
from petseg.models.classifier import DRAWN, WEIGHTS, EfficientNetLite0, PetClassifier, restored


@pytest.fixture(scope="module")
def weights() -> dict[str, Tensor]:
    weights = pretrained.packaged("tf_efficientnet_lite0")
    assert weights is not None
    return weights


def test_the_network_gives_the_logits_of_timms(weights):
    timm = pytest.importorskip("timm")
    original = timm.create_model("tf_efficientnet_lite0")
    original.load_state_dict(weights)
    network = EfficientNetLite0()
    state = elsewhere.merged(weights)
    for key, shape in (("classifier.weight", (1, 1280)), ("classifier.bias", (1,))):
        state[key] = torch.cat([state[key], torch.zeros(shape)])
    network.load_state_dict(state)
    image = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(network(image)[:, :DRAWN], original.eval()(image), atol=1e-4, rtol=1e-4)


def test_the_file_holds_these_weights_to_half_a_step_of_255_and_says_where_they_come_from(weights):
    stored = load_file(WEIGHTS)
    rebuilt = restored(stored)
    for name, weight in elsewhere.merged(weights).items():
        if name.endswith(".weight"):
            step = stored[f"{name}.scale"].view(-1, *[1] * (weight.ndim - 1))[: len(weight)]
            assert ((rebuilt[name][: len(weight)] - weight).abs() <= 0.501 * step).all()
        else:
            torch.testing.assert_close(rebuilt[name][: len(weight)], weight)  # processors round differently
    with safe_open(WEIGHTS, "pt") as file:
        assert "Apache-2.0" in file.metadata()["licence"]
    assert WEIGHTS.stat().st_size < 5e6


class Classes(nn.Module):
    """A network that gives some classes and the drawing's row certain logits, and all others -20."""

    def __init__(self, logits: dict[int, float]) -> None:
        super().__init__()
        self.logits = torch.full((1, 1001), -20.0)
        for label, value in logits.items():
            self.logits[0, label] = value

    def forward(self, image: Tensor) -> Tensor:
        return self.logits


@pytest.mark.parametrize(
    ("logits", "expected"),
    [
        ({207: 0.0, 281: 0.0, 504: 0.0}, 2 / 3),  # a retriever, a tabby, a coffee mug
        ({207: 0.0, 339: 0.0, 504: 0.0}, 1 / 3),  # a horse is as probable as a dog
        ({207: 0.0, 339: 1.5}, 0.0),  # and here more than twice as probable
        ({287: 0.0, 277: 1.5}, 1 / (1 + 2.718281828**1.5)),  # a lynx is a cat's likeness, a fox no other animal
        ({504: 9.0, DRAWN: 0.1}, float("nan")),
    ],
)
def test_the_probability_of_a_pet_is_that_of_its_classes_unless_another_animal_is_far_likelier(logits, expected):
    probability = PetClassifier(Classes(logits))(torch.zeros(1, 3, 8, 8))
    torch.testing.assert_close(probability, torch.tensor([expected]), atol=1e-5, rtol=0, equal_nan=True)
