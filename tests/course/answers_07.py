"""Right answers to the gaps and exercises of notebook 07, and usual mistakes with words of their hints."""

import numpy as np
import torch
from scipy import stats

from petseg.course import lesson_07
from petseg.evaluation.corruptions import flattened


def simulated(factor=None, single=False, groups=2):
    """An answer to exercise 1 that simulates 20,000 experiments."""

    def power(effect, deviation, runs):
        scores = np.random.default_rng(0).normal(0, deviation, size=(20_000, 2, runs))
        s = np.sqrt(scores.var(axis=2, ddof=1).mean(axis=1))
        limit = (factor or stats.t.ppf(0.975, 2 * runs - 2)) * s * np.sqrt(2 / runs)
        means = scores.mean(axis=2)
        other = scores[:, 1, 0] if single else means[:, 1]
        return (np.abs(other + effect - means[:, 0]) > limit).mean()

    return power


def confidence(sign=1, changed=True, relabelled=True, scale=1.0):
    """An answer to exercise 2 about a network that is sure of class 0 where the image is bright."""
    image = torch.full((1, 3, 4, 4), 200, dtype=torch.uint8)
    image[..., 0] = 20
    mask = (image[:, 0] < 100).to(torch.uint8)

    def overconfidence(change):
        other, target = change(image, mask)
        pixels = (other if changed else image).float().mean(dim=1) / 255
        sure = 0.5 + (pixels - 0.5).abs()
        right = ((pixels < 0.5) == (target if relabelled else mask)).float()
        return scale * sign * float(sure.mean() - right.mean())

    return overconfidence


def swapped_in_place(first, second, swap):
    first[swap], second[swap] = second[swap], first[swap]
    return lesson_07._difference(first, second, slice(None))


def cut_off(image, contrast):
    mean = image.float().mean(dim=(1, 2, 3), keepdim=True)
    return (mean + contrast * (image - mean)).to(torch.uint8)


def best(dominates):
    def undominated(scores, costs):
        n = range(len(scores))
        return [not any(dominates(scores[j], scores[i], costs[j], costs[i]) for j in n if j != i) for i in n]

    return undominated


CASES = [
    ("07.i", lambda p, target: -p.gather(1, target[:, None]).log().mean(), "failed with RuntimeError"),
    ("07.h", lambda p, temperature: p.log_().div_(temperature).softmax(1), "changes what it is given"),
    ("07.a", lambda x: stats.t.ppf(0.975, len(x) - 1) * stats.sem(x) * (len(x) + 1) ** 0.5, "right."),
    ("07.e", lambda first, second, swap: 0.0, "expected"),
    ("07.e", swapped_in_place, "changes what it is given"),
    ("07.j", lambda image, contrast: image.float(), "expected"),
    ("07.j", lambda image, contrast: flattened(image, contrast).float(), "Return torch.uint8"),
    ("07.j", cut_off, "Round first"),
    ("07.k", best(lambda s, score, c, cost: s >= score and c <= cost), "equal networks do not dominate"),
    ("07.k", best(lambda s, score, c, cost: s > score and c <= cost), "with an equal score and a lower cost dominates"),
    ("07.k", lambda scores, costs: [True] * len(scores), "expected"),
    ("07.1", simulated(), "right. To find 1 point with a deviation of 0.42 in 80 % of experiments takes 4 runs"),
    ("07.1", lambda *case: 1 - simulated()(*case), "missing it"),
    (
        "07.1",
        lambda *case: simulated()(*case) / (1 if case[0] else 2),
        "0.03, expected 0.05. The means may differ in either direction",
    ),
    ("07.1", lambda effect, deviation, runs: 0.0, "in 5 % of all experiments"),
    ("07.1", simulated(factor=1.96), "the quantile of t"),
    ("07.1", simulated(single=True), "Draw the scores of both recipes at random"),
    ("07.1", lambda effect, deviation, runs: [1], "expected"),
    ("07.2", ("noise", confidence()), "right. Undamaged"),
    ("07.2", ("fog", confidence()), "predict first"),
    ("07.2", ("noise", confidence(sign=-1)), "not the other way round"),
    ("07.2", ("noise", confidence(relabelled=False)), "score the masks that `change` returns"),
    ("07.2", ("noise", confidence(scale=100)), "between -1 and 1"),
    ("07.2", ("noise", confidence(changed=False)), "Give the changed images"),
]
