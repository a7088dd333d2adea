"""What all connections of one gateway share."""

from dataclasses import dataclass, field

from assistant.config import Config
from assistant.gateway.call import Call
from assistant.gateway.engine_client import EngineClient


@dataclass(slots=True, eq=False)
class Service:
    config: Config
    engine: EngineClient
    keys: tuple[str, ...]
    """Accepted bearer keys; none means that anybody may connect."""
    model_name: str
    calls: set[Call] = field(default_factory=set)
    is_draining: bool = False
    """True once shutdown began: running answers end, nobody new comes in."""

    @property
    def is_ready(self) -> bool:
        return self.engine.ready is not None and not self.is_draining
