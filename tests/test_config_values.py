import math
from typing import Annotated, Literal

import pytest

from assistant.config_values import Bounds, checked
from assistant.errors import ConfigError


@pytest.mark.parametrize(
    ("value", "hint", "expected"),
    [
        (3, int, 3),
        (3, float, 3.0),
        ("a", Literal["a", "b"], "a"),
        (["x", "y"], tuple[str, ...], ("x", "y")),
        (7, Annotated[int, Bounds(0, 7)], 7),
        (10**9, Annotated[int, Bounds(0)], 10**9),
    ],
)
def test_a_value_becomes_what_its_field_is(
    value: object, hint: object, expected: object
) -> None:
    found = checked("a.b", value, hint, "here")
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("value", "hint", "message"),
    [
        ("3", int, "here: a.b = '3', must be of type int"),
        (True, int, "here: a.b = True, must be of type int"),
        (True, float, "here: a.b = True, must be of type float"),
        ("c", Literal["a", "b"], "here: a.b = 'c', must be one of 'a', 'b'"),
        (["x", 1], tuple[str, ...], "here: a.b = ['x', 1], must be a list of strings"),
        (8, Annotated[int, Bounds(0, 7)], "here: a.b = 8, must be from 0 to 7"),
        (
            math.nan,
            Annotated[float, Bounds(0)],
            "here: a.b = nan, must be from 0 to inf",
        ),
    ],
)
def test_what_is_wrong_with_a_value_is_said_in_one_line(
    value: object, hint: object, message: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        checked("a.b", value, hint, "here")
    assert str(refused.value) == message
