"""A service with an engine by hand, to be asked over HTTP."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from assistant.config import (
    Config,
    EngineConfig,
    LimitsConfig,
    RtcConfig,
    ServerConfig,
    VadConfig,
)
from assistant.gateway import app
from assistant.gateway.engine_client import EngineClient
from assistant.gateway.service import Service
from assistant.wire import link
from tests.gateway.asgi import Exchange
from tests.gateway.fakes import FakeEngine

PATH = "/v1/chat/completions"


class Place:
    """A service with an engine by hand."""

    def __init__(self, engine: FakeEngine, service: Service) -> None:
        self.engine = engine
        self.service = service
        self.app = app.build(service)

    def ask(self, content: Any = "Hello", **keys: Any) -> Exchange:
        messages = [{"role": "user", "content": content}]
        return self.post({"model": "fake", "messages": messages, **keys})

    def post(self, body: dict[str, Any] | bytes, **keys: Any) -> Exchange:
        return Exchange(self.app, PATH, body, **keys)

    async def generate(self, count: int = 1) -> link.Generate:
        """Wait for that many replies to be asked for; return the newest."""
        return (await self.engine.wait_for(link.Generate, count))[-1]

    async def is_idle(self) -> None:
        """Wait until nothing is held for anybody."""
        await self.engine.wait_for(link.Close, len(self.engine.of(link.Open)))
        assert self.service.num_requests == 0


@asynccontextmanager
async def place(
    folder: Path,
    keys: tuple[str, ...] = (),
    engine: EngineConfig | None = None,
    limits: LimitsConfig | None = None,
    rtc: RtcConfig | None = None,
    **server: Any,
) -> AsyncIterator[Place]:
    config = Config(
        server=ServerConfig(**{"kept_completions": 0, **server}),
        engine=engine or EngineConfig(),
        limits=limits or LimitsConfig(),
        rtc=rtc or RtcConfig(),
        vad=VadConfig(engine="webrtc"),  # no network is loaded
    )
    async with FakeEngine(folder / "engine.sock") as fake:
        client = EngineClient()
        await client.connect(fake.path, 5)
        service = Service(config, client, keys, "fake")
        try:
            yield Place(fake, service)
        finally:
            await service.lines.close()
            client.disconnect()


def error_of(exchange: Exchange, told: dict[str, Any]) -> tuple[int, str]:
    return exchange.status, told["error"]["code"]
