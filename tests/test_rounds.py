import pytest

from tests.conftest import HYPOTHESIS_FEW, is_short
from tests.rounds import rounds


def test_a_run_without_parity_tries_a_few_times_and_parity_often() -> None:
    mark = rounds(3, 500).mark
    name, (few, many) = mark.args
    assert (name, few) == ("rounds", 3)
    assert many.values == (500,)
    assert [mark.name for mark in many.marks] == ["parity"]


@pytest.mark.parametrize(
    ("expression", "short"),
    [
        ("not parity and not service", True),
        ("not gpu and not weights", False),
        ("parity", False),
        ("", False),
    ],
)
def test_only_a_run_that_leaves_parity_out_is_short(expression: str, short: bool) -> None:
    assert is_short(expression) is short
    assert HYPOTHESIS_FEW < 100
