from pathlib import Path

import pytest

from assistant.errors import CheckpointError
from assistant.model.json_file import Section, read_json


def section(**values: object) -> Section:
    return Section(Path("some.json"), {"outer": values}).section("outer")


def test_a_missing_key_is_named_with_its_path() -> None:
    with pytest.raises(CheckpointError, match=r"^some\.json: key outer\.size is missing$"):
        section().integer("size")


@pytest.mark.parametrize("value", ["3", 3.0, True, None, [3]])
def test_an_integer_is_nothing_else(value: object) -> None:
    with pytest.raises(CheckpointError, match=r"outer\.size: .* has the wrong type"):
        section(size=value).integer("size")


@pytest.mark.parametrize("value", [0, -1])
def test_sizes_are_positive(value: int) -> None:
    with pytest.raises(CheckpointError, match="must be positive"):
        section(size=value).integer("size")


@pytest.mark.parametrize("value", [[1.0], [1.0, "2"], [1, 2, 3]])
def test_a_list_of_numbers_has_the_length_that_is_asked_for(value: object) -> None:
    with pytest.raises(CheckpointError, match="must be a list of 2 numbers"):
        section(factors=value).numbers("factors", 2)


def test_null_counts_as_absent() -> None:
    assert not section(size=None).has("size")
    assert not section().has("size")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(b"{", "is not valid JSON"), (b"[]", "is not a JSON object"), (b"\xff{}", "JSON")],
)
def test_a_file_that_is_no_json_object_is_refused(
    tmp_path: Path, content: bytes, complaint: str
) -> None:
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(CheckpointError, match=complaint):
        read_json(tmp_path / "x.json")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"x\.json is missing"):
        read_json(tmp_path / "x.json")
