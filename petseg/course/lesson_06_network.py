"""Checks of notebook 06 that take a network: its weights, blocks, modes and learning rates; frozen stages."""

import math
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from petseg.course.checks import exercise
from petseg.course.comparison import close
from petseg.course.hints import NotYetError, as_numbers, ask, call, hint_for, one_of, same_shape, same_weights, verdict
from petseg.course.references_06 import DecoderBlock, ReferenceUNet, groups, load_encoder, train_mode


class BatchNormAct(nn.BatchNorm2d):
    """A BatchNorm of another class, as timm's encoders have them."""


class Small(nn.Module):
    """Modules with the names of `PretrainedUNet`: an encoder of three stages, a decoder and a head."""

    STAGES = (("conv_stem.", "bn1."), ("blocks.0.",), ("blocks.1.",))

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Module()
        self.encoder.conv_stem, self.encoder.bn1 = nn.Conv2d(3, 4, 3, bias=False), BatchNormAct(4)
        self.encoder.blocks = nn.Sequential(*(nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4)) for _ in range(2)))
        self.decoder, self.head = nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4)), nn.Conv2d(4, 3, 1)


@exercise("06.a", "load the weights of an encoder", load_encoder)
def loaded_encoder(answer: Any) -> str:
    """The encoder's entries are loaded; a missing one is an error."""
    encoder = Small().encoder
    weights = {name: torch.full_like(value, 3) for name, value in encoder.state_dict().items()}
    classifier = {"conv_head.weight": torch.ones(2), "bn2.bias": torch.ones(2), "classifier.weight": torch.ones(2)}
    try:
        call(answer, encoder, {**weights, **classifier})
    except NotYetError as error:
        if "Unexpected key" in str(error):
            raise NotYetError("the encoder does not have the classifier's last layers. Leave them out.") from None
        raise
    if not all(bool((value == 3).all()) for value in encoder.state_dict().values()):
        raise NotYetError("afterwards the encoder still has other weights than those that it was given.")
    try:
        answer(Small().encoder, {name: value for name, value in weights.items() if name != "bn1.running_mean"})
    except Exception:
        return "A missing entry is an error, so no layer keeps its random weights unnoticed."
    raise NotYetError("a missing `bn1.running_mean` goes unnoticed. `strict=True`, the default, prevents that.")


@exercise("06.d", "a block of the decoder", DecoderBlock)
def decoder_block(answer: Any) -> str:
    """Upsampled by nearest neighbour, concatenated before the skip, convolved twice."""
    reference, made = DecoderBlock(5, 3, 4), ask(answer, 5, 3, 4)
    x, skip = torch.randn(2, 5, 3, 3), torch.randn(2, 3, 6, 6)
    nearest, smooth = (F.interpolate(x, scale_factor=2, mode=mode) for mode in ("nearest", "bilinear"))
    same_weights("DecoderBlock(5, 3, 4)", made, reference)
    with torch.no_grad():
        result, expected = ask(made, x, skip), reference(x, skip)
        same_shape("of (2, 5, 3, 3) and a skip (2, 3, 6, 6) it", result, expected)
        joined = {
            "concatenate the upsampled features first, then the skip.": [skip, nearest],
            "upsample by nearest neighbour, as the released network does.": [smooth, skip],
        }
        mistakes = {h: reference.conv2(reference.conv1(torch.cat(w, dim=1))) for h, w in joined.items()}
        mistakes["that is one convolution. `conv2` follows."] = reference.conv1(torch.cat([nearest, skip], dim=1))
    if not close(result, expected):
        raise hint_for(result, mistakes, "the shape is right, but the values differ.")
    return "Four of them lead from stride 32 to stride 2."


@exercise("06.e", "a U-Net around a pretrained encoder", ReferenceUNet)
def pretrained_unet(answer: Any) -> str:
    """The class `PretrainedUNet` has the parameters and results of the reference."""
    widths = (16, 8, 8, 4)
    reference, made, image = ReferenceUNet(widths), ask(answer, widths), torch.randn(1, 3, 64, 64)
    coarsest = " The first block is the coarsest: its skip has 112 channels."
    same_weights(f"PretrainedUNet({widths})", made, reference, coarsest)
    with torch.no_grad():
        result, expected = ask(made, image), reference(image)
    same_shape("of (1, 3, 64, 64) it", result, expected)
    if not close(result, expected):
        raise NotYetError("it has the right weights, but other results. Does every block get its own skip?")
    return f"With the default widths it has {sum(p.numel() for p in answer().parameters()):,} parameters."


