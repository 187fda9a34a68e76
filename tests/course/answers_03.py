"""Right answers to the gaps and exercises of notebook 03, and usual mistakes with words of their hints."""

import pandas as pd
import torch
import torch.nn.functional as F

from petseg.course import lesson_03
from petseg.course import lesson_03_loops as loops
from petseg.metrics.confusion import class_map, confusion_matrices, mean_iou
from petseg.training.loss import soft_dice_loss


def table(val, train=None):
    epochs = range(1, len(val) + 1)
    return pd.DataFrame({"train loss": train or [0.1] * len(val), "val loss": val}, index=epochs)


TURNS = table([1.0, 0.8, 0.6, *[0.7] * 20])


def task(**methods):
    return type("Task", (loops._PetTask,), methods)


def adam(self):
    optimizer = torch.optim.Adam(self.parameters(), self.rate)
    return optimizer


def step(network, optimizer, image, mask):
    optimizer.zero_grad(set_to_none=False)
    loss = F.cross_entropy(network(loops.normalise(image)), mask)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), max_norm=1)
    optimizer.step()
    return loss.detach()


def early(network, optimizer, image, mask):
    loss = F.cross_entropy(network(loops.normalise(image)), mask)
    optimizer.zero_grad()
    optimizer.step()
    loss.backward()
    return loss.item()


def with_gradients(network, loader):
    network.eval()
    images, loss, matrix = 0, 0.0, 0
    for image, mask, _ in loader:
        logits = network(loops.normalise(image / 255))
        images, loss = images + len(mask), loss + len(mask) * F.cross_entropy(logits, mask.long()).item()
        matrix = matrix + confusion_matrices(class_map(logits), mask).sum(dim=0)
    return {"val loss": loss / images, "val mean IoU": mean_iou(matrix)}


def by_loop(logits, target):
    losses = [
        -torch.log_softmax(z[:, i, j], 0)[t[i, j]]
        for z, t in zip(logits, target, strict=True)
        for i in range(2)
        for j in range(4)
    ]
    return sum(losses) / len(losses)


def by_class(logits, target):
    p, dice = logits.softmax(1), []
    for label in target.unique():
        true = (target == label).float()
        dice.append(2 * (p[:, label] * true).sum() / (p[:, label] + true).sum())
    return 1 - sum(dice) / len(dice)


CASES = [
    ("03.a", by_loop, "right."),
    ("03.a", lambda z, t: F.cross_entropy(z, t).item(), "it has no gradient"),
    ("03.c", lambda *case: (*lesson_03._adamw(*case)[:2], case[3]), "expected"),  # the old v
    ("03.a", lambda z, t: F.nll_loss(z.log_softmax(1), t), "right."),
    ("03.b", lambda w, x, t: (F.cross_entropy((w @ x)[None], torch.tensor([t])), 0), "expected"),
    ("03.d", step, "right."),
    ("03.d", lambda *a: ..., "still to do"),
    ("03.d", early, "no weight has changed"),
    ("03.d", lambda *a: (step(*a), None), "expected one number"),
    ("03.d", lambda *a: 0.0, "after three steps"),
    ("03.d", lambda *a: torch.tensor(float(step(*a)), requires_grad=True), "Return `loss.item()`"),
    ("03.e", lambda n, loader: {name: torch.tensor(x) for name, x in loops._validate(n, loader).items()}, "right."),
    ("03.e", lambda *a: loops._validate(*a, bug="train"), "running statistics"),
    ("03.e", with_gradients, "`no_grad`"),
    ("03.e", lambda n, loader: 0.5, "expected a dictionary"),
    ("03.e", lambda n, loader: {"val loss": 1.0, "val mean IoU": 0.5}, "expected loss and mean IoU"),
    ("03.i", lambda *a: 0.5, "trains in another way"),
    ("03.j", task(configure_optimizers=adam), "after six steps"),
    ("03.j", task(configure_optimizers=lambda self: 3), "failed with"),
    ("03.1", by_class, "right."),
    ("03.1", lambda z, t: soft_dice_loss(z, t).item(), "has no gradient"),
    ("03.1", lambda z, t: soft_dice_loss(z, t) * torch.ones(3), "but got ["),
    ("03.1", lambda z, t: z.sum(), "expected 0."),
    ("03.1", lambda z, t: ..., "still to do"),
    ("03.2", (5, TURNS), "right. Validation turns after epoch 3 of 23; you predicted 5. It then rises by 0.10."),
    ("03.2", (..., ...), "still to do"),
    ("03.2", (5, ...), "still to do"),
    ("03.2", ("soon", TURNS), "expected an epoch"),
    ("03.2", (5, [1, 2]), "columns `train loss`"),
    ("03.2", (5, TURNS.head(10)), "at least 20"),
    ("03.2", (5, table([1 / (n + 1) for n in range(30)])), "not turned yet"),
    ("03.2", (5, table([1.0, 0.5, *[0.7] * 20], [0.9] * 22)), "not the lower one"),
]
