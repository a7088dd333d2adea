"""Other people's WebRTC: they connect, are heard, and get the events."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.gateway.rtc.caller import speech_48k
from tests.media.rtp_streams import spoken_payloads
from tests.service.harness import SPOKEN_TURN, RunningService, is_subsequence
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.clients

HERE = Path(__file__).parent
PEERS = HERE / "peers"
SYSTEM_PYTHON = "/usr/bin/python3"
GSTREAMER = """
import gi
gi.require_version("Gst", "1.0")
gi.require_version("GstWebRTC", "1.0")
from gi.repository import Gst, GstWebRTC
Gst.init(None)
wanted = "webrtcbin nicesink opusenc vp8enc rtpopuspay rtpvp8pay appsrc".split()
raise SystemExit(any(Gst.ElementFactory.find(name) is None for name in wanted))
"""


def has_package(name: str) -> str:
    if shutil.which("node") is None:
        return "needs node"
    is_here = (PEERS / "node_modules" / name).is_dir()
    return "" if is_here else f"needs {name}: npm install --prefix tests/clients/peers"


def has_gstreamer() -> str:
    if not Path(SYSTEM_PYTHON).exists():
        return f"needs {SYSTEM_PYTHON}"
    program = [SYSTEM_PYTHON, "-c", GSTREAMER]
    found = subprocess.run(program, capture_output=True, check=False)
    return "" if found.returncode == 0 else "needs GStreamer's webrtcbin and its bindings"


def write_pcm(file: Path) -> None:
    file.write_bytes(speech_48k())


def write_packets(file: Path) -> None:
    packets = spoken_payloads()
    file.write_bytes(b"".join(len(data).to_bytes(2, "big") + data for data in packets))


class OtherPeer(NamedTuple):
    """A program that is given the service's address and a recording."""

    command: list[str]
    write: Callable[[Path], None]
    missing: Callable[[], str]


OTHERS = {
    "libwebrtc": OtherPeer(
        ["node", str(PEERS / "libwebrtc.mjs")],
        write_pcm,
        lambda: has_package("@roamhq/wrtc"),
    ),
    "werift": OtherPeer(
        ["node", str(PEERS / "werift.mjs")], write_packets, lambda: has_package("werift")
    ),
    "GStreamer": OtherPeer(
        [SYSTEM_PYTHON, str(HERE / "gstreamer_peer.py")], write_pcm, has_gstreamer
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_it_speaks_and_is_answered(
    name: str, service: RunningService, tmp_path: Path
) -> None:
    peer = OTHERS[name]
    if missing := peer.missing():
        pytest.skip(missing)
    recording = tmp_path / "question"
    peer.write(recording)
    spoken = subprocess.run(
        [*peer.command, service.url, str(recording)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert spoken.returncode == 0, spoken.stderr
    types = [json.loads(line)["type"] for line in spoken.stdout.splitlines()]
    assert types[0] == "session.created"
    assert is_subsequence(SPOKEN_TURN, types)
    service.wait_for_sessions(0)
