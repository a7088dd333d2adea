"""
Keep one engine process running: start it, watch it, start it again when it dies.

A death is seen by the end of the process or of the link, a hang by missing pongs; both
end in the same place, with the calls told and a new process started.
"""

import asyncio
import contextlib
import json
import logging
import os
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from assistant.config import EngineConfig
from assistant.errors import EngineError, EngineGone
from assistant.gateway.engine_client import EngineClient
from assistant.wire import link

log = logging.getLogger(__name__)

PING_INTERVAL_S = 1.0
CONNECT_RETRY_S = 0.05
STOP_TIMEOUT_S = 5.0
MIN_UPTIME_S = 10.0
"""An engine that died younger than this is restarted with growing delays."""
MAX_RESTART_DELAY_S = 10.0
START_FAILED = 3
"""Exit status of an engine that said in one line why it cannot start."""


class EngineStartFailed(EngineError):
    """The engine cannot start with this configuration; it has said why on stderr."""


class EngineProcess:
    """Supervise the engine that ``client`` is connected to."""

    def __init__(
        self, config: EngineConfig, client: EngineClient, log_level: str = "INFO"
    ) -> None:
        self._config = config
        self._log_level = log_level
        self._client = client
        self._process: asyncio.subprocess.Process | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self.num_restarts = 0

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    async def start(self) -> link.Ready:
        """
        Start the first engine and wait until it is ready.

        Raises:
            EngineStartFailed: It refused to start; its one line on stderr says why.
            EngineGone: It crashed, or was not ready in time.
        """
        self._folder = tempfile.TemporaryDirectory(prefix="assistant-")
        return await self._launch()

    async def watch(self) -> None:
        """Run until cancelled: restart the engine whenever it is gone."""
        loop = asyncio.get_running_loop()
        delay_s = 0.0
        while True:
            started = loop.time()
            await self._until_gone()
            delay_s = 0.0 if loop.time() - started > MIN_UPTIME_S else delay_s
            while True:
                await asyncio.sleep(delay_s)
                delay_s = min(MAX_RESTART_DELAY_S, max(0.25, delay_s * 2))
                self.num_restarts += 1
                try:
                    ready = await self._launch()
                except EngineError as error:
                    log.error("engine restart failed: %s", error)
                    await self._kill()
                else:
                    log.warning("engine restarted: model=%s", ready.model)
                    break

    async def stop(self) -> None:
        """End the process: politely, then not. A cancelled stop leaves it running."""
        process, self._process = self._process, None
        self._client.disconnect()
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                async with asyncio.timeout(STOP_TIMEOUT_S):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
        if self._folder is not None:
            self._folder.cleanup()

    async def _launch(self) -> link.Ready:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._config.start_timeout_s
        assert self._folder is not None, "restarted before it was started"
        path = Path(self._folder.name) / "engine.sock"
        path.unlink(missing_ok=True)
        try:
            self._process = process = await asyncio.create_subprocess_exec(
                *self._command(path), stdin=asyncio.subprocess.DEVNULL
            )
        except OSError as error:  # no memory or no process to spare, perhaps for a while
            raise EngineGone(f"cannot start the engine: {error.strerror}") from error
        while not path.exists():
            if process.returncode is not None:
                raise _ended(process.returncode)
            if loop.time() >= deadline:
                raise EngineGone(
                    f"the engine was not ready within {self._config.start_timeout_s:g} s"
                )
            await asyncio.sleep(CONNECT_RETRY_S)
        try:
            return await self._client.connect(path, deadline - loop.time())
        except EngineGone:
            # An engine that says why it cannot start closes the link and ends.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STOP_TIMEOUT_S):
                    raise _ended(await process.wait()) from None
            raise

    def _command(self, path: Path) -> list[str]:
        return [
            *(sys.executable, "-m", "assistant.engine.process"),
            *("--socket", str(path)),
            *("--config-json", json.dumps(asdict(self._config))),
            *("--parent-pid", str(os.getpid())),
            *("--log-level", self._log_level),
        ]

    async def _until_gone(self) -> None:
        """Return when the process has ended; kill one whose link or loop is dead."""
        process = self._process
        assert process is not None
        while process.returncode is None:
            alive = await self._client.ping(self._config.hang_timeout_s)
            if process.returncode is None and not alive:
                log.error("engine pid=%d does not answer; killing it", process.pid)
                await self._kill()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PING_INTERVAL_S):
                    await process.wait()
        log.error("engine pid=%d ended with status %s", process.pid, process.returncode)
        self._client.disconnect()

    async def _kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
        self._client.disconnect()


def _ended(status: int) -> EngineError:
    """Return why a start failed: with what the engine says, or with what it does not."""
    if status == START_FAILED:
        return EngineStartFailed(f"the engine refused to start, with status {status}")
    return EngineGone(f"the engine ended with status {status} before it was ready")
