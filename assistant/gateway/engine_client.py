"""
The gateway's end of the engine link: orders out, reports to the call they belong to.

There is one connection per gateway and one queue per direction, both ordered. When the
connection ends, every call is told that the engine is gone; nothing is sent twice.
"""

import asyncio
import itertools
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, cast

from assistant.errors import EngineGone, ProtocolError
from assistant.turns.load import Load
from assistant.wire import link

log = logging.getLogger(__name__)


class Listener(Protocol):
    """A call, as seen from the engine."""

    def receive_report(self, report: link.Report) -> None: ...

    def receive_engine(self, ready: link.Ready | None) -> None: ...


class EngineClient(asyncio.Protocol):
    """Send orders; hand each report to the listener that opened its sequence."""

    def __init__(self) -> None:
        self.ready: link.Ready | None = None
        """What the engine said of itself; None while there is none."""
        self.sequence_numbers: Iterator[int] = itertools.count(1)
        self.load = Load()
        """What all calls of this gateway ask of the engine."""
        self._listeners: set[Listener] = set()
        self._owners: dict[int, Listener] = {}
        self._transport: asyncio.Transport | None = None
        self._deframer = link.Deframer()
        self._became_ready = asyncio.Event()
        self._lost = asyncio.Event()
        self._pongs = 0

    # --- for calls ----------------------------------------------------------------------

    def subscribe(self, listener: Listener) -> None:
        """Tell ``listener`` now, and whenever it changes, whether there is an engine."""
        self._listeners.add(listener)
        listener.receive_engine(self.ready)

    def unsubscribe(self, listener: Listener) -> None:
        self._listeners.discard(listener)
        self._owners = {n: owner for n, owner in self._owners.items() if owner != listener}

    def adopt(self, sequence: int, listener: Listener) -> None:
        """Give the reports of an open sequence to another listener."""
        self._owners[sequence] = listener

    def send(self, order: link.Order, listener: Listener) -> None:
        """Send one order. Without an engine it is dropped: the listener was told."""
        if self._transport is None:
            return
        if isinstance(order, link.Open):
            self._owners[order.sequence] = listener
        elif isinstance(order, link.Close):
            self._owners.pop(order.sequence, None)
        try:
            frame = link.encode(order)
        except ProtocolError as error:
            # Only an Append can be that long. It is answered as the engine would.
            assert isinstance(order, link.Append)
            failed = link.Failed(
                sequence=order.sequence,
                generation=None,
                code="prompt_too_large",
                message=str(error),
            )
            asyncio.get_running_loop().call_soon(self._receive, failed)
            return
        self._transport.write(frame)

    # --- for the supervisor -------------------------------------------------------------

    async def connect(self, path: Path, timeout_s: float) -> link.Ready:
        """
        Connect and wait until the engine says it is ready. Cancelling drops the connection.

        Raises:
            EngineGone: The connection ended first, or the time ran out.
        """
        self._deframer = link.Deframer()
        self._became_ready.clear()
        self._lost.clear()
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout_s):
                await loop.create_unix_connection(lambda: self, str(path))
                ready = asyncio.create_task(self._became_ready.wait())
                lost = asyncio.create_task(self._lost.wait())
                try:
                    await asyncio.wait({ready, lost}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    ready.cancel()
                    lost.cancel()
        except TimeoutError:
            self.disconnect()
            raise EngineGone(f"the engine was not ready within {timeout_s:g} s") from None
        except OSError as error:
            # It ended, or was killed, between making its socket and being connected to.
            raise EngineGone(f"cannot connect to the engine: {error.strerror}") from error
        except BaseException:
            self.disconnect()
            raise
        if self.ready is None:
            raise EngineGone("the engine closed the link before it was ready")
        return self.ready

    async def ping(self, timeout_s: float) -> bool:
        """Return whether the engine answered within the time."""
        if self._transport is None:
            return False
        before = self._pongs
        self._transport.write(link.encode(link.Ping(before)))
        deadline = asyncio.get_running_loop().time() + timeout_s
        while self._pongs == before and self._transport is not None:
            if asyncio.get_running_loop().time() >= deadline:
                return False
            await asyncio.sleep(0.05)
        return self._pongs != before

    def disconnect(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # --- asyncio.Protocol ---------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the interface but not the base class.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        try:
            for payload in self._deframer.receive_data(data):
                self._receive(link.decode_report(payload))
        except ProtocolError:
            log.exception("the engine broke the link protocol; dropping it")
            self.disconnect()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self.ready = None
        self._owners.clear()
        self._lost.set()
        for listener in list(self._listeners):
            listener.receive_engine(None)

    def _receive(self, report: link.Report) -> None:
        if isinstance(report, link.Ready):
            self.ready = report
            self._became_ready.set()
            for listener in list(self._listeners):
                listener.receive_engine(report)
        elif isinstance(report, link.Pong):
            self._pongs += 1
        else:
            owner = self._owners.get(report.sequence)
            if owner is not None:  # else: of a sequence that was closed meanwhile
                owner.receive_report(report)
