import contextlib
import json
import os
import resource
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from assistant.engine.process import CANNOT_START, listening, main, parse_config
from assistant.errors import ConfigError, EngineError
from assistant.wire import link
from tests.engine.link_client import LinkClient, text

START_S = 60.0


# --- pieces ----------------------------------------------------------------------------


def test_the_configuration_states_differences_and_keeps_its_bounds() -> None:
    assert parse_config("{}").num_slots == 8
    config = parse_config('{"num_slots": 2, "max_sequence_tokens": 64}')
    assert (config.num_slots, config.max_sequence_tokens) == (2, 64)


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        ("[]", "must be an object"),
        ("{", "--config-json"),
        ('{"num_slot": 2}', "unknown key 'engine.num_slot'"),
        ('{"num_slots": 0}', "engine.num_slots = 0"),
        ('{"backend": "magic"}', "must be one of"),
    ],
)
def test_a_wrong_configuration_is_named(document: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        parse_config(document)


def test_the_socket_is_for_its_user_only_and_gone_in_the_end(tmp_path: Path) -> None:
    path = tmp_path / "engine.sock"
    with listening(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
    assert list(tmp_path.iterdir()) == []


def test_the_socket_of_a_killed_engine_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "engine.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert path.is_socket()
    with listening(path), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def test_a_socket_in_use_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "engine.sock"
    with (
        listening(path),
        pytest.raises(EngineError, match="another engine"),
        listening(path),
    ):
        pass


def test_a_path_that_cannot_be_listened_at_is_named(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="No such file"), listening(tmp_path / "no" / "e"):
        pass
    long = tmp_path / ("x" * 120)
    with pytest.raises(EngineError, match="the bound is 106"), listening(long):
        pass


# --- the whole process -----------------------------------------------------------------

ENGINE = [sys.executable, "-m", "assistant.engine.process"]


@contextlib.contextmanager
def engine(
    tmp_path: Path, *more: str, **settings: object
) -> Iterator["subprocess.Popen[str]"]:
    """Run the engine process; kill it in the end if it still runs."""
    arguments = [
        "--socket",
        str(tmp_path / "e.sock"),
        "--config-json",
        json.dumps(settings),
    ]
    process = subprocess.Popen(
        [*ENGINE, *arguments, *more],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"XDG_DATA_HOME": str(tmp_path), "OMP_NUM_THREADS": "1"},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def connect(tmp_path: Path) -> LinkClient:
    """Connect as soon as the engine listens."""
    end = time.monotonic() + START_S
    while True:
        try:
            return LinkClient(tmp_path / "e.sock", timeout_s=START_S)
        except OSError:
            assert time.monotonic() < end, "the engine does not listen"
            time.sleep(0.02)


@pytest.mark.service
def test_the_demo_answers_and_sigterm_ends_it_cleanly(tmp_path: Path) -> None:
    with engine(tmp_path, num_slots=2, device="cpu") as process:
        with connect(tmp_path) as client:
            ready = client.receive()
            assert isinstance(ready, link.Ready)
            assert (ready.model, ready.device, ready.dtype) == ("demo", "cpu", "float32")
            assert not ready.is_meaningless
            client.send(link.Open(1, "speech"), link.Append(1, text("hello")))
            client.send(link.Generate(1, 1, link.Sampling(max_tokens=5)))
            assert client.reply(1, 1)[2].num_prompt > 0
            limits = resource.prlimit(process.pid, resource.RLIMIT_CORE)
            assert limits == (0, 0), "a core file would hold what users said"
            process.terminate()
            with pytest.raises(ConnectionError):
                client.receive()
        assert process.wait(START_S) == 0
        assert not (tmp_path / "e.sock").exists()


@pytest.mark.service
def test_sigterm_while_it_loads_ends_it_cleanly(tmp_path: Path) -> None:
    with engine(tmp_path, device="cpu") as process:
        connect(tmp_path).close()
        process.terminate()
        assert process.wait(START_S) == 0
        assert not (tmp_path / "e.sock").exists()


@pytest.mark.service
@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"model": "some/model"}, "run: assistant model fetch some/model"),
        ({"model": "/nowhere"}, "there is no folder"),
        ({"device": "abacus"}, "engine.device = 'abacus'"),
        ({"num_slots": 0}, "engine.num_slots = 0"),
    ],
)
def test_what_prevents_a_start_is_one_line_and_status_3(
    tmp_path: Path, settings: dict[str, object], complaint: str
) -> None:
    with engine(tmp_path, **settings) as process:
        _, errors = process.communicate(timeout=START_S)
        assert process.returncode == CANNOT_START
        assert complaint in errors
        assert errors.count("\n") == 1
        assert not (tmp_path / "e.sock").exists()


@pytest.mark.service
def test_the_engine_dies_with_its_parent(tmp_path: Path) -> None:
    program = (
        "import subprocess, sys, time\n"
        "engine = subprocess.Popen(sys.argv[1:])\n"
        "print(engine.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    arguments = ["--socket", str(tmp_path / "e.sock"), "--config-json", '{"device": "cpu"}']
    parent = subprocess.Popen(
        [sys.executable, "-c", program, *ENGINE, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"XDG_DATA_HOME": str(tmp_path), "OMP_NUM_THREADS": "1"},
    )
    with parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        with connect(tmp_path) as client:
            client.wait_for(link.Ready)
            parent.send_signal(signal.SIGKILL)
            with pytest.raises(ConnectionError):
                client.receive()
    # The kernel closes a dying process's sockets first and ends it a moment later.
    deadline = time.monotonic() + START_S
    while is_running(pid):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    """Say whether the process is more than a corpse that nobody has collected."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state.rsplit(")", 1)[1].split()[0] not in "ZX"


@pytest.mark.service
def test_an_engine_whose_parent_is_gone_already_does_not_start(tmp_path: Path) -> None:
    with engine(tmp_path, "--parent-pid", "1") as process:
        assert process.wait(START_S) == 0


def test_arguments_are_required() -> None:
    with pytest.raises(SystemExit):
        main([])
