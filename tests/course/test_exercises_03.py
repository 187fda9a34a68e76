import pytest
import torch
import torch.nn.functional as F

from petseg import course


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


def first_rows(index, matrices):
    return matrices[: len(index.unique())].sum(0)


def by_index(index, matrices):
    return sum(dict(zip(index.tolist(), matrices, strict=True)).values())


ONCE = {
    "right": (by_index, "right."),
    "all": (lambda p, m: m.sum(0), "counts twice"),
    "first rows": (first_rows, "anywhere"),
    "mean": (lambda p, m: by_index(p, m) / len(p.unique()), "mean matrix"),
    "unpooled": (lambda p, m: m, "one 3x3 matrix"),
    "index as rows": (lambda p, m: m[p.unique() % len(m)].sum(0) + 1, "missing or counts too often"),
}


def cases(number, answers):
    return [pytest.param(number, *case, id=f"{number}-{name}") for name, case in answers.items()]


@pytest.mark.parametrize(
    ("number", "answer", "said"), [*cases("03.1", WEIGHTED), *cases("03.2", COST), *cases("03.3", ONCE)]
)
def test_right_answers_pass_and_wrong_ones_get_the_hint_that_fits(number, answer, said, capsys):
    assert bool(course.check(number, answer)) == (said == "right.")
    assert said in capsys.readouterr().out


def test_an_answer_may_use_another_number_type():
    assert course.check("03.3", lambda p, m: by_index(p, m).double())
    assert course.check("03.1", lambda z, t, w: F.cross_entropy(z, t, weight=w).item())
    assert course.check("03.2", lambda s, f: torch.tensor(COST["right"][0](s, f)))
