"""Right answers to the gaps and exercises of notebook 03, and usual mistakes with words of their hints."""

import pandas as pd
import torch
import torch.nn.functional as F

from petseg.course import gaps_03, loops
from petseg.metrics.confusion import class_map, confusion_matrices, mean_iou
from petseg.training.loss import soft_dice_loss


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
    "per class": (lambda z, t: 1 - dice(z.softmax(1), t), "but got ["),
    "else": (lambda z, t: z.sum(), "expected 0."),
    "unfilled": (lambda z, t: ..., "still to do"),
}


def table(val, train=None):
    epochs = range(1, len(val) + 1)
    return pd.DataFrame({"train loss": train or [0.1] * len(val), "val loss": val}, index=epochs)


TURNS = table([1.0, 0.8, 0.6, *[0.7] * 20])


class Task(loops._PetTask):
    """A right answer; the wrong ones change one thing."""


def task(**methods):
    return type("Task", (Task,), methods)


def at_epochs(self):
    made = Task.configure_optimizers(self)
    made["lr_scheduler"]["interval"] = "epoch"
    return made


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


def bad_step(bug):
    return lambda *arguments: gaps_03._step(*arguments, bug=bug)


def bad_validate(bug):
    return lambda *arguments: loops._validate(*arguments, bug=bug)


def with_gradients(network, loader):
    network.eval()
    images, loss, matrix = 0, 0.0, 0
    for image, mask, _ in loader:
        logits = network(loops.normalise(image / 255))
        images, loss = images + len(mask), loss + len(mask) * F.cross_entropy(logits, mask.long()).item()
        matrix = matrix + confusion_matrices(class_map(logits), mask).sum(dim=0)
    return {"val loss": loss / images, "val mean IoU": mean_iou(matrix)}


def bugs(*left):
    return lambda *arguments: loops._repaired(*arguments, bugs=left)


def by_loop(logits, target):
    losses = [
        -torch.log_softmax(z[:, i, j], 0)[t[i, j]]
        for z, t in zip(logits, target, strict=True)
        for i in range(2)
        for j in range(4)
    ]
    return sum(losses) / len(losses)


CASES = [
    ("03.a", by_loop, "right."),
    ("03.a", lambda z, t: F.nll_loss(z.log_softmax(1), t), "right."),
    ("03.b", lambda w, x, t: (F.cross_entropy((w @ x)[None], torch.tensor([t])), 0), "expected"),
    ("03.d", step, "right."),
    ("03.d", lambda *a: ..., "still to do"),
    ("03.d", bad_step("kept"), "earlier steps are added"),
    ("03.d", bad_step("still"), "no weight has changed"),
    ("03.d", early, "no weight has changed"),
    ("03.d", bad_step("raw"), "normalised images"),
    ("03.d", bad_step("unclipped"), "not shortened"),
    ("03.d", lambda *a: 0.0, "after three steps"),
    ("03.e", loops._validate, "right."),
    ("03.e", lambda n, loader: {name: torch.tensor(x) for name, x in loops._validate(n, loader).items()}, "right."),
    ("03.e", bad_validate("train"), "running statistics"),
    ("03.e", bad_validate("means"), "mean of batch means"),
    ("03.e", bad_validate("single"), "Sum the confusion matrices"),
    ("03.e", bad_validate("raw"), "normalised images"),
    ("03.e", with_gradients, "`no_grad`"),
    ("03.e", lambda n, loader: 0.5, "expected a dictionary"),
    ("03.e", lambda n, loader: {"val loss": 1.0, "val mean IoU": 0.5}, "expected loss and mean IoU"),
    ("03.i", loops._repaired, "right."),
    ("03.i", bugs("eval"), "1 of 3 left: validation uses"),
    ("03.i", bugs("zero_grad", "twice"), "2 of 3 left: the gradients of all steps so far add up; the training images"),
    ("03.i", bugs("zero_grad", "eval", "twice"), "3 of 3 left"),
    ("03.i", lambda *a: 0.5, "trains in another way"),
    ("03.j", Task, "right."),
    ("03.j", task(bug="augment"), "not augmented"),
    ("03.j", task(bug="raw"), "normalised images"),
    ("03.j", task(bug="constant"), "stays constant"),
    ("03.j", task(configure_optimizers=at_epochs), '"interval" is "step"'),
    ("03.j", task(configure_optimizers=adam), "after six steps"),
    ("03.j", task(configure_optimizers=lambda self: 3), "failed with"),
    *(("03.1", *case) for case in DICE.values()),
    ("03.2", (5, TURNS), "right. Validation turns after epoch 3 of 23; you predicted 5. It then rises by 0.10."),
    ("03.2", (..., ...), "still to do"),
    ("03.2", (5, ...), "still to do"),
    ("03.2", ("soon", TURNS), "expected an epoch"),
    ("03.2", (5, [1, 2]), "columns `train loss`"),
    ("03.2", (5, TURNS.head(10)), "at least 20"),
    ("03.2", (5, table([1 / (n + 1) for n in range(30)])), "not turned yet"),
    ("03.2", (5, table([1.0, 0.5, *[0.7] * 20], [0.9] * 22)), "not the lower one"),
]
