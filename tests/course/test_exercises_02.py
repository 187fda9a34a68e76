import pytest
import torch
from torch import nn

from petseg import course
from petseg.models.unet import UNet


def scale(norm):
    return norm.weight / (norm.running_var + norm.eps).sqrt()


def folded(conv, norm):
    a = scale(norm)
    return conv.weight * a.view(-1, 1, 1, 1), norm.bias - norm.running_mean * a


def folded_another_way(conv, norm):
    a = scale(norm)
    return [torch.einsum("oikl,o->oikl", conv.weight, a), norm(torch.zeros(1, len(a), 1, 1)).flatten()]


@pytest.mark.parametrize("answer", [folded, folded_another_way])
def test_a_folded_batchnorm_is_right(answer):
    assert course.check("02.1", answer)


WRONG_FOLDS = {
    "bias is not": lambda conv, norm: (folded(conv, norm)[0], norm.bias),
    "norm.eps": lambda conv, norm: (
        conv.weight * (norm.weight / norm.running_var.sqrt()).view(-1, 1, 1, 1),
        norm.bias,
    ),
    "square root": lambda conv, norm: (
        conv.weight * (norm.weight / (norm.running_var + norm.eps)).view(-1, 1, 1, 1),
        norm.bias,
    ),
    "what is a?": lambda conv, norm: (conv.weight, norm.bias),
    "two tensors": lambda conv, norm: conv.weight,
    "counts output channels": lambda conv, norm: (conv.weight[:1], norm.bias),
    "failed with RuntimeError": lambda conv, norm: (conv.weight * scale(norm), norm.bias),
}


@pytest.mark.parametrize("hint", WRONG_FOLDS)
def test_a_wrong_fold_is_told_what_is_wrong(hint, capsys):
    assert not course.check("02.1", WRONG_FOLDS[hint])
    assert hint in capsys.readouterr().out


def scaled_inputs(conv, norm):
    a = scale(norm)
    if len(a) == conv.in_channels:
        return conv.weight * a.view(1, -1, 1, 1), folded(conv, norm)[1]
    return folded(conv, norm)


def test_a_scale_on_the_input_channels_is_told_so(capsys):
    assert not course.check("02.1", scaled_inputs)
    assert "axis 0" in capsys.readouterr().out


def field_size(layers):
    size, step = 1, 1
    for kernel, stride in layers:
        size += (kernel - 1) * step
        step *= stride
    return size


def backwards(layers):
    size = 1
    for kernel, stride in reversed(layers):
        size = (size - 1) * stride + kernel
    return size


@pytest.mark.parametrize("answer", [field_size, backwards])
def test_either_recurrence_of_the_field_is_right(answer):
    assert course.check("02.2", answer)


def stride_first(layers):
    size, step = 1, 1
    for kernel, stride in layers:
        step *= stride
        size += (kernel - 1) * step
    return size


WRONG_FIELDS = {
    "Keep track of this distance": lambda layers: 1 + sum(kernel - 1 for kernel, _ in layers),
    "not of its own kernel": stride_first,
    "sees only itself": lambda layers: 0 if not layers else field_size(layers),
    "One too few": lambda layers: field_size(layers) - bool(layers),
    "by k - 1 pixels": lambda layers: 1 + sum(kernel for kernel, _ in layers),
    "Keep two numbers": lambda layers: field_size(layers) if len(layers) < 4 else 300,
}


@pytest.mark.parametrize("hint", WRONG_FIELDS)
def test_a_wrong_field_is_told_what_is_wrong(hint, capsys):
    assert not course.check("02.2", WRONG_FIELDS[hint])
    assert hint in capsys.readouterr().out


def test_the_price_of_concatenation_is_what_two_networks_differ_by():
    def saved(channels):
        network = UNet(channels=channels)
        added = [nn.Conv2d(c, c, 3, bias=False) for c in reversed(channels)]
        return sum(
            stage[0].weight.numel() - conv.weight.numel() for stage, conv in zip(network.decoder, added, strict=True)
        )

    assert course.check("02.3", saved)


WRONG_PRICES = {
    "Only the first convolution": lambda channels: 18 * sum(c * c for c in channels),
    "3x3 weights": lambda channels: sum(c * c for c in channels),
    "BatchNorm comes after": lambda channels: sum(9 * c * c + 2 * c for c in channels),
    "positive number": lambda channels: -9 * sum(c * c for c in channels),
    "what does each channel cost": lambda channels: 9 * sum(channels) ** 2 + 1,
}


@pytest.mark.parametrize("hint", WRONG_PRICES)
def test_a_wrong_price_is_told_what_is_wrong(hint, capsys):
    assert not course.check("02.3", WRONG_PRICES[hint])
    assert hint in capsys.readouterr().out


@pytest.mark.parametrize("number", ["02.1", "02.2", "02.3"])
def test_an_unfilled_exercise_says_that_it_is_to_do(number, capsys):
    def unfilled(*arguments): ...

    assert not course.check(number, unfilled)
    assert "still to do" in capsys.readouterr().out
