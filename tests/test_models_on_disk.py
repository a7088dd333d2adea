"""Which folder a model's name stands for."""

from pathlib import Path

import pytest

from assistant.errors import CheckpointError
from assistant.models_on_disk import hub_directory, is_hub_id, resolve_model


def checkpoint(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    return folder


@pytest.mark.parametrize("name", ["microsoft/Phi-4-multimodal-instruct", "a/b", "a.b/c_d"])
def test_org_and_name_make_a_hub_id(name: str) -> None:
    assert is_hub_id(name)


@pytest.mark.parametrize(
    "name",
    ["", "a", "a/", "/a", "a/b/c", "../a", "a/..", ".a/b", "a--b/c", "a/b\n", "a/b c"],
)
def test_other_names_are_no_hub_ids(name: str) -> None:
    assert not is_hub_id(name)


def test_a_folder_is_found_by_its_path(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "model")
    assert resolve_model(str(folder), {}) == folder


def test_a_fetched_model_is_found_by_its_hub_id(tmp_path: Path) -> None:
    environment = {"XDG_DATA_HOME": str(tmp_path)}
    folder = checkpoint(tmp_path / "phi-assistant" / "models" / "org--name")
    assert hub_directory("org/name", environment) == folder
    assert resolve_model("org/name", environment) == folder


def test_a_folder_wins_over_a_fetched_model_of_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint(tmp_path / "phi-assistant" / "models" / "org--name")
    checkpoint(tmp_path / "org" / "name")
    monkeypatch.chdir(tmp_path)
    assert resolve_model("org/name", {"XDG_DATA_HOME": str(tmp_path)}) == Path("org/name")


def test_a_model_that_was_not_fetched_says_how_to_fetch_it(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="run: assistant model fetch org/name"):
        resolve_model("org/name", {"XDG_DATA_HOME": str(tmp_path)})


def test_a_half_fetched_model_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "phi-assistant" / "models" / "org--name").mkdir(parents=True)
    with pytest.raises(CheckpointError, match="not completely downloaded"):
        resolve_model("org/name", {"XDG_DATA_HOME": str(tmp_path)})


def test_a_folder_without_config_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"has no config\.json"):
        resolve_model(str(tmp_path), {})


def test_a_path_that_is_not_there_is_named() -> None:
    with pytest.raises(CheckpointError, match="there is no folder /no/such/folder"):
        resolve_model("/no/such/folder", {})


def test_a_bad_hub_id_has_no_folder() -> None:
    with pytest.raises(CheckpointError, match="ORG/NAME"):
        hub_directory("../name", {})
