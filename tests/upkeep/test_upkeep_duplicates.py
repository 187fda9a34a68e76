"""The record of photos that the data set holds twice."""

import pytest

from petseg.course.record import published
from petseg.files import read_json


@pytest.fixture(scope="module")
def record():
    return read_json(published("duplicates.json"))


def test_two_annotators_agree_least_on_the_boundary_and_never_fully(record):
    value, low, high = record["agreement"]["mean_iou"]
    assert low < value < high < 1
    scores = {name: ends[0] for name, ends in record["agreement"].items()}
    assert scores["iou_boundary"] < scores["iou_pet"] < scores["iou_background"]
    assert value == pytest.approx((sum(scores.values()) - value) / 3, abs=1e-3)


def test_each_pair_is_listed_once_and_lies_above_the_threshold(record):
    pairs = [tuple(sorted(pair["names"])) for pair in record["pairs"]]
    assert len(set(pairs)) == len(pairs) > 0
    assert all(first != second for first, second in pairs)
    assert min(pair["correlation"] for pair in record["pairs"]) > record["threshold"]
