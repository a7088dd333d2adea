"""How often a random test tries: a few times in the unit tests, often elsewhere."""

import pytest


def rounds(few: int, many: int) -> pytest.MarkDecorator:
    """
    Give a test its argument ``rounds``: ``few``, and under ``parity`` ``many``.

    What the unit tests leave out for the sake of their seconds is thus never left out of
    a run of everything. Tests of Hypothesis need nothing of the kind: how many examples
    they draw is decided in ``conftest.py``.
    """
    thorough = pytest.param(many, marks=pytest.mark.parity)
    return pytest.mark.parametrize("rounds", [few, thorough])
