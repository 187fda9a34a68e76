"""The torture table in short; `make torture` tries all cases."""

import pytest
from torture import Skipped
from torture.__main__ import kinds

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
    if skipped := row.get("skipped"):
        pytest.skip(f"some cases were not tried: {', '.join(skipped)}")
