"""What all connections of one gateway share."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field

from assistant.config import Config
from assistant.gateway import heap
from assistant.gateway.call import Call
from assistant.gateway.client_secrets import ClientSecrets
from assistant.gateway.engine_client import EngineClient
from assistant.media.turn_model import shared_turn_model
from assistant.turns.kept import Kept
from assistant.wire.refusals import EventRefused

log = logging.getLogger(__name__)

KEEP_S = 60.0
"""How long a client may take for its next request; people read an answer first."""
TIDY_AFTER_S = 3.0
"""After the last one has left: its connection takes a moment to be taken down."""


class Lines:
    """Tasks that live longer than the requests which began them, until the service ends."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def start(self, line: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(line)
        self._tasks.add(task)
        task.add_done_callback(self._finish)

    def _finish(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a bug; a connection has ended", exc_info=error)

    async def close(self) -> None:
        """End all of them, each saying good-bye to its peer."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@dataclass(slots=True, eq=False)
class Service:
    config: Config
    engine: EngineClient
    keys: tuple[str, ...]
    """Accepted bearer keys; none means that anybody may connect."""
    model_name: str
    calls: set[Call] = field(default_factory=set)
    turn_secret: str = ""
    """Shared with the TURN server that clients are sent to."""
    num_requests: int = 0
    """Chat completions that are being read or answered."""
    secrets: ClientSecrets = field(init=False)
    kept: Kept = field(default_factory=lambda: Kept(KEEP_S))
    """What the engine has read for chat completions that are over."""
    is_draining: bool = False
    """True once shutdown began: running answers end, nobody new comes in."""

    lines: Lines = field(init=False)
    """WebRTC connections, which no request of the server keeps."""
    tidy: Callable[[], None] = heap.tidy
    """Is called some time after the last session has left."""
    tidy_after_s: float = TIDY_AFTER_S
    _tidying: asyncio.TimerHandle | None = None

    def __post_init__(self) -> None:
        """Raises ConfigError now for what else would fail in every session."""
        if self.config.vad.turn_model:
            shared_turn_model(self.config.vad.turn_model)
        self.secrets = ClientSecrets(self.config.server.max_client_secrets)
        self.lines = Lines()

    def find(self, call_id: str) -> Call:
        """Return an open call; raises EventRefused when there is no such call."""
        for call in self.calls:
            if call.id == call_id:
                return call
        raise EventRefused("call_not_found", "There is no such call.", "call_id")

    def end(self, call: Call) -> None:
        """Let a call go with all it holds. Safe to call again."""
        if call in self.calls:
            self.calls.discard(call)
            call.close()
            if self._tidying is not None:
                self._tidying.cancel()
            loop = asyncio.get_running_loop()
            self._tidying = loop.call_later(self.tidy_after_s, self._tidy)

    def _tidy(self) -> None:
        self._tidying = None
        if not self.calls:
            self.tidy()

    @property
    def model_names(self) -> frozenset[str]:
        """Names that a request may give to the one model there is."""
        return frozenset({self.model_name, self.config.engine.model})

    @property
    def is_ready(self) -> bool:
        return self.engine.ready is not None and not self.is_draining
