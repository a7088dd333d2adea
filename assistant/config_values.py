"""
One value of the configuration: what it may be, and what is wrong with it if it is not.

Knows annotations and values; which keys there are, ``assistant.config`` knows.
"""

import math
import typing
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from assistant.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Bounds:
    """Closed interval that a number must lie in."""

    low: float
    high: float = math.inf


def checked(name: str, value: object, hint: Any, origin: str) -> object:
    """
    Return ``value`` as the type of its field.

    Args:
        name: ``"section.key"``, for the message.
        value: As it was given.
        hint: The field's annotation, with ``Bounds`` where it has any.
        origin: Who gave the value, for the message.

    Raises:
        ConfigError: It has another type, or is out of its bounds.
    """
    bounds = None
    if typing.get_origin(hint) is Annotated:
        hint, bounds = typing.get_args(hint)
    if typing.get_origin(hint) is Literal:
        choices = typing.get_args(hint)
        if value not in choices:
            listed = ", ".join(repr(choice) for choice in choices)
            raise ConfigError(f"{origin}: {name} = {value!r}, must be one of {listed}")
        return value
    if typing.get_origin(hint) is tuple:
        if not isinstance(value, list | tuple) or not all(
            isinstance(v, str) for v in value
        ):
            raise ConfigError(f"{origin}: {name} = {value!r}, must be a list of strings")
        return tuple(value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not hint:
        raise ConfigError(f"{origin}: {name} = {value!r}, must be of type {hint.__name__}")
    if bounds is not None:
        assert isinstance(value, int | float)
        # Written so that NaN, which compares false with everything, is refused too.
        if not bounds.low <= value <= bounds.high:
            raise ConfigError(
                f"{origin}: {name} = {value}, must be from {bounds.low} to {bounds.high}"
            )
    return value
