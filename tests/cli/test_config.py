"""What ``assistant config`` prints can be read back as a configuration."""

from pathlib import Path

import pytest
from hypothesis import given, strategies

from assistant.__main__ import main
from assistant.cli.config import as_toml, toml_value
from assistant.config import API_KEYS_VARIABLE, Config, load


def test_the_printed_configuration_reads_back_as_it_was(tmp_path: Path) -> None:
    given_ones = {
        "reply.instructions": ("--x", 'Say "\\" and\nstop. \x7f é 😀'),
        "server.allowed_origins": ("--x", ["https://a.example", "b"]),
        "reply.temperature": ("--x", 0.1),
    }
    effective = load(None, given_ones)
    file = tmp_path / "printed.toml"
    file.write_text("\n".join(as_toml(effective)), encoding="utf-8")
    assert load(file).config == effective.config != Config()


def test_each_line_says_where_its_value_came_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "some.toml"
    file.write_text("[server]\nport = 1\n")
    assert main(["config", "--config", str(file)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "[server]"
    assert f"{'port = 1':<40} # {file}" in lines
    assert any(line.startswith("host = ") and line.endswith("# default") for line in lines)


def test_the_number_of_keys_is_shown_and_no_key(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(API_KEYS_VARIABLE, "secret-1,secret-2")
    main(["config"])
    printed = capsys.readouterr().out
    assert "2 keys" in printed
    assert "secret-" not in printed


@given(text=strategies.text(strategies.characters(exclude_categories=["Cs"])))
def test_every_text_survives(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    file = tmp_path_factory.getbasetemp() / "text.toml"
    file.write_text(
        f"[engine]\nadapters = {toml_value(text)}\n", encoding="utf-8", newline=""
    )
    assert load(file).config.engine.adapters == text


def test_an_origin_cannot_break_out_of_its_comment() -> None:
    effective = load(None, {"server.port": ("--port\nhost = 1", 1)})
    assert not any("\n" in line for line in as_toml(effective))
