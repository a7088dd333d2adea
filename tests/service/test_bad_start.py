"""A service that cannot start says why in one line, and never with a traceback."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.service


def start_fails(*arguments: str, environment: dict[str, str] | None = None) -> str:
    """Return the one line with which ``serve`` refuses to start."""
    done = subprocess.run(
        [sys.executable, "-m", "assistant", "serve", *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
        env={**os.environ, **(environment or {})},
    )
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if " INFO " not in line]
    assert len(lines) == 1, done.stderr
    return lines[0]


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("[reply]\ntemperature = nan\n", "reply.temperature"),
        ("[reply]\nwarmth = 1\n", "unknown key 'reply.warmth'"),
        ("[server]\nport = '80'\n", "server.port"),
        ("[server\n", "TOML"),
        ("[engine]\nnum_slots = 0\n", "engine.num_slots"),
    ],
)
def test_a_wrong_configuration_is_one_line_that_names_the_key(
    tmp_path: Path, toml: str, message: str
) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text(toml)
    line = start_fails("--config", str(file))
    assert message in line or (message == "TOML" and "line 1" in line)


def test_a_missing_configuration_or_model_is_one_line(tmp_path: Path) -> None:
    assert "no.toml" in start_fails("--config", str(tmp_path / "no.toml"))
    assert str(tmp_path / "no") in start_fails(
        "--model", str(tmp_path / "no"), "--port", "0"
    )
    assert "fetch" in start_fails("--model", "nobody/nothing", "--port", "0")


def test_a_pickle_checkpoint_is_refused_unread(tmp_path: Path, talkative: Path) -> None:
    for file in talkative.iterdir():
        if file.suffix in (".json", ".jinja"):
            (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "model.safetensors.index.json").unlink(missing_ok=True)
    torch.save({"model.norm.weight": torch.zeros(1)}, tmp_path / "pytorch_model.bin")
    assert "safetensors" in start_fails("--model", str(tmp_path), "--port", "0")


def test_a_port_in_use_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert str(port) in start_fails("--port", str(port))
