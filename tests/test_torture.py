"""The torture table in short; `make torture` tries all cases."""

import pytest
from torture import Skipped, Tally, refused
from torture.__main__ import kinds

pytestmark = pytest.mark.slow

KINDS = kinds()


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_no_case_of_the_torture_table_is_lost(kind):
    try:
        row = KINDS[kind]("short")
    except Skipped as reason:
        pytest.skip(str(reason))
    assert row["tried"] > 0
    assert row["lost_cases"] == []


def test_a_case_is_lost_if_it_fails_or_takes_too_long():
    tally = Tally()
    with tally.case("right", seconds=5):
        pass
    with tally.case("wrong"):
        raise ZeroDivisionError("by zero")
    with tally.case("slow", seconds=0):
        pass
    with tally.case("silent"):
        refused(lambda: None, "no such file")
    row = tally.row()
    assert (row["tried"], row["lost"]) == (4, 3)
    assert row["lost_cases"][0] == "wrong: ZeroDivisionError: by zero"
    assert row["lost_cases"][1].startswith("slow: took")
    assert row["lost_cases"][2].startswith("silent: AssertionError: done without a word")
