import pytest

from assistant.errors import SchemaRefused
from assistant.schema.literals import literals, spell

VALUES = ["a", 1, 1.0, 1.5, True, None, {}, []]


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [
        ("string", [b'"a"']),
        ("integer", [b"1", b"1.0"]),
        ("number", [b"1", b"1.0", b"1.5"]),
        ("boolean", [b"true"]),
        ("null", [b"null"]),
        ("object", [b"{}"]),
        ("array", [b"[]"]),
        (["null", "boolean"], [b"true", b"null"]),
    ],
)
def test_only_values_of_the_type_are_left(kind: object, wanted: list[bytes]) -> None:
    options, _ = literals(VALUES, {"type": kind}, "").start  # type: ignore[union-attr, misc]  # a Text
    assert list(options) == wanted


def test_what_json_cannot_say_is_refused() -> None:
    for value in (float("inf"), "\ud800", object()):
        with pytest.raises(SchemaRefused):
            spell(value, ".const")
