"""
The whole service as a process, and a plain WebSocket client to talk to it.

Every event that the client receives is kept with its time; ``Client.close`` hands all of
them to the strict validators, so that whatever a test provokes is also checked to be valid.
"""

import base64
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import soxr
from websockets.sync.client import ClientConnection, connect

from assistant.media.recordings import read_audio
from tests.waiting import PATIENCE_S, wait_until
from tests.wire import emitted

DATA = Path(__file__).parents[1] / "data"
PACKET_S = 0.02
REPLY_TOKENS = 80
"""Length of every reply of the service under test."""

SPOKEN_TURN = [
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.committed",
    "conversation.item.added",
    "conversation.item.done",
    "response.created",
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
    "response.output_text.delta",
    "response.output_text.done",
    "response.content_part.done",
    "conversation.item.done",
    "response.output_item.done",
    "response.done",
]
"""Events of a spoken turn in the documented order, runs of deltas as one."""


class RunningService:
    """``assistant serve`` on a free port of this machine."""

    def __init__(self, *arguments: str, environment: dict[str, str] | None = None) -> None:
        # A file: a pipe that nobody reads fills up, and blocks the service.
        written = tempfile.NamedTemporaryFile()  # noqa: SIM115 # ``close`` does
        self._log = open(written.name, "rb")  # noqa: SIM115 # with a place of its own
        self._written = written
        self.process = subprocess.Popen(
            [sys.executable, "-m", "assistant", "serve", "--port", "0", *arguments],
            stdout=subprocess.PIPE,
            stderr=written,
            text=True,
            env={**os.environ, **(environment or {})},
        )
        assert self.process.stdout is not None
        self.ready_line = self.process.stdout.readline().strip()
        if not self.ready_line.startswith("ready "):
            self.process.communicate(timeout=PATIENCE_S)
            errors = self.log()
            self.close()
            raise AssertionError(f"not ready: {self.ready_line!r} {errors}")
        self.url = self.ready_line.split()[1]

    def get(self, path: str) -> dict[str, Any]:
        with urllib.request.urlopen(self.url + path, timeout=PATIENCE_S) as answer:
            document: dict[str, Any] = json.load(answer)
        return document

    def wait_for_sessions(self, count: int) -> None:
        """Wait until so many are open: one whose client has vanished lasts for seconds."""
        wait_until(
            lambda: self.get("/health")["sessions"] == count, f"{count} open sessions"
        )

    def engine_pid(self) -> int:
        """Return the process id of the engine."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        for child in children.read_text().split():
            if b"assistant.engine" in Path(f"/proc/{child}/cmdline").read_bytes():
                return int(child)
        raise AssertionError("there is no engine process")

    def num_files(self) -> int:
        """Return how many files and sockets the gateway holds open."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def rss_mb(self) -> float:
        """Return the resident memory of the gateway."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def cpu_s(self) -> float:
        """Return the processor time that the gateway has used."""
        fields = (
            Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        )
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def log(self) -> str:
        """Return what was written to stderr since the last call."""
        return self._log.read().decode()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(timeout=PATIENCE_S)
        self.close()
        return status

    def close(self) -> None:
        """Close what the process has left open here."""
        assert self.process.stdout is not None
        for stream in (self.process.stdout, self._log, self._written):
            stream.close()


@contextmanager
def running(*arguments: str, **keys: Any) -> Iterator[RunningService]:
    service = RunningService(*arguments, **keys)
    try:
        yield service
    finally:
        if service.process.poll() is None:
            service.stop()
        else:
            service.close()


class Client:
    """A session with the service. Events are dictionaries, as they came."""

    def __init__(self, url: str, **keys: Any) -> None:
        target = url.replace("http", "ws", 1) + "/v1/realtime?model=demo"
        self.socket: ClientConnection = connect(target, compression=None, **keys)
        self.events: list[dict[str, Any]] = []
        self.times: list[float] = []
        self.texts: list[str] = []
        self.wait("session.created")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leave, and have every event that came judged by the strictest clients."""
        # Imported late: it takes seconds, and the unit tests collect this module too.
        from tests.wire.validators import validate_server_event

        self.socket.close()
        for text in self.texts:
            emitted.note(text)
            validate_server_event(text)

    def send(self, type: str, **fields: Any) -> None:
        self.socket.send(json.dumps({"type": type, **fields}))

    def receive(self, timeout_s: float = PATIENCE_S) -> dict[str, Any]:
        text = self.socket.recv(timeout=timeout_s)
        assert isinstance(text, str)
        event: dict[str, Any] = json.loads(text)
        self.texts.append(text)
        self.events.append(event)
        self.times.append(time.monotonic())
        return event

    def wait(self, type: str, timeout_s: float = PATIENCE_S) -> dict[str, Any]:
        """Receive until an event of that type has come."""
        deadline = time.monotonic() + timeout_s
        while (remaining := deadline - time.monotonic()) > 0:
            event = self.receive(remaining)
            if event["type"] == type:
                return event
        raise AssertionError(f"no {type} within {timeout_s} s, only {self.types()}")

    def types(self, since: int = 0) -> list[str]:
        return [event["type"] for event in self.events[since:]]

    def update(self, **session: Any) -> dict[str, Any]:
        self.send("session.update", session={"type": "realtime", **session})
        return self.wait("session.updated")

    def ask(self, text: str, **response: Any) -> dict[str, Any]:
        """Type a question and wait for the end of the answer."""
        part = {"type": "input_text", "text": text}
        item = {"type": "message", "role": "user", "content": [part]}
        self.send("conversation.item.create", item=item)
        self.send("response.create", response=response)
        done: dict[str, Any] = self.wait("response.done")["response"]
        return done

    def show(self, data: bytes, timestamp_ms: float | None = None) -> None:
        encoded = base64.b64encode(data).decode()
        self.send("input_image_buffer.append", image=encoded, timestamp_ms=timestamp_ms)

    def append(self, data: bytes) -> None:
        self.send("input_audio_buffer.append", audio=base64.b64encode(data).decode())

    def play(self, data: bytes, speed: float = 1.0) -> None:
        """Send PCM in packets of 20 ms, at their own pace or faster."""
        size = int(PACKET_S * 48_000)
        start = time.monotonic()
        for number, at in enumerate(range(0, len(data), size)):
            due = start + number * PACKET_S / speed
            time.sleep(max(0.0, due - time.monotonic()))
            self.append(data[at : at + size])


def pcm(samples: npt.NDArray[np.float32]) -> bytes:
    """Return 16 kHz float samples as PCM16 at 24 kHz, the protocol's default."""
    resampled = soxr.resample(samples, 16_000, 24_000)
    data: bytes = (np.clip(resampled, -1, 1) * 32767).astype("<i2").tobytes()
    return data


def recording(name: str, lead_s: float = 0.5, tail_s: float = 1.2) -> bytes:
    """Return a recording of tests/data with silence around it, as PCM16 at 24 kHz."""
    silence = [np.zeros(int(s * 16_000), np.float32) for s in (lead_s, tail_s)]
    return pcm(np.concatenate([silence[0], read_audio(DATA / name), silence[1]]))


def is_subsequence(wanted: Sequence[str], given: Sequence[str]) -> bool:
    """Say whether ``wanted`` occurs in ``given`` in that order, other things between."""
    rest = iter(given)
    return all(name in rest for name in wanted)
