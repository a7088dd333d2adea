"""
JSON files of a model folder, read so that every complaint names the file and the key.

Knows types; knows no key by name.
"""

import json
from pathlib import Path
from typing import TypeVar

from assistant.errors import CheckpointError

_T = TypeVar("_T")


class Section:
    """One JSON object of a file, with errors that name the file and the key."""

    def __init__(self, file: Path, values: dict[str, object], path: str = "") -> None:
        self.file = file
        self.values = values
        self._path = path

    def section(self, key: str) -> "Section":
        value = self._get(key, dict)
        return Section(self.file, value, f"{self._path}{key}.")

    def integer(self, key: str) -> int:
        """Return a positive integer."""
        value = self._get(key, int)
        if value < 1:
            raise self.wrong(key, f"{value}, must be positive")
        return value

    def number(self, key: str) -> float:
        return float(self._get(key, (int, float)))

    def flag(self, key: str) -> bool:
        return self._get(key, bool)

    def text(self, key: str) -> str:
        return self._get(key, str)

    def numbers(self, key: str, count: int) -> tuple[float, ...]:
        """Return a list of exactly ``count`` numbers."""
        values = self._get(key, list)
        if len(values) != count or not all(isinstance(v, int | float) for v in values):
            raise self.wrong(key, f"must be a list of {count} numbers")
        return tuple(float(value) for value in values)

    def has(self, key: str) -> bool:
        return self.values.get(key) is not None

    def wrong(self, key: str, what: str) -> CheckpointError:
        return CheckpointError(f"{self.file}: {self._path}{key}: {what}")

    def _get(self, key: str, kind: type[_T] | tuple[type[_T], ...]) -> _T:
        if key not in self.values:
            raise CheckpointError(f"{self.file}: key {self._path}{key} is missing")
        value = self.values[key]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise self.wrong(key, f"{value!r} has the wrong type")
        return value


def read_json(file: Path) -> Section:
    """
    Read a JSON object.

    Raises:
        CheckpointError: The file is missing, unreadable or not a JSON object.
    """
    try:
        values = json.loads(file.read_bytes())
    except FileNotFoundError as error:
        raise CheckpointError(f"{file} is missing") from error
    except OSError as error:
        raise CheckpointError(f"{file}: {error.strerror}") from error
    except ValueError as error:
        raise CheckpointError(f"{file} is not valid JSON: {error}") from error
    if not isinstance(values, dict):
        raise CheckpointError(f"{file} is not a JSON object")
    return Section(file, values)
