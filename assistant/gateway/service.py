"""What all connections of one gateway share."""

from dataclasses import dataclass, field

from assistant.config import Config
from assistant.gateway.call import Call
from assistant.gateway.client_secrets import ClientSecrets
from assistant.gateway.engine_client import EngineClient
from assistant.media.turn_model import shared_turn_model


@dataclass(slots=True, eq=False)
class Service:
    config: Config
    engine: EngineClient
    keys: tuple[str, ...]
    """Accepted bearer keys; none means that anybody may connect."""
    model_name: str
    calls: set[Call] = field(default_factory=set)
    num_requests: int = 0
    """Chat completions that are being read or answered."""
    secrets: ClientSecrets = field(init=False)
    is_draining: bool = False
    """True once shutdown began: running answers end, nobody new comes in."""

    def __post_init__(self) -> None:
        """Raises ConfigError now for what else would fail in every session."""
        if self.config.vad.turn_model:
            shared_turn_model(self.config.vad.turn_model)
        self.secrets = ClientSecrets(self.config.server.max_client_secrets)

    @property
    def model_names(self) -> frozenset[str]:
        """Names that a request may give to the one model there is."""
        return frozenset({self.model_name, self.config.engine.model})

    @property
    def is_ready(self) -> bool:
        return self.engine.ready is not None and not self.is_draining
