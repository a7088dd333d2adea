"""
Numbers within bounds, digit by digit: which characters may still come.

Values are integers in units of the last decimal, so that bounds are met exactly.
"""

import re
from collections.abc import Hashable, Iterator
from functools import lru_cache

NEVER = 10**9
"""Bytes to complete what cannot be completed."""

MAX_WHOLE_DIGITS = 15
"""More would not survive a float64."""


class Number:
    """A decimal number; bounds are inclusive, in units of the last of its decimals."""

    def __init__(
        self, decimals: int, low: int | None = None, high: int | None = None
    ) -> None:
        greatest = 10 ** (MAX_WHOLE_DIGITS + decimals) - 1
        self._bounds = (
            -greatest if low is None else max(low, -greatest),
            greatest if high is None else min(high, greatest),
            decimals,
        )
        self._is_bounded = low is not None or high is not None
        self.start = ""
        fewest = _digits_left("", *self._bounds)
        self.fewest = NEVER if fewest is None else fewest

    def step(self, local: Hashable, byte: int) -> Hashable | None:
        text = f"{local}{chr(byte)}"
        if _digits_left(text, *self._bounds) is None:
            return None
        return text if self._is_bounded else _shape(text)

    def is_done(self, local: Hashable) -> bool:
        return self.left(local) == 0

    def goes_on(self, local: Hashable) -> bool:
        # Where no digit may come this reading dies with the next byte, and harms nobody.
        return True

    def left(self, local: Hashable) -> int:
        left = _digits_left(str(local), *self._bounds)
        return NEVER if left is None else left


def _shape(text: str) -> str:
    """Return what matters of a number without bounds: how many digits it has."""
    whole, point, fraction = text.partition(".")
    if whole not in ("0", "-0"):
        whole = re.sub(r"\d", "1", whole)
    return f"{whole}{point}{'1' * len(fraction)}"


_NUMBER = re.compile(r"(?a:(-?)(0|[1-9]\d*|)(?:\.(\d*))?)")


@lru_cache(100_000)
def _digits_left(text: str, low: int, high: int, decimals: int) -> int | None:
    """
    Return the fewest characters that make a number within the bounds out of ``text``.

    None when no number of the language begins like this.
    """
    match = _NUMBER.fullmatch(text)
    if match is None:
        return None
    sign, whole, fraction = match.groups()
    if fraction is not None and (not whole or not decimals or len(fraction) > decimals):
        return None
    best = NEVER
    if not text:
        negative = _digits_left("-", low, high, decimals)
        best = NEVER if negative is None else negative + 1
    if sign:
        low, high = -high, -low
    for more, first, size in _spans(whole, fraction, decimals):
        for extra, unit in _fractions(fraction, decimals):
            if more + extra >= best:
                break  # both only grow
            if -(-max(low, first) // unit) * unit <= min(high, first + size - 1):
                best = more + extra
        if more >= best:
            break
    return None if best == NEVER else best


def _spans(
    whole: str, fraction: str | None, decimals: int
) -> Iterator[tuple[int, int, int]]:
    """Yield (further digits before the point, least value, number of values)."""
    scale = 10**decimals
    if fraction is not None:
        unit = 10 ** (decimals - len(fraction))
        yield 0, int(whole) * scale + int(fraction or 0) * unit, unit
    elif whole == "0":
        yield 0, 0, scale
    elif not whole:
        yield 1, 0, scale
        for more in range(1, MAX_WHOLE_DIGITS + 1):
            yield more, 10 ** (more - 1) * scale, 9 * 10 ** (more - 1) * scale
    else:
        for more in range(MAX_WHOLE_DIGITS - len(whole) + 1):
            yield more, int(whole) * 10**more * scale, 10**more * scale


def _fractions(fraction: str | None, decimals: int) -> Iterator[tuple[int, int]]:
    """Yield (further characters from the point on, what the last of them counts)."""
    if fraction is None:
        yield 0, 10**decimals
        written = -1  # the point itself
    else:
        written = len(fraction)
        if written:
            yield 0, 10 ** (decimals - written)
    for digits in range(max(written, 0) + 1, decimals + 1):
        yield digits - written, 10 ** (decimals - digits)
