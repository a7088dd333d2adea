import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from assistant.cli.own_service import running
from assistant.config import API_KEYS_VARIABLE
from assistant.errors import CommandError

STAND_IN = """
import json, os, signal, sys
if "--refuse" in sys.argv:
    sys.exit(1)
with open(sys.argv[-1], "w") as file:
    json.dump([os.getpid(), sys.argv[1:], os.environ["%s"]], file)
print("ready http://localhost:1 model=demo device=cpu", flush=True)
signal.pause()
"""


@pytest.fixture(autouse=True)
def stand_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Start a stand-in for the service, with the same arguments."""
    script = tmp_path / "service.py"
    script.write_text(STAND_IN % API_KEYS_VARIABLE)
    popen = subprocess.Popen

    def start(command: list[str], **keys: Any) -> Any:
        assert command[:4] == [sys.executable, "-m", "assistant", "serve"]
        return popen([sys.executable, str(script), *command[4:]], **keys)

    monkeypatch.setattr(subprocess, "Popen", start)


def test_a_service_of_ones_own_lives_as_long_as_it_is_used(tmp_path: Path) -> None:
    told = tmp_path / "told"
    with running(["--model", "demo", str(told)]) as (address, key):
        assert address == "http://localhost:1"
        pid, arguments, keys = json.loads(told.read_text())
        assert keys == key
        assert len(key) >= 32
        assert arguments[:4] == ["--host", "127.0.0.1", "--port", "0"]
        assert arguments[-3:-1] == ["--model", "demo"]
        assert Path(f"/proc/{pid}").exists()
    assert not Path(f"/proc/{pid}").exists()


def test_it_ends_also_when_what_used_it_fails(tmp_path: Path) -> None:
    told = tmp_path / "told"
    with pytest.raises(ZeroDivisionError), running([str(told)]):
        _ = 1 / 0
    pid = json.loads(told.read_text())[0]
    assert not Path(f"/proc/{pid}").exists()


def test_a_service_that_does_not_start_is_a_stated_failure() -> None:
    with pytest.raises(CommandError, match="did not start"), running(["--refuse"]):
        pass
