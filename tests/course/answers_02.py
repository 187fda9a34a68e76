"""Right answers to the gaps and exercises of notebook 02, and usual mistakes with words of their hints."""

import torch
import torch.nn.functional as F
from torch import nn

from petseg.models.unet import DoubleConv, UNet


class Stage(nn.Module):
    """A right answer; the wrong ones below each change one thing."""

    mode = "bilinear"

    def __init__(self, below, out):
        super().__init__()
        self.narrow = self.narrowing(below, out)
        self.convolutions = DoubleConv(2 * out, out)

    def narrowing(self, below, out):
        return nn.Conv2d(below, out, kernel_size=1)

    def raised(self, x):
        return self.narrow(F.interpolate(x, scale_factor=2, mode=self.mode))

    def forward(self, x, skip):
        return self.convolutions(torch.cat([skip, self.raised(x)], dim=1))


class Transposed(Stage):
    def narrowing(self, below, out):
        return nn.ConvTranspose2d(below, out, 2, stride=2)

    def raised(self, x):
        return self.narrow(x)


class Wide(Stage):
    def narrowing(self, below, out):
        return nn.Conv2d(below, out, kernel_size=3, padding=1)


class Late(Stage):
    def __init__(self, below, out):
        super().__init__(below, out)
        self.narrow, self.convolutions = nn.Conv2d(below + out, out, 1), DoubleConv(out, out)

    def forward(self, x, skip):
        x = F.interpolate(x, scale_factor=2, mode="bilinear")
        return self.convolutions(self.narrow(torch.cat([skip, x], dim=1)))


class Nearest(Stage):
    mode = "nearest"


class Unfilled(Stage):
    def forward(self, x, skip): ...


class Layerless(Stage):
    def __init__(self, below, out):
        super().__init__(below, out)
        ...  # your layers


def changed(forward):
    return type("Changed", (Stage,), {"forward": forward})


def narrow_first(self, x, skip):
    x = F.interpolate(self.narrow(x), scale_factor=2, mode="bilinear")
    return self.convolutions(torch.cat([skip, x], dim=1))


def aligned(self, x, skip):
    x = F.interpolate(self.narrow(x), scale_factor=2, mode="bilinear", align_corners=True)
    return self.convolutions(torch.cat([x, skip], dim=1))


def without_skip(self, x, skip):
    return self.convolutions(torch.cat([0 * skip, self.raised(x)], dim=1))


def without_below(self, x, skip):
    return self.convolutions(torch.cat([skip, 0 * skip], dim=1))


WRONG_STAGES = {
    "transposed convolution": Transposed,
    "kernels of [3, 3, 3]": Wide,
    "its input is x alone": Late,
    "mode='bilinear'": Nearest,
    "still to do": Unfilled,
    "in place of the `...` and run": Layerless,
    "does not depend on the skip": changed(without_skip),
    "does not depend on x": changed(without_below),
    "gives (2, 3, 6, 7); expected (2, 3, 12, 14)": changed(lambda self, x, skip: self.narrow(x)),
    "expected an nn.Module": lambda below, out: [below, out],
    "failed with RuntimeError": changed(lambda self, x, skip: self.convolutions(torch.cat([skip, x], dim=1))),
}


class Block(nn.Sequential):
    """DoubleConv with a change."""

    def __init__(self, i, o, separable=False, bias=False, padding=1, middle=None):
        if separable:
            super().__init__(*DoubleConv(i, o, True))
            return
        middle = middle or o
        super().__init__(
            *(nn.Conv2d(i, middle, 3, padding=padding, bias=bias), nn.BatchNorm2d(middle), nn.ReLU()),
            *(nn.Conv2d(middle, o, 3, padding=padding, bias=bias), nn.BatchNorm2d(o), nn.ReLU()),
        )


class WithoutReLU(nn.Sequential):
    def __init__(self, i, o):
        super().__init__(*(layer for layer in Block(i, o) if not isinstance(layer, nn.ReLU)))


class Gap(nn.Sequential):
    def __init__(self, i, o):
        super().__init__(
            # ✎ a hint
            ...
        )


def concatenating(join):
    """A U-Net whose decoder joins its input and the skips in another way."""

    def forward(self, x):
        skips = []
        for stage in self.encoder:
            skips.append(stage(x))
            x = self.pool(skips[-1])
        x = self.bottleneck(x)
        for up, stage in zip(self.up, self.decoder, strict=True):
            x = stage(torch.cat(join(up(x), skips), dim=1))
        return self.head(x)

    return type("Joined", (UNet,), {"forward": forward})


class Probabilities(UNet):
    def forward(self, x):
        return super().forward(x).softmax(dim=1)


class Unfinished(UNet):
    def forward(self, x):
        # ✎ the encoder: each stage
        for stage in self.encoder:
            x = self.pool(stage(x))

        x = self.bottleneck(x)
        # ✎ the decoder: each stage
        ...
        return self.head(x)


