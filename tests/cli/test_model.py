"""``assistant model``: from the command line to a folder that can be served."""

from pathlib import Path

import pytest

from assistant.__main__ import main
from assistant.models_on_disk import resolve_model
from tests.cli.fake_hub import FakeHub, serving
from tests.cli.tiny_checkpoint import write_checkpoint


@pytest.fixture
def hub_files(tmp_path: Path) -> dict[str, bytes]:
    folder = write_checkpoint(tmp_path / "original")
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file()
    }


def test_a_fetched_model_can_be_described_and_served_by_its_name(
    tmp_path: Path,
    hub_files: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("HF_TOKEN", "t")
    with serving(FakeHub(hub_files, token="t")) as hub:
        assert main(["model", "fetch", "org/name", "--endpoint", hub.address]) == 0
    printed = capsys.readouterr()
    assert "assistant serve --model org/name" in printed.out
    assert "model-1.safetensors  100%" in printed.err
    assert "t" not in printed.err.split()
    assert resolve_model("org/name").is_dir()
    assert main(["model", "info", "org/name"]) == 0
    assert "original Phi-4-multimodal" in capsys.readouterr().out


def test_another_folder_can_be_chosen(
    tmp_path: Path, hub_files: dict[str, bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "here"
    with serving(FakeHub(hub_files)) as hub:
        arguments = ["model", "fetch", "org/name", "--to", str(folder)]
        assert main([*arguments, "--endpoint", hub.address]) == 0
    assert f"--model {folder}" in capsys.readouterr().out
    assert (folder / "config.json").is_file()


def test_the_hub_can_be_named_by_the_environment(
    tmp_path: Path, hub_files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(FakeHub(hub_files)) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        assert main(["model", "fetch", "org/name", "--to", str(tmp_path / "here")]) == 0


def test_a_name_without_organisation_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["model", "fetch", "name"]) == 1
    assert "ORG/NAME" in capsys.readouterr().err


def test_a_folder_that_is_no_checkpoint_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["model", "info", str(tmp_path)]) == 1
    assert capsys.readouterr().err.count("\n") == 1
