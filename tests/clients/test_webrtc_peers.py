"""Other people's WebRTC: they connect, are heard, and get the events."""

import json
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.gateway.rtc.caller import speech_48k
from tests.service.harness import SPOKEN_TURN, RunningService, is_subsequence

pytestmark = pytest.mark.clients

PEERS = Path(__file__).parent / "peers"
TIMEOUT_S = 60
FREE_S = 12.0


def why_not() -> str:
    """Return what is missing to run libwebrtc in node, "" for nothing."""
    node = shutil.which("node")
    if node is None:
        return "needs node"
    found = subprocess.run([node, "-e", "require('@roamhq/wrtc')"], capture_output=True)
    return "" if found.returncode == 0 else "needs the node package @roamhq/wrtc"


def test_libwebrtc_speaks_and_is_answered(service: RunningService, tmp_path: Path) -> None:
    missing = why_not()
    if missing:
        pytest.skip(missing)
    recording = tmp_path / "question.pcm"
    recording.write_bytes(speech_48k())
    program = ["node", str(PEERS / "libwebrtc.mjs"), service.url, str(recording)]
    spoken = subprocess.run(program, capture_output=True, text=True, timeout=TIMEOUT_S)
    assert spoken.returncode == 0, spoken.stderr
    types = [json.loads(line)["type"] for line in spoken.stdout.splitlines()]
    assert types[0] == "session.created"
    assert is_subsequence(SPOKEN_TURN, types)
    deadline = time.monotonic() + FREE_S
    while service.get("/health")["sessions"] and time.monotonic() < deadline:
        time.sleep(0.1)
    assert service.get("/health")["sessions"] == 0
