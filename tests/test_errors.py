import pytest

from petseg.errors import DataError, exit_with_sentence


@exit_with_sentence(stopped="stopped; call it again")
def main(outcome):
    """A command."""
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome


@pytest.mark.parametrize(
    ("outcome", "status", "sentence"),
    [
        (0, 0, ""),
        (2, 2, ""),
        (DataError("x.csv: not there. Fetch it."), 1, "petseg: x.csv: not there. Fetch it.\n"),
        (KeyboardInterrupt(), 130, "petseg: stopped; call it again\n"),
    ],
)
def test_a_command_ends_with_its_status_or_with_a_sentence(outcome, status, sentence, capsys):
    assert main(outcome) == status
    assert capsys.readouterr().err == sentence


def test_a_defect_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        main(ZeroDivisionError())


def test_a_decorated_command_keeps_its_name_and_its_description():
    assert (main.__name__, main.__doc__) == ("main", "A command.")
