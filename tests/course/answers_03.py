"""Right answers to the exercises of notebook 03, and usual mistakes with words of their hints."""

import pandas as pd
import torch
import torch.nn.functional as F

from petseg.training.loss import soft_dice_loss


def each(logits, target):
    return F.cross_entropy(logits, target, reduction="none")


WEIGHTED = {
    "right": (lambda z, t, w: (w[t] * each(z, t)).sum() / w[t].sum(), "right."),
    "the library's": (lambda z, t, w: F.cross_entropy(z, t, weight=w), "right."),
    "per pixel": (lambda z, t, w: w[t] * each(z, t), "one number"),
    "over pixels": (lambda z, t, w: (w[t] * each(z, t)).mean(), "number of pixels"),
    "unweighted": (lambda z, t, w: each(z, t).mean(), "change nothing"),
    "over weights": (lambda z, t, w: (w[t] * each(z, t)).sum() / w.sum(), "How often"),
    "sum": (lambda z, t, w: (w[t] * each(z, t)).sum(), "that is a sum"),
    "sign": (lambda z, t, w: -(w[t] * each(z, t)).sum() / w[t].sum(), "sign"),
    "else": (lambda z, t, w: each(z, t).max(), "is right"),
    "breaks": (lambda z, t, w: w[z], "failed with"),
    "unfilled": (lambda z, t, w: ..., "still to do"),
}


def ends(starts):
    return [*starts[1:], 1.0]


COST = {
    "right": (lambda s, f: sum((e - b) * a * a for a, b, e in zip(s, f, ends(f), strict=True)), "right."),
    "linear": (
        lambda s, f: sum((e - b) * a for a, b, e in zip(s, f, ends(f), strict=True)),
        "what fraction of the pixels",
    ),
    "last missing": (lambda s, f: sum((e - b) * a**2 for a, b, e in zip(s, f, f[1:], strict=False)), "last stage"),
    "speed-up": (lambda s, f: 1 / sum((e - b) * a * a for a, b, e in zip(s, f, ends(f), strict=True)), "cheaper"),
    "equal stages": (lambda s, f: sum(a * a for a in s) / len(s), "not equally long"),
    "starts": (lambda s, f: 1 + sum(b * a * a for a, b in zip(s, f, strict=True)), "for each stage"),
}


def truth(t):
    return F.one_hot(t, 3).movedim(-1, 1).float()


def dice(p, t, over=(0, 2, 3), power=1):
    return 2 * (p * truth(t)).sum(over) / (p**power + truth(t)).sum(over)


def occurs(t):
    return truth(t).sum((0, 2, 3)) > 0


def hard(z):
    return truth(z.argmax(1))


DICE = {
    "right": (lambda z, t: 1 - dice(z.softmax(1), t)[occurs(t)].mean(), "right."),
    "the package's": (soft_dice_loss, "right."),
    "score": (lambda z, t: dice(z.softmax(1), t)[occurs(t)].mean(), "must fall as the prediction improves"),
    "argmax": (lambda z, t: 1 - dice(hard(z), t)[occurs(t)].mean(), "argmax has no gradient"),
    "absent class": (lambda z, t: 1 - dice(z.softmax(1), t).mean(), "does not occur"),
    "per image": (lambda z, t: 1 - dice(z.softmax(1), t, (2, 3))[:, occurs(t)].mean(), "average over images"),
    "squares": (lambda z, t: 1 - dice(z.softmax(1), t, power=2)[occurs(t)].mean(), "squares"),
    "half": (lambda z, t: 1 - dice(z.softmax(1), t)[occurs(t)].mean() / 2, "factor 2"),
    "logits": (lambda z, t: 1 - dice(z, t)[occurs(t)].mean(), "These are logits".lower()),
    "no gradient": (lambda z, t: soft_dice_loss(z, t).item(), "has no gradient"),
    "per class": (lambda z, t: 1 - dice(z.softmax(1), t), "one number"),
    "else": (lambda z, t: z.sum(), "is right"),
    "unfilled": (lambda z, t: ..., "still to do"),
}


def table(val, train=None):
    epochs = range(1, len(val) + 1)
    return pd.DataFrame({"train loss": train or [0.1] * len(val), "val loss": val}, index=epochs)


TURNS = table([1.0, 0.8, 0.6, *[0.7] * 20])

CASES = [
    *(("03.1", *case) for case in WEIGHTED.values()),
    ("03.1", lambda z, t, w: F.cross_entropy(z, t, weight=w).item(), "right."),
    *(("03.2", *case) for case in COST.values()),
    ("03.2", lambda s, f: torch.tensor(COST["right"][0](s, f)), "right."),
    ("03.2", lambda s, f: s, "expected one number"),
    *(("03.3", *case) for case in DICE.values()),
    ("03.4", (5, TURNS), "right. Validation turns after epoch 3 of 23; you predicted 5. It then rises by 0.10."),
    ("03.4", (..., ...), "still to do"),
    ("03.4", (5, ...), "still to do"),
    ("03.4", ("soon", TURNS), "expected an epoch"),
    ("03.4", (5, [1, 2]), "columns `train loss`"),
    ("03.4", (5, TURNS.head(10)), "at least 20"),
    ("03.4", (5, table([1 / (n + 1) for n in range(30)])), "not turned yet"),
    ("03.4", (5, table([1.0, 0.5, *[0.7] * 20], [0.9] * 22)), "not the lower one"),
]
