import math

import numpy as np
import pytest

from petseg import course


def frozen(encoder):
    encoder.requires_grad_(False)
    return encoder.eval()


def spoilt(encoder):
    encoder[0].weight.data.zero_()
    return frozen(encoder)


FREEZE = {
    "right": (frozen, "right."),
    "no gradient only": (lambda e: e.requires_grad_(False), "BatchNorm in train mode"),
    "eval only": (lambda e: e.eval(), "still gets a gradient"),
    "untouched": (lambda e: e, "still gets a gradient"),
    "weights changed": (spoilt, "before any step"),
    "no module": (lambda e: frozen(e).state_dict(), "Return the encoder"),
    "returns nothing": (lambda e: None, "still to do"),
    "unfilled": (lambda e: ..., "still to do"),
}


def groups(network, rate, scale):
    learning = [(name, p) for name, p in network.named_parameters() if p.requires_grad]
    encoder = [p for name, p in learning if name.startswith("encoder.")]
    rest = [p for name, p in learning if not name.startswith("encoder.")]
    return [{"params": rest, "lr": rate}, {"params": encoder, "lr": rate * scale}]


RATES = {
    "right": (groups, "right."),
    "a group for each": (
        lambda n, r, s: [
            {"params": [p], "lr": r * (s if name.startswith("encoder.") else 1)}
            for name, p in n.named_parameters()
            if p.requires_grad
        ],
        "right.",
    ),
    "frozen too": (
        lambda n, r, s: [{"params": n.encoder.parameters(), "lr": r * s}, {"params": n.head.parameters(), "lr": r}],
        "is frozen",
    ),
    "decoder forgotten": (
        lambda n, r, s: [groups(n, r, s)[1], {"params": n.head.parameters(), "lr": r}],
        "decoder.bias is in no group",
    ),
    "swapped": (lambda n, r, s: [{**g, "lr": 1e-7 / g["lr"]} for g in groups(n, r, s)], "instead of"),
    "twice": (lambda n, r, s: [*groups(n, r, s), {"params": n.head.parameters(), "lr": r}], "in two groups"),
    "no groups": (lambda n, r, s: list(n.parameters()), "list of dictionaries"),
    "no rate": (lambda n, r, s: [{"params": n.parameters()}], "list of dictionaries"),
    "unfilled": (lambda n, r, s: ..., "still to do"),
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


def cases(number, answers):
    return [pytest.param(number, *case, id=f"{number}-{name}") for name, case in answers.items()]


@pytest.mark.parametrize(
    ("number", "answer", "said"), [*cases("06.1", FREEZE), *cases("06.2", RATES), *cases("06.3", NEEDED)]
)
def test_right_answers_pass_and_wrong_ones_get_the_hint_that_fits(number, answer, said, capsys):
    assert bool(course.check(number, answer)) == (said == "right.")
    assert said in capsys.readouterr().out
