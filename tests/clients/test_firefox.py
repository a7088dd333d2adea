"""The page in Firefox: a recording asks over WebRTC, a camera shows."""

import io
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.clients.firefox import FIREFOX, firefox
from tests.demo.pictures import RED_STAR, jpeg
from tests.service.harness import DATA, RunningService, running
from tests.waiting import wait_until

pytestmark = pytest.mark.clients

QUESTION = DATA / "demo" / "what_colour_is_this.flac"
RECEIVED = re.compile(r"WebRTC: .*?(\d+) packets")
QUIET_S = 4.0


def wav(recording: Path) -> bytes:
    """Return the recording amid silence, to connect in before it and to end a turn in."""
    samples, rate_hz = soundfile.read(recording, dtype="int16")
    silence = np.zeros(int(QUIET_S * rate_hz), np.int16)
    file = io.BytesIO()
    soundfile.write(
        file, np.concatenate([silence, samples, silence * 9]), rate_hz, format="WAV"
    )
    return file.getvalue()


def num_packets(service: RunningService) -> int:
    """Return how many packets the service counted, which it says at the end of a call."""
    log = ""

    def is_told() -> bool:
        nonlocal log
        log += service.log()
        return RECEIVED.search(log) is not None

    wait_until(is_told, "the end of the call")
    found = RECEIVED.search(log)
    assert found is not None
    return int(found[1])


@pytest.mark.skipif(FIREFOX is None, reason="needs Firefox")
def test_a_spoken_question_about_what_the_camera_shows_is_answered_in_firefox(
    tmp_path: Path,
) -> None:
    with running() as demo:
        with firefox(tmp_path / "profile") as browser:
            browser.open(demo.url, wav(QUESTION), jpeg((RED_STAR,)))
            browser.until("document.querySelector('#model')?.textContent")
            browser.run("document.querySelector('#start-both').click()")
            browser.until("document.body.dataset.connection === 'on'")
            assert browser.run("document.body.dataset.transport") == "webrtc"
            browser.until("document.querySelector('.turn .reply[aria-busy=false]')")
            reply = browser.run("document.querySelector('.turn .reply').innerText")
            assert reply == "It is red."
        assert num_packets(demo) > 200
