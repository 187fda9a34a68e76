"""Right answers to the gaps and exercises of notebook 06, and usual mistakes with words of their hints."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from petseg.course import references_06
from petseg.course.references_06 import DecoderBlock, ReferenceUNet


def without_head(encoder, weights):
    heads = ("conv_head.", "bn2.", "classifier.")
    encoder.load_state_dict({name: value for name, value in weights.items() if not name.startswith(heads)})


def block(forward):
    return type("Block", (DecoderBlock,), {"forward": forward})


def joined(join, mode="nearest"):
    def forward(self, x, skip):
        return self.conv2(self.conv1(torch.cat(join(F.interpolate(x, scale_factor=2, mode=mode), skip), dim=1)))

    return forward


def fixed_size(self, x, skip):
    x = F.interpolate(x, skip.shape[-2:])
    return self.conv2(self.conv1(torch.cat((x, skip), 1)))


def once(self, x, skip):
    return self.conv1(torch.cat([F.interpolate(x, scale_factor=2), skip], dim=1))


class WrongSkips(ReferenceUNet):
    def __init__(self, widths=(256, 128, 64, 32)):
        super().__init__(widths)
        sizes = zip([320, *widths[:-1]], [16, 24, 40, 112], widths, strict=True)
        self.decoder = nn.ModuleList(DecoderBlock(*each) for each in sizes)


class WithoutHead(ReferenceUNet):
    def forward(self, image):
        *skips, x = self.encoder(image)
        for each in self.decoder:
            x = each(x, skips.pop())
        return x


class Doubled(ReferenceUNet):
    def forward(self, image):
        return 2 * super().forward(image)


class Unfinished(ReferenceUNet):
    def forward(self, image):
        # ✎ through the blocks, then the head
        ...
        return F.interpolate(image, image.shape[-2:], mode="bilinear")


def modes(change):
    def train_mode(network):
        network.train()
        change(network)

    return train_mode


def frozen_norms(network):
    for module in network.encoder.modules():
        if isinstance(module, nn.BatchNorm2d) and not module.bias.requires_grad:
            module.train(False)


def unfreeze(network):
    frozen_norms(network)
    network.requires_grad_(True)


def frozen_modules(network):
    """Another right answer: every module whose own parameters are all frozen."""
    for module in network.modules():
        own = list(module.parameters())
        if own and not any(weight.requires_grad for weight in own):
            module.eval()


def by_name(network, rate, scale):
    """Another right answer: a group per parameter."""
    return [
        {"params": [weight], "lr": rate * (scale if name.startswith("encoder.") else 1)}
        for name, weight in network.named_parameters()
        if weight.requires_grad
    ]


def regrouped(change):
    return lambda network, rate, scale: change(network, references_06.groups(network, rate, scale))


def by_sgd(network, optimizer, x, y):
    optimizer.zero_grad()
    loss = F.cross_entropy(network(x), y)
    loss.backward()
    optimizer.step()
    return loss


def numpy_paired(first, second, draws):
    def score(matrices):
        sums = (draws @ matrices.flatten(1).double()).view(-1, 3, 3)
        both = sums.diagonal(dim1=1, dim2=2)
        return (both / (sums.sum(1) + sums.sum(2) - both)).mean(dim=1)

    return score(first) - score(second)


def stages_of(network):
    encoder = network.encoder
    return [[encoder.conv_stem, encoder.bn1], *([each] for each in encoder.blocks)]


def decayed(network, frozen, rate, decay, first=1):
    stages = stages_of(network)
    groups = [{"params": [*network.decoder.parameters(), *network.head.parameters()], "lr": rate}]
    for depth, stage in enumerate(stages[::-1], start=first):
        weights = [weight for module in stage for weight in module.parameters()]
        if depth > len(stages) - frozen + first - 1:
            for weight in weights:
                weight.requires_grad_(False)
        else:
            groups.append({"params": weights, "lr": rate * decay**depth})
    return groups


def flat(network, frozen, rate, decay):
    return [{**group, "lr": rate} for group in decayed(network, frozen, rate, decay)]


def from_the_stem(network, frozen, rate, decay):
    groups = decayed(network, frozen, rate, decay)
    rates = [group["lr"] for group in groups[1:]]
    return [groups[0], *({**g, "lr": r} for g, r in zip(groups[1:], rates[::-1], strict=True))]


STEM = "encoder.bn1"
CASES = [
    ("06.a", without_head, "right."),
    ("06.a", lambda encoder, weights: encoder.load_state_dict(weights), "Leave them out"),
    ("06.a", lambda encoder, weights: None, "still has other weights"),
    ("06.a", lambda encoder, weights: encoder.load_state_dict(weights, strict=False), "goes unnoticed"),
    ("06.a", lambda encoder, weights: weights["stem"], "failed with KeyError"),
    ("06.b", lambda X, Y, ridge: torch.inverse(X.T @ X + ridge * torch.eye(4)) @ X.T @ Y, "right."),
    ("06.b", lambda X, Y, ridge: np.zeros((4, 3)), "expected"),
    ("06.c", lambda H, W: torch.zeros(5, H, W), "expected"),
    ("06.d", block(fixed_size), "right."),
    ("06.d", block(joined(lambda x, skip: [skip, x])), "concatenate the upsampled features first"),
    ("06.d", block(joined(lambda x, skip: [x, skip], "bilinear")), "nearest neighbour"),
    ("06.d", block(once), "that is one convolution"),
    ("06.d", block(lambda self, x, skip: x), "it gives (2, 5, 3, 3); expected"),
    ("06.d", block(lambda self, x, skip: torch.cat([x, skip], dim=1)), "failed with RuntimeError"),
    (
        "06.d",
        lambda below, skip, out: nn.Conv2d(below, out, 1),
        "DecoderBlock(5, 3, 4) has 24 parameters, expected 448",
    ),
    ("06.e", type("Mine", (ReferenceUNet,), {}), "right. With the default widths it has 5,191,907 parameters."),
    ("06.e", WrongSkips, "its skip has 112 channels"),
    ("06.e", WithoutHead, "it gives (1, 4, 32, 32); expected (1, 3, 64, 64)"),
    ("06.e", Doubled, "other results"),
    ("06.e", Unfinished, "below '✎ through the blocks, then the head' and run"),
    ("06.e", lambda widths: [widths], "expected an nn.Module"),
    ("06.f", modes(frozen_norms), "right."),
    ("06.f", modes(frozen_modules), "right."),
    ("06.f", frozen_norms, "still in eval mode"),
    ("06.f", modes(lambda network: None), f"{STEM} gets no gradient, but still updates its running averages"),
    ("06.f", modes(lambda network: network.encoder.eval()), "encoder.blocks.0.1 is trained, but is in eval mode"),
    ("06.f", modes(unfreeze), "gets a gradient again"),
    ("06.g", by_name, "right."),
    ("06.g", lambda network, rate, scale: [{"params": network.parameters(), "lr": rate}], "instead of 0.0001"),
    ("06.g", regrouped(lambda network, groups: groups[::-1]), "right."),
    ("06.g", regrouped(lambda network, groups: groups[:1]), "never be trained"),
    ("06.g", regrouped(lambda network, groups: [{**g, "lr": 1e-7 / g["lr"]} for g in groups]), "instead of"),
    ("06.g", regrouped(lambda n, groups: [*groups, {"params": n.head.parameters(), "lr": 1}]), "in two groups"),
    ("06.g", lambda network, rate, scale: list(network.parameters()), "list of dictionaries"),
    (
        "06.g",
        lambda n, rate, scale: [
            {"params": n.encoder.parameters(), "lr": rate * scale},
            {"params": [*n.decoder.parameters(), *n.head.parameters()], "lr": rate},
        ],
        "is frozen and belongs in no group",
    ),
    ("06.h", by_sgd, "right."),
    ("06.h", lambda network, optimizer, x, y: 1.0, "losses or weights"),
    ("06.h", lambda network, optimizer, x, y: (1.0, x), "expected one number, but got tuple"),
    ("06.i", numpy_paired, "right."),
    ("06.j", lambda b, a: np.linalg.norm(np.array([0, 3, 0, 0, 4, 0])) / 13, "right."),
    ("06.k", lambda logits, chosen: sum(float(torch.softmax(logits, -1)[i]) for i in chosen), "right."),
    ("06.1", decayed, "right."),
    ("06.1", lambda *answer: decayed(*answer, first=0), "with rate 0.001 and decay 0.5, "),
    ("06.1", flat, "gets 0.001 instead of"),
    ("06.1", from_the_stem, "instead of"),
    ("06.1", lambda network, frozen, rate, decay: decayed(network, 0, rate, decay), "still gets a gradient"),
    ("06.1", lambda network, frozen, rate, decay: decayed(network, 3, rate, decay), "is in no frozen stage"),
    ("06.1", lambda network, frozen, rate, decay: decayed(network, frozen, rate, decay)[1:], "in no group"),
    ("06.1", lambda network, frozen, rate, decay: ..., "still to do"),
    (
        "06.2",
        (8, {0: 0.5, 4: 0.6, 8: 0.55}),
        "right. Mean IoU by frozen stages: 0 0.500, 4 0.600, 8 0.550. Largest: 4, you",
    ),
    ("06.2", (..., ...), "still to do"),
    ("06.2", (9, {0: 0.5, 4: 0.6, 8: 0.55}), "expected one of 0, 1, 2"),
    ("06.2", (4, {0: 0.5, 8: 0.55}), "at least three"),
    ("06.2", (4, {0: 0.5, 4: ..., 8: 0.55}), "between 0 and 1"),
    ("06.2", (np.arange(2), {0: 0.5, 4: 0.6, 8: 0.55}), "expected one of 0, 1, 2"),
    ("06.2", (4, {0: 0.5, 4: 60, 8: 0.55}), "between 0 and 1"),
    ("06.2", (4, {0: 0.5, 4: 0.5, 8: 0.5}), "all scores are equal"),
]
