"""
A session that talks to a model of its own, without real time.

The model's words follow from what it has read, and from nothing else: whatever answers
with the same words has read the same prompt. The engine works when it is told to and its
reports arrive when they are let through, so that every order of things can be played.
"""

import itertools
import zlib
from collections.abc import Callable, Sequence
from typing import Any

from assistant.config import Config, EarlyConfig
from assistant.turns import prompt
from assistant.turns.actions import Send, Tell
from assistant.wire import client_events as client, items, link, server_events as wire
from tests.turns.harness import READY, WINDOW_S, Bench
from tests.turns.sequences import Atom, ReferenceEngine, atoms

MAX_WORDS = 6


def words_after(read: Sequence[Atom]) -> list[str]:
    """Return what the model says to a prompt: one to six words."""
    number = zlib.crc32(repr(list(read)).encode())
    return [f"w{(number >> shift) % 97} " for shift in range(1 + number % MAX_WORDS)]


class Stage(Bench):
    """Drive a session and its engine; check that nothing shows that should not."""

    def __init__(
        self,
        config: Config | None = None,
        *,
        speculation: bool = True,
        max_tokens: int = 10**6,
    ) -> None:
        self.model = ReferenceEngine(max_tokens)
        self.is_alive = True
        self.num_promoted = 0
        self._told = 0
        self._instructions = {""}
        config = config or Config(early=EarlyConfig(speculation=speculation))
        super().__init__(config)

    # --- inputs -------------------------------------------------------------------------

    def take(self) -> None:
        """Hand the orders to the engine as they are given."""
        super().take()
        for action in self.actions[self._told :]:
            if isinstance(action, Tell) and self.is_alive:
                self.model.receive(action.order)
                self.num_promoted += isinstance(action.order, link.Promote)
                if self.model.asked is not None:
                    self._check_asked(self.model.asked)
                    self.model.asked = None
        self._told = len(self.actions)

    def forget(self) -> None:
        super().forget()
        self._told = 0

    def think(self, num_words: int = 1) -> None:
        """Let every reply under way grow by that many words, or end."""
        for _ in range(num_words):
            for number, sequence in self.model.sequences.items():
                if sequence.generation is None:
                    continue
                assert sequence.reply is not None
                start = sequence.reply[1]
                words = self.words(sequence.read[:start])
                count = len(sequence.read) - start
                if count < len(words):
                    self.model.write_to(number, 1000 + count, words[count])
                else:
                    self.model.finish_of(number)

    def words(self, read: Sequence[Atom]) -> list[str]:
        """Return what the model says to a prompt."""
        return words_after(read)

    def deliver(self, most: int = 10**6) -> None:
        """Let reports through, the oldest first."""
        while self.model.reports and most > 0:
            most -= 1
            self.report(self.model.reports.popleft())

    def settle(self) -> None:
        """Let everything be answered to the end."""
        for _ in range(MAX_WORDS + 2):
            self.think()
            self.deliver()

    def update(self, **session: Any) -> None:
        self._instructions.add(session.get("instructions", ""))
        super().update(**session)

    def die(self) -> None:
        self.model.die()
        self.is_alive = False
        self.engine(None)

    def revive(self) -> None:
        self.is_alive = True
        self.engine(READY)

    def quiet(self, duration_s: float) -> None:
        self.hear(0.02, duration_s)

    def talk(self, duration_s: float) -> None:
        self.hear(0.95, duration_s)

    def pause(self) -> None:
        """Be quiet until the soft end has passed, and no longer than that."""
        self.quiet(0.2 + WINDOW_S)

    def shows(self, data: bytes = b"jpeg") -> None:
        self.client(client.InputImageAppend(image=data))

    # --- outputs ------------------------------------------------------------------------

    @property
    def replies(self) -> list[tuple[str, str]]:
        """Status and text of every response that ended."""
        return [
            (event.response.status, text_of(event.response))
            for event in self.events(wire.ResponseDone)
        ]

    @property
    def early(self) -> dict[str, float]:
        """What the vendor key of the latest response says of work done ahead."""
        vendor = self.events(wire.ResponseDone)[-1].response.assistant
        assert isinstance(vendor, dict)
        early: dict[str, float] = vendor["early"]
        return early

    def held(self) -> list[Atom]:
        """What the engine holds of the session."""
        (sequence,) = self.model.sequences.values()
        return sequence.read

    def num_generating(self) -> int:
        return sum(s.generation is not None for s in self.model.sequences.values())

    def orders_after(self, mark: int) -> list[link.Order]:
        return [a.order for a in self.actions[mark:] if isinstance(a, Tell)]

    def shown_after(self, mark: int) -> list[str]:
        return [
            str(a.event.__struct_config__.tag)
            for a in self.actions[mark:]
            if isinstance(a, Send)
        ]

    def check_ladders(self) -> None:
        """Responses do not overlap, each ends once, and no sequence is left open."""
        is_open = False
        for name in self.types():
            if name == "response.created":
                assert not is_open
                is_open = True
            elif name.startswith("response."):
                assert is_open, f"{name} outside of a response"
                is_open = name != "response.done"
        assert is_open == self.session.is_answering
        assert len(self.model.sequences) <= 1, "a sequence was left open"

    def _check_asked(self, asked: list[Atom]) -> None:
        """What is answered was read as an engine would that knows nothing else."""
        known = self.session._conversation.items
        # The last item may be the beginning of this very answer, which was held; an answer
        # that had to wait is given under the instructions of when it was asked for.
        fresh = []
        for shown, words in itertools.product((known, known[:-1]), self._instructions):
            segments = prompt.segments(words, shown)
            parts = [part for segment in segments for part in segment.parts]
            fresh.append(atoms([*parts, prompt.REPLY_HEADER]))
        assert asked in fresh


def text_of(response: wire.Response) -> str:
    texts = [
        part.text
        for item in response.output
        if isinstance(item, items.MessageItem)
        for part in item.content
        if isinstance(part, items.OutputText)
    ]
    return "".join(texts)


Play = Callable[[Stage], None]


def both(play: Play) -> Stage:
    """Play with and without speculation; the client must not be able to tell."""
    shown = []
    stages = []
    for speculation in (True, False):
        stage = Stage(speculation=speculation)
        play(stage)
        stage.settle()
        shown.append((stage.types(), stage.replies))
        stages.append(stage)
    assert shown[0] == shown[1]
    assert stages[1].num_promoted == 0
    return stages[0]