def separable(*layers):
    return lambda i, o, separable: [layer(i, o) for layer in layers]


def depthwise(i, o):
    return nn.Conv2d(i, i, 3, padding=1, groups=i, bias=False)


def pointwise(i, o):
    return nn.Conv2d(i, o, 1, bias=False)


def valid_of_three(image, kernel):
    h, w = kernel.shape
    patches = image.unfold(0, 3, 1).unfold(1, 3, 1)  # for kernels of 3x3 alone
    return (patches[..., :h, :w] * kernel).sum(dim=(2, 3))


def flipped_block(image, kernel):
    return F.conv_transpose2d(image[None, None], kernel.flip(0, 1)[None, None], stride=2)[0, 0]


def field(layers, widening):
    size, step = 1, 1
    for kernel, stride in layers:
        size += widening(kernel) * step
        step *= stride
    return size


SCORES = ([0.8, 0.9, 0.5], torch.tensor([0.7, 0.85, 0.2]))
LOST = "right. Lost without skips: pet +0.100, background +0.050, boundary +0.300. Largest: boundary,"

CASES = [
    ("02.c", separable(depthwise, pointwise), "right."),
    ("02.c", separable(lambda i, o: nn.Conv2d(i, i, 3, padding=1, bias=False), pointwise), "0.weight has the shape"),
    ("02.c", separable(depthwise, lambda i, o: nn.Conv2d(i, o, 1)), "Do its convolutions have a bias?"),
    ("02.c", separable(depthwise), "there is no 1.weight"),
    ("02.c", lambda i, o, separable: depthwise(i, o), "a list of nn.Conv2d"),
    ("02.d", Block, "right."),
    ("02.d", Gap, "still to do"),
    ("02.d", lambda i, o: Block(i, o, bias=True), "Do its convolutions have a bias?"),
    ("02.d", lambda i, o: Block(i, o, padding=0), "expected (2, 4, 8, 8)"),
    ("02.d", lambda i, o: Block(i, o, middle=2), "has the shape"),
    ("02.d", WithoutReLU, "no more than one"),
    ("02.d", lambda i, o, separable=False: Block(i, o), "Pass `separable` on"),
    ("02.d", lambda *settings: nn.Sequential(*list(DoubleConv(*settings))[:-1]), "Its last layer is a ReLU"),
    ("02.g", lambda i, n, channels, separable=False: UNet(i, n, channels), "separable=True"),
    ("02.d", lambda i, o: nn.Sequential(*reversed(Block(i, o))), "as many parameters as expected, but elsewhere"),
    ("02.d", lambda i, o: nn.Sequential(*list(Block(i, o))[:2], *list(Block(o, o))[:3]), "such as ReLU, missing or"),
    (
        "02.g",
        type("Mine", (UNet,), {}),
        "right. With the released weights, your network equals the released one, bit for bit.",
    ),
    ("02.g", concatenating(lambda x, skips: [x, skips.pop()]), "concatenate the skip first"),
    ("02.g", concatenating(lambda x, skips: [skips.pop(0), x]), "failed with RuntimeError"),
    ("02.g", Probabilities, "other results"),
    ("02.g", lambda i=3, n=3, *settings: UNet(i, 3, *settings), "head.weight has the shape"),
    ("02.a", valid_of_three, "expected"),
    ("02.f", flipped_block, "expected"),
    ("02.i", lambda layers: field(layers, lambda kernel: kernel), "widens the field by k - 1"),
    ("02.g", Unfinished, "below '✎ the decoder: each stage' and run"),
    ("02.i", lambda layers: sum(kernel - 1 for kernel, _ in layers), "for [[3, 1], [3, 1]] expected 5, but got 4."),
    ("02.i", lambda layers: 1 + 2 * len(layers), "for [[2, 2], [3, 1]] expected 6, but got 5."),
    ("02.a", lambda image, kernel: torch.zeros(2, 3), "but got [[0., 0., 0.], [0., 0., 0.]]"),
    *(("02.1", answer, "right.") for answer in (Stage, changed(narrow_first), changed(aligned))),
    *(("02.1", answer, hint) for hint, answer in WRONG_STAGES.items()),
    ("02.2", ("boundary", *SCORES), f"{LOST} as you predicted. One short"),
    ("02.2", ("pet", *SCORES), f"{LOST} you predicted pet. One short"),
    ("02.2", ("fur", *SCORES), "expected one of 'pet', 'background', 'boundary'"),
    ("02.2", ("pet", 0.7, SCORES[1]), "with skips: expected the IoU of the three classes"),
    ("02.2", ("pet", SCORES[0], [0.7, 0.8]), "without skips: expected the IoU of the three classes"),
    ("02.2", ("pet", [80, 90, 50], SCORES[1]), "three numbers from 0 to 1"),
    ("02.2", ("pet", SCORES[0], SCORES[0]), "the same scores"),
    ("02.2", ("pet", ..., ...), "still to do"),
]
