"""A Session with fakes around it: a camera and a ring without bytes, an engine by hand."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import msgspec

from assistant.config import Config
from assistant.errors import MediaError
from assistant.turns.actions import Action, Hang, Send, Tell
from assistant.turns.load import Load
from assistant.turns.pairing import FrameMeta
from assistant.turns.session import Session
from assistant.turns.settings import InputFormat
from assistant.wire import client_events as client, items, link, server_events as wire
from tests.wire import emitted

WINDOW = 512
WINDOW_S = WINDOW / 16_000
READY = link.Ready(
    model="fake",
    device="cpu",
    dtype="float32",
    max_sequence_tokens=4096,
    num_slots=2,
    is_meaningless=True,
)
_Event = TypeVar("_Event", bound=wire.ServerEvent)
_Order = TypeVar("_Order", bound=link.Order)


class FakeMedia:
    """Bytes that say where they came from; a picture of b"broken" is refused."""

    def __init__(self) -> None:
        self.metas: list[FrameMeta] = []
        self.loudness_db = -20.0
        """Of everything that is heard."""

    def clip(self, start: int, stop: int) -> bytes:
        return f"{start}:{stop}".encode()

    def level_db(self, start: int, stop: int) -> float:
        assert start < stop
        return self.loudness_db

    def read_clip(self, data: bytes, form: InputFormat) -> bytes:
        return b"clip " + data

    def check_image(self, data: bytes) -> None:
        if data == b"broken":
            raise MediaError("image_invalid", "picture cannot be decoded")

    def add_frame(self, data: bytes, captured_s: float, timestamp_ms: float | None) -> None:
        self.check_image(data)
        number = len(self.metas) + 1
        self.metas.append(FrameMeta(number, captured_s, 1.0, timestamp_ms, 64, 48))

    def frames(self) -> Sequence[FrameMeta]:
        return self.metas

    def frame(self, frame_id: int) -> bytes:
        return f"frame {frame_id}".encode()

    def novelty(self, one: int, other: int) -> float:
        return 1.0

    def clear_frames(self) -> None:
        self.metas.clear()


class Bench:
    """Drive a session with probabilities and reports; collect what it asks for."""

    def __init__(
        self,
        config: Config | None = None,
        ready: link.Ready | None = READY,
        media: "FakeMedia | None" = None,
    ) -> None:
        self.now = 0.0
        self.media = media or FakeMedia()
        self.load = Load()
        self._numbers: dict[str, Iterator[int]] = {}
        self.session = Session(
            config=config or Config(),
            media=self.media,
            model="fake",
            sequence_numbers=itertools.count(1),
            load=self.load,
            new_id=self._new_id,
            expires_at=2_000_000_000,
            hangover_ms=0,
        )
        self.actions: list[Action] = []
        self.session.open()
        self.session.receive_engine(ready, self.now)
        self.take()
        self.forget()

    def _new_id(self, kind: str) -> str:
        numbers = self._numbers.setdefault(kind, itertools.count(1))
        return f"{kind}_{next(numbers)}"

    # --- inputs -------------------------------------------------------------------------

    def hear(self, probability: float, duration_s: float) -> None:
        """Let sound of that probability pass, in its own time."""
        for _ in range(round(duration_s / WINDOW_S)):
            self.now += WINDOW_S
            self.session.receive_audio(WINDOW, self.now)
            if self.session.detects_turns:
                self.session.receive_probability(probability, self.now)
            self.take()

    def speak(self, duration_s: float = 1.0) -> None:
        """Say something and be quiet until the turn is over."""
        self.hear(0.95, duration_s)
        self.hear(0.02, 0.7)

    def client(self, event: client.AnyClientEvent) -> None:
        self.session.receive_event(event, self.now)
        self.take()

    def update(self, **session: Any) -> None:
        event = {"type": "session.update", "session": session}
        self.client(client.decode(msgspec.json.encode(event)))

    def engine(self, ready: link.Ready | None) -> None:
        self.session.receive_engine(ready, self.now)
        self.take()

    def answer(self, *words: str) -> None:
        """Stream tokens of the newest generation."""
        for number, word in enumerate(words):
            self.report(link.Token(*self.newest(), [100 + number], word))

    def finish(self, reason: Any = "stop", num_output: int = 3) -> None:
        sequence, generation = self.newest()
        self.report(
            link.Finished(
                sequence=sequence,
                generation=generation,
                reason=reason,
                text="",
                num_prompt=10,
                num_cached=0,
                num_output=num_output,
            )
        )

    def fail(self, code: str, *, of_append: bool = False) -> None:
        sequence, generation = self.newest()
        self.report(
            link.Failed(
                sequence=sequence,
                generation=None if of_append else generation,
                code=code,
                message="says the engine",
            )
        )

    def report(self, report: link.Report) -> None:
        self.session.receive_report(report, self.now)
        self.take()

    def timer(self, now: float) -> None:
        self.now = now
        self.session.handle_timer(now)
        self.take()

    # --- outputs ------------------------------------------------------------------------

    def take(self) -> None:
        actions = self.session.actions()
        self.actions += actions
        for action in actions:
            if isinstance(action, Send):
                emitted.note_unnumbered(action.event)

    def forget(self) -> None:
        self.actions.clear()

    def forget_events(self) -> None:
        """Forget what was sent to the client, and keep the orders."""
        self.actions = [a for a in self.actions if not isinstance(a, Send)]

    def types(self) -> list[str]:
        """Wire names of the events since the last ``forget``."""
        return [
            str(action.event.__struct_config__.tag)
            for action in self.actions
            if isinstance(action, Send)
        ]

    def events(self, kind: type[_Event]) -> list[_Event]:
        sent = [a.event for a in self.actions if isinstance(a, Send)]
        return [event for event in sent if isinstance(event, kind)]

    def orders(self, kind: type[_Order]) -> list[_Order]:
        told = [a.order for a in self.actions if isinstance(a, Tell)]
        return [order for order in told if isinstance(order, kind)]

    def hangs(self) -> list[Hang]:
        return [action for action in self.actions if isinstance(action, Hang)]

    def newest(self) -> tuple[int, int]:
        """Sequence and generation of the newest Generate ever ordered."""
        order = self.orders(link.Generate)[-1]
        return order.sequence, order.generation

    def done(self) -> wire.Response:
        """The one response that ended since the last ``forget``."""
        (event,) = self.events(wire.ResponseDone)
        return event.response


def shown(parts: list[link.Part]) -> str:
    """Return a prompt as one readable line."""
    words = []
    for part in parts:
        match part:
            case link.ControlPart(token):
                words.append(f"<{token}>")
            case link.TextPart(text):
                words.append(text)
            case link.TokensPart(ids):
                words.append(f"ids{ids}")
            case link.ImagePart(data, crops):
                words.append(f"[{data.decode()} x{crops}]")
            case link.AudioPart(samples):
                words.append(f"[audio {samples.decode()}]")
    return " ".join(words)


VAD_TURN = [
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.committed",
    "conversation.item.added",
    "conversation.item.done",
    "response.created",
]
ANSWER = [
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
    "response.output_text.delta",
    "response.output_text.delta",
]
CLOSING = [
    "response.output_text.done",
    "response.content_part.done",
    "conversation.item.done",
    "response.output_item.done",
    "response.done",
]


def text_item(text: str, role: str = "user", **keys: object) -> client.ItemCreate:
    part = items.InputText(text) if role == "user" else items.OutputText(text)
    message = items.MessageItem(role=role, content=[part], **keys)  # type: ignore[arg-type]  # literals given as str
    return client.ItemCreate(item=message)


def prompt_of(bench: Bench) -> str:
    return shown([part for order in bench.orders(link.Append) for part in order.parts])
