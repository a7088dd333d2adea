import itertools
from decimal import Decimal

import pytest

from assistant.schema.number import NEVER, Number

BYTES = b"-0123456789."


def written(number: Number, most: int) -> dict[str, bool]:
    """Return everything that may be written in so many bytes, and whether it is whole."""
    found: dict[str, bool] = {}
    texts = [""]
    for _ in range(most):
        following = []
        for text, byte in itertools.product(texts, BYTES):
            if number.step(text, byte) is not None:
                following.append(text + chr(byte))
                found[following[-1]] = number.is_done(following[-1])
        texts = following
    return found


@pytest.mark.parametrize("bounds", [(0, 0), (-3, 12), (7, 130), (-120, -95), (1000, 1000)])
def test_whole_numbers_are_exactly_those_within_the_bounds(bounds: tuple[int, int]) -> None:
    low, high = bounds
    found = written(Number(0, low, high), 5)
    whole = {text for text, is_whole in found.items() if is_whole}
    assert whole - {"-0"} == {str(n) for n in range(low, high + 1)}


def test_nothing_may_be_written_that_leads_nowhere() -> None:
    found = written(Number(0, 95, 104), 3)
    assert set(found) == {"9", "1", "10", *map(str, range(95, 105))}


@pytest.mark.parametrize("bounds", [(-12, 34), (5, 5), (99, 120)])
def test_decimals_are_exactly_those_within_the_bounds(bounds: tuple[int, int]) -> None:
    low, high = bounds  # in tenths
    found = written(Number(1, low, high), 5)
    whole = {Decimal(text) for text, is_whole in found.items() if is_whole}
    assert whole == {Decimal(tenths) / 10 for tenths in range(low, high + 1)}


@pytest.mark.parametrize("number", [Number(0), Number(2, -150, 2050), Number(1, 5, 5)])
def test_one_byte_always_leads_one_byte_nearer_to_the_end(number: Number) -> None:
    texts = [""]
    for _ in range(4):
        following = [
            t + chr(b) for t in texts for b in BYTES if number.step(t, b) is not None
        ]
        for text in texts:
            left = number.left(text)
            assert left < NEVER
            lefts = [
                number.left(text + chr(b))
                for b in BYTES
                if number.step(text, b) is not None
            ]
            assert left == 0 or min(lefts) == left - 1
        texts = following[:200]


def test_bounds_that_leave_no_number_are_never_met() -> None:
    assert Number(0, 5, 4).fewest == NEVER
    assert Number(0, 5, 4).step("", ord("5")) is None


def test_without_bounds_numbers_of_one_shape_are_one_state() -> None:
    number = Number(6)

    def after(text: str) -> object:
        local = number.start
        for byte in text.encode():
            following = number.step(local, byte)
            assert following is not None
            local = str(following)
        return local

    assert after("-100.25") == after("-987.01")
    assert len({after(text) for text in ("0", "-0", "1", "10", "1.5", "0.5")}) == 6
