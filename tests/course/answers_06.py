"""Right answers to the exercises of notebook 06, and usual mistakes with words of their hints."""

import math

import numpy as np
import torch


def vector(parts):
    return torch.cat([part.flatten() for part in parts])


def ratio(before, after):
    return (after - before).norm() / before.norm()


CHANGE = {
    "right": (lambda b, a: ratio(vector(b), vector(a)), "right."),
    "mean of tensors": (
        lambda b, a: np.mean([ratio(x, y) for x, y in zip(b, a, strict=True)]),
        "average over the tensors",
    ),
    "by after": (lambda b, a: (vector(a) - vector(b)).norm() / vector(a).norm(), "after the training"),
    "not relative": (lambda b, a: (vector(a) - vector(b)).norm(), "Divide it"),
    "squares": (lambda b, a: ratio(vector(b), vector(a)) ** 2, "squared lengths"),
    "absolute": (lambda b, a: (vector(a) - vector(b)).abs().sum() / vector(b).abs().sum(), "absolute values"),
    "lengths": (lambda b, a: vector(a).norm() / vector(b).norm() - 1, "compare two lengths"),
    "else": (lambda b, a: 7, "whose answer is"),
    "unfilled": (lambda b, a: ..., "still to do"),
}


def needed(sizes, scores, wanted, spread=np.log, back=np.exp):
    if wanted > scores[-1]:
        return math.inf
    return back(np.interp(wanted, scores, spread(sizes)))


NEEDED = {
    "right": (needed, "right."),
    "linear": (lambda n, s, w: needed(n, s, w, np.asarray, float), "that is linear interpolation"),
    "next size": (lambda n, s, w: next((a for a, b in zip(n, s, strict=True) if b >= w), math.inf), "is between two"),
    "never infinite": (lambda n, s, w: np.exp(np.interp(w, s, np.log(n))), "infinity"),
    "below the smallest": (
        lambda n, s, w: 0 if w < s[0] else needed(n, s, w),
        "the smallest data set reaches it already",
    ),
    "else": (lambda n, s, w: 7, "is right"),
    "breaks": (lambda n, s, w: n[w], "failed with"),
    "unfilled": (lambda n, s, w: ..., "still to do"),
}


def stages_of(network):
    model = network.encoder.model
    return [(model.conv_stem, model.bn1), *((block,) for block in model.blocks)]


def freeze(network, stages, grad=False, training=False):
    for module in (part for stage in stages_of(network)[:stages] for part in stage):
        module.requires_grad_(grad).train(training)


def groups(network, rate, scale):
    trained = [(name, p) for name, p in network.named_parameters() if p.requires_grad]
    encoder = [p for name, p in trained if name.startswith("encoder.")]
    rest = [p for name, p in trained if not name.startswith("encoder.")]
    return [{"params": rest, "lr": rate}, {"params": encoder, "lr": rate * scale}]


def built(change=freeze, grouped=groups):
    def freeze_stages(network, stages, rate, scale):
        change(network, stages)
        return grouped(network, rate, scale)

    return freeze_stages


def whole_encoder(network, stages):
    network.encoder.requires_grad_(False).eval()


def without_bn1(network, stages):
    freeze(network, stages)
    network.encoder.model.bn1.requires_grad_(True)


FREEZE = {
    "right": (built(), "right."),
    "a group for each": (
        built(
            grouped=lambda n, r, s: [
                {"params": [p], "lr": r * (s if name.startswith("encoder.") else 1)}
                for name, p in n.named_parameters()
                if p.requires_grad
            ]
        ),
        "right.",
    ),
    "nothing frozen": (built(lambda n, k: None), "still gets a gradient"),
    "no eval": (built(lambda n, k: freeze(n, k, training=True)), "still updates its running averages"),
    "eval only": (built(lambda n, k: freeze(n, k, grad=True)), "still gets a gradient"),
    "stem's norm forgotten": (built(without_bn1), "bn1.weight still gets a gradient"),
    "whole encoder": (built(whole_encoder), "belongs to no frozen stage"),
    "all in eval": (built(lambda n, k: (freeze(n, k), n.eval())), "is in eval mode, but is not frozen"),
    "frozen in a group": (
        built(grouped=lambda n, r, s: [{"params": n.parameters(), "lr": r}]),
        "is frozen and belongs in no group",
    ),
    "head forgotten": (
        built(grouped=lambda n, r, s: [groups(n, r, s)[1], {"params": n.decoder.parameters(), "lr": r}]),
        "head.bias is in no group",
    ),
    "swapped": (
        built(grouped=lambda n, r, s: [{**g, "lr": 1e-7 / g["lr"]} for g in groups(n, r, s)]),
        "instead of",
    ),
    "twice": (
        built(grouped=lambda n, r, s: [*groups(n, r, s), {"params": n.head.parameters(), "lr": r}]),
        "in two groups",
    ),
    "no groups": (built(grouped=lambda n, r, s: list(n.parameters())), "list of dictionaries"),
    "no rate": (built(grouped=lambda n, r, s: [{"params": n.parameters()}]), "list of dictionaries"),
    "unfilled": (lambda n, k, r, s: ..., "still to do"),
}

CASES = [
    *(("06.1", *case) for case in CHANGE.values()),
    *(("06.2", *case) for case in NEEDED.values()),
    *(("06.3", *case) for case in FREEZE.values()),
    ("06.4", (8, {0: 0.5, 4: 0.6, 8: 0.55}), "right. Best with 4 frozen stages, you predicted 8 (0: 0.500, 4: 0.600, "),
    ("06.4", (..., ...), "still to do"),
    ("06.4", (9, {0: 0.5, 4: 0.6, 8: 0.55}), "from 0 to 8"),
    ("06.4", (4, {0: 0.5, 8: 0.55}), "at least three"),
    ("06.4", (4, {0: 0.5, 4: 60, 8: 0.55}), "between 0 and 1"),
    ("06.4", (4, {0: 0.5, 4: 0.5, 8: 0.5}), "all scores are equal"),
]