@exercise("06.f", "train mode with frozen parts", train_mode)
def frozen_modes(answer: Any) -> str:
    """BatchNorm is in eval mode exactly where its weight gets no gradient."""
    for frozen in (("conv_stem.", "bn1.", "blocks."), ("conv_stem.", "bn1."), ("-",)):
        network = Small().eval()
        for name, weight in network.encoder.named_parameters():
            weight.requires_grad_(not name.startswith(frozen))
        call(answer, network)
        if any(weight.requires_grad for name, weight in network.encoder.named_parameters() if name.startswith(frozen)):
            raise NotYetError("change only the modes: a frozen weight gets a gradient again.")
        if not network.training:
            raise NotYetError("the network is still in eval mode. Begin with `network.train()`.")
        for name, module in network.named_modules():
            if isinstance(module, nn.BatchNorm2d) and module.training != module.weight.requires_grad:
                state = "still updates its running averages" if module.training else "is in eval mode"
                why = "gets no gradient" if module.training else "is trained"
                raise NotYetError(f"{name} {why}, but {state}.")
    return "Now a frozen layer computes the same in every step."


@exercise("06.g", "two learning rates", groups)
def two_rates(answer: Any) -> str:
    """Every trainable parameter is in one group, with its rate."""
    for frozen in (False, True):
        network = Small()
        network.encoder.requires_grad_(not frozen)
        rates = rates_of(ask(answer, network, 1e-3, 0.1), network)
        expected = {
            name: 1e-4 if name.startswith("encoder.") else 1e-3
            for name, weight in network.named_parameters()
            if weight.requires_grad
        }
        compare_rates(rates, expected, "with a frozen encoder, " if frozen else "with rate 0.001 and scale 0.1, ")
    return "An optimiser takes these dictionaries in place of the parameters."


def rates_of(made: Any, network: nn.Module) -> dict[str, float]:
    """The learning rate of each parameter in an answer's groups, by its name."""
    names, rates = {id(weight): name for name, weight in network.named_parameters()}, dict[str, float]()
    shape = "expected a list of dictionaries with `params`, parameters of the network, and `lr`"
    if not isinstance(made, list | tuple) or not all(isinstance(group, dict) for group in made):
        raise NotYetError(f"{shape}.")
    try:
        for group in made:
            for weight in group["params"]:
                if names[id(weight)] in rates:
                    raise NotYetError(f"{names[id(weight)]} is in two groups.")
                rates[names[id(weight)]] = float(group["lr"])
    except (KeyError, TypeError, ValueError) as error:
        raise NotYetError(f"{shape} ({error!r}).") from error
    return rates


def compare_rates(rates: Mapping[str, float], expected: Mapping[str, float], where: str) -> None:
    """A hint unless every parameter has its rate, and no other one has any."""
    if in_vain := sorted(rates.keys() - expected.keys()):
        raise NotYetError(f"{where}{in_vain[0]} is frozen and belongs in no group.")
    if missing := sorted(expected.keys() - rates.keys()):
        raise NotYetError(f"{where}{missing[0]} is in no group, so it would never be trained.")
    for name, rate in rates.items():
        if not math.isclose(rate, expected[name], rel_tol=1e-6):
            raise NotYetError(f"{where}{name} gets {rate:g} instead of {expected[name]:g}.")


@exercise("06.1", "build: a learning rate for each stage")
def stage_groups(answer: Any) -> str:
    """The first stages are frozen; the rates of the others fall by a factor from the decoder to the stem."""
    for frozen in (0, 2, 1, 3):
        network, where = Small(), f"frozen={frozen}: "
        rates = rates_of(ask(answer, network, frozen, 1e-3, 0.5), network)
        expected = {name: 1e-3 * 0.5 ** _depth(name) for name, _ in network.named_parameters()}
        cold = {name for name in expected if _depth(name) > len(Small.STAGES) - frozen}
        for name, weight in network.named_parameters():
            if weight.requires_grad == (name in cold):
                state = "still gets a gradient" if name in cold else "gets no gradient, but is in no frozen stage"
                raise NotYetError(f"{where}{name} {state}.")
        trained = {name: rate for name, rate in expected.items() if name not in cold}
        compare_rates(rates, trained, f"{where}with rate 0.001 and decay 0.5, ")
    return "`train_mode` keeps the BatchNorm of the frozen stages still."


def _depth(name: str) -> int:
    """How many stages a parameter lies below the decoder: 0 in the decoder and the head."""
    stages = Small.STAGES[::-1]
    inner = name.removeprefix("encoder.")
    return next((i for i, stage in enumerate(stages, start=1) if name != inner and inner.startswith(stage)), 0)


@exercise("06.2", "experiment: how many stages to freeze?")
def frozen_stages(prediction: Any, scores: Any) -> str:
    """The number of frozen stages with the best score, predicted and measured."""
    one_of(prediction, range(9))
    if not isinstance(scores, dict) or len(scores) < 3 or not set(scores) <= set(range(9)):
        raise NotYetError("expected a dictionary with at least three numbers of frozen stages and their scores.")
    expected = "expected a mean IoU between 0 and 1 for each number of frozen stages."
    values = as_numbers(scores.values(), lambda each: all(0 < score <= 1 for score in each), expected)
    if len(set(values)) == 1:
        raise NotYetError("all scores are equal. Does each run start with a new network and freeze its own stages?")
    said = verdict(prediction, dict(sorted(zip(scores, values, strict=True))), ".3f")
    return f"Mean IoU by frozen stages: {said} One run each: the order may be chance."
