"""
Drive the page in a real Firefox by WebDriver BiDi, which it speaks without a driver.

The microphone is a recording and the camera a picture, put in place of ``getUserMedia``:
Firefox's own fake devices know a tone and colours, and nobody answers those.
The recording is played by an element and not by a graph, which stands still where the
machine has nothing to play sound by.
"""

import base64
import contextlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from websockets.sync.client import connect
from websockets.sync.connection import Connection

from tests.waiting import PATIENCE_S

FIREFOX = (
    os.environ.get("FIREFOX") or shutil.which("firefox-esr") or shutil.which("firefox")
)
_LISTENING = "WebDriver BiDi listening on "
_PREFERENCES: dict[str, bool | int | str] = {
    "app.update.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "dom.disable_open_during_load": False,
    "media.autoplay.blocking_policy": 0,
    "media.autoplay.default": 0,
    "media.navigator.permission.disabled": True,
    "media.navigator.streams.fake": True,
    "media.peerconnection.ice.loopback": True,
    "media.peerconnection.ice.obfuscate_host_addresses": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "remote.active-protocols": 1,
    "toolkit.telemetry.enabled": False,
}
_DEVICES = """() => {
  const bytesOf = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const microphone = async () => {
    const recording = new Audio(URL.createObjectURL(new Blob([bytesOf("SOUND")])));
    const stream = recording.mozCaptureStream();
    await recording.play();
    return stream.getAudioTracks();
  };
  const camera = async () => {
    const picture = await createImageBitmap(new Blob([bytesOf("PICTURE")]));
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [picture.width, picture.height];
    const show = () => canvas.getContext("2d").drawImage(picture, 0, 0);
    show();
    setInterval(show, 66);
    return canvas.captureStream(15).getVideoTracks();
  };
  navigator.mediaDevices.getUserMedia = async ({ audio, video }) =>
    new MediaStream([
      ...(audio ? await microphone() : []),
      ...(video ? await camera() : []),
    ]);
}"""


class Firefox:
    """One page, and what its scripts say."""

    def __init__(self, socket: Connection) -> None:
        self._socket = socket
        self._number = 0
        self._context = ""

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """Give a command; return its result."""
        self._number += 1
        order = {"id": self._number, "method": method, "params": params}
        self._socket.send(json.dumps(order))
        while True:
            answer: dict[str, Any] = json.loads(self._socket.recv(timeout=PATIENCE_S))
            if answer.get("id") == self._number:
                assert answer["type"] == "success", answer
                result: dict[str, Any] = answer["result"]
                return result

    def open(self, url: str, sound: bytes, picture: bytes) -> None:
        """Open a page that has these for a microphone (WAV) and a camera (JPEG)."""
        self.ask("session.new", capabilities={})
        script = _DEVICES.replace("SOUND", base64.b64encode(sound).decode()).replace(
            "PICTURE", base64.b64encode(picture).decode()
        )
        self.ask("script.addPreloadScript", functionDeclaration=script)
        self._context = self.ask("browsingContext.getTree")["contexts"][0]["context"]
        self.ask(
            "browsingContext.navigate", context=self._context, url=url, wait="complete"
        )

    def run(self, expression: str) -> Any:
        """Evaluate JavaScript in the page; return what it comes to, if that is plain."""
        answer = self.ask(
            "script.evaluate",
            expression=expression,
            target={"context": self._context},
            awaitPromise=True,
            userActivation=True,
        )
        assert answer["type"] == "success", answer
        return answer["result"].get("value")

    def until(self, expression: str) -> None:
        """Wait until JavaScript comes to something true."""
        deadline = time.monotonic() + PATIENCE_S
        while not self.run(f"Boolean({expression})"):
            if time.monotonic() > deadline:
                text = self.run("document.body.innerText")
                raise AssertionError(f"not within {PATIENCE_S:g} s: {expression}\n{text}")
            time.sleep(0.2)


@contextlib.contextmanager
def firefox(profile: Path) -> Iterator[Firefox]:
    """Start Firefox without a window, with an empty directory for its files."""
    assert FIREFOX is not None
    profile.mkdir()
    lines = [f'user_pref("{k}", {json.dumps(v)});\n' for k, v in _PREFERENCES.items()]
    (profile / "user.js").write_text("".join(lines))
    process = subprocess.Popen(
        [
            *(FIREFOX, "--headless", "--no-remote", "--profile", str(profile)),
            *("--remote-debugging-port", "0"),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "HOME": str(profile)},
    )
    try:
        with connect(f"{_address(process)}/session", max_size=None) as socket:
            yield Firefox(socket)
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE_S)


def _address(process: "subprocess.Popen[str]") -> str:
    """Return where it listens, which it says among much else."""
    assert process.stderr is not None
    for line in process.stderr:
        if _LISTENING in line:
            return line.partition(_LISTENING)[2].strip()
    raise AssertionError("Firefox has ended")
