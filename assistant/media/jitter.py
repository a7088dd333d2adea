"""
PURE: packets in order, held no longer than waiting has lately been worth.

Whoever listens to understand has no loudspeaker to feed, so nothing is collected ahead: a
packet that follows the last one leaves at once, whatever the network's jitter. Only a
packet behind a missing one is held, in the hope that the missing one still comes:

* A gap is noticed when the first packet behind it arrives. It is waited for ``wait_s``
  from then on; then it is lost, and what follows leaves.
* ``wait_s`` is learnt: it covers how long after their gap was noticed the missing packets
  of the last seconds came, also those that came too late. Where nothing missing ever
  comes it shrinks to ``MIN_WAIT_S``; where packets overtake each other or are sent again
  on request it grows to what that takes, at most to ``max_wait_s``. A packet that could
  only have come later than that is not a reason to wait.
* At most ``MAX_PACKETS`` are held: one more, and the oldest gap is lost at once.

So a packet is never held for more than ``max_wait_s``, and after the last loss the hold is
nothing from the next packet on.
"""

import math
from collections import deque
from dataclasses import dataclass

from assistant.media.rtp_numbers import Numbered, SequenceNumbers

MIN_WAIT_S = 0.02
"""One packet: the first one behind a gap says that there is one and brings its FEC."""
MAX_WAIT_S = 0.16
MARGIN_S = 0.01
"""Waited longer than missing packets have taken lately."""
SHARE_COVERED = 0.95
"""Of the missing packets that came at all, so many are waited for."""
SHARE_WORTH_IT = 0.1
"""Of the missing packets, so many must have come for a wait beyond the least."""
MEMORY_S = 10.0
MEMORY_PACKETS = 50
"""For so long, and of so many, the fate of missing packets is remembered."""
MAX_PACKETS = 64
"""1.3 s of packets of 20 ms, held or released and not taken."""
MAX_GIVEN_UP = 256
"""Lost packets that are known by number, to tell a late one from a duplicate."""
ASK_AGAIN_S = 0.05
MAX_ASKED = 3
MAX_ASKED_AT_ONCE = 32
"""Gaps longer than this are an outage; what was said in it comes too late."""


@dataclass(frozen=True, slots=True)
class Released:
    """A packet whose turn it is."""

    timestamp: int
    """As it was sent, 32 bits."""
    payload: bytes
    num_lost: int
    """Packets missing between the one released before and this one."""
    is_first: bool
    """Of a sender: nothing before it belongs to the same stream."""
    hold_s: float


@dataclass(slots=True)
class JitterCounts:
    """What came, by packets."""

    received: int = 0
    duplicate: int = 0
    lost: int = 0
    """Given up, including the late ones."""
    late: int = 0
    """Came after they had been given up."""
    unbelieved: int = 0
    """Numbered nowhere near the others."""
    dropped: int = 0
    """Released, but not taken before ``MAX_PACKETS`` others were."""


@dataclass(frozen=True, slots=True)
class _Held:
    timestamp: int
    payload: bytes
    arrived: float


@dataclass(slots=True)
class _Gap:
    noticed: float
    asked: float = -math.inf
    num_asked: int = 0


class JitterBuffer:
    """Orders the packets of one stream."""

    def __init__(self, max_wait_s: float = MAX_WAIT_S) -> None:
        self.counts = JitterCounts()
        self._max_wait_s = max_wait_s
        self._numbers = SequenceNumbers()
        self._next = 0
        """The number whose turn it is."""
        self._end = 0
        """One past the highest number received."""
        self._held: dict[int, _Held] = {}
        self._gaps: dict[int, _Gap] = {}
        """By missing number, ascending: each in [_next, _end) is here or held."""
        self._num_lost = 0
        self._is_first = True
        self._released: deque[Released] = deque()
        self._given_up: dict[int, float] = {}
        self._fates: deque[tuple[float, float]] = deque(maxlen=MEMORY_PACKETS)
        """(when, how long after its gap was noticed, or infinite) a missing one came."""
        self._wait_s = min(MIN_WAIT_S, max_wait_s)

    def receive(
        self, sequence: int, timestamp: int, payload: bytes, now: float
    ) -> Numbered | None:
        """Take a packet as it arrives; None says that its number is not believed."""
        self.counts.received += 1
        numbered = self._numbers.receive(sequence)
        if numbered is None:
            self.counts.unbelieved += 1
            return None
        number = numbered.number
        if numbered.restarted:
            self._begin(number, now)
        if number < self._next:
            self._receive_late(number, now)
        elif number in self._held:
            self.counts.duplicate += 1
        else:
            gap = self._gaps.pop(number, None)
            if gap is not None:
                self._learn(now - gap.noticed, now)
            if number > self._end:
                self._settle(now)
            for missing in range(self._end, number):
                self._gaps[missing] = _Gap(now)
            self._end = max(self._end, number + 1)
            self._held[number] = _Held(timestamp, payload, now)
            self._release(now)
        return numbered

    def due(self, now: float) -> list[Released]:
        """Return the packets whose turn it is, in order; each is returned once."""
        self._release(now)
        due = list(self._released)
        self._released.clear()
        return due

    def wake_at(self) -> float | None:
        """Return when ``due`` has more to say even if nothing arrives."""
        if self._next not in self._gaps:
            return None
        return self._gaps[self._next].noticed + self._wait_s

    def missing(self, now: float) -> list[int]:
        """
        Return the 16-bit sequence numbers that the sender should be asked for now.

        Each is named up to ``MAX_ASKED`` times, ``ASK_AGAIN_S`` apart; naming it here
        counts as having asked.
        """
        wanted: list[int] = []
        for number, gap in self._gaps.items():
            if len(wanted) == MAX_ASKED_AT_ONCE:
                break
            if gap.num_asked < MAX_ASKED and now - gap.asked >= ASK_AGAIN_S:
                gap.asked = now
                gap.num_asked += 1
                wanted.append(number & 0xFFFF)
        return wanted

    @property
    def is_holding(self) -> bool:
        """Whether packets wait for a missing one."""
        return bool(self._held)

    @property
    def wait_s(self) -> float:
        """How long a missing packet is waited for, as things are."""
        return self._wait_s

    def restart(self) -> None:
        """The next packet is the first of another sender (a new SSRC)."""
        self._numbers.forget()

    def _begin(self, number: int, now: float) -> None:
        """Let go of all that came from the sender before."""
        self._release(now, at_once=True)
        self._gaps.clear()
        self._given_up.clear()
        self._next = self._end = number
        self._num_lost = 0
        self._is_first = True

    def _receive_late(self, number: int, now: float) -> None:
        noticed = self._given_up.pop(number, None)
        if noticed is None:
            self.counts.duplicate += 1
        else:
            self.counts.late += 1
            self._learn(now - noticed, now)

    def _release(self, now: float, *, at_once: bool = False) -> None:
        while self._held:
            held = self._held.pop(self._next, None)
            if held is not None:
                self._let_go(held, now)
            elif (
                at_once
                or now >= self._gaps[self._next].noticed + self._wait_s
                or len(self._held) > MAX_PACKETS
            ):
                self._give_up(now)
            else:
                return
            self._next += 1

    def _let_go(self, held: _Held, now: float) -> None:
        self._released.append(
            Released(
                held.timestamp,
                held.payload,
                self._num_lost,
                self._is_first,
                now - held.arrived,
            )
        )
        self._num_lost = 0
        self._is_first = False
        if len(self._released) > MAX_PACKETS:
            self._released.popleft()
            self.counts.dropped += 1

    def _give_up(self, now: float) -> None:
        self._given_up[self._next] = self._gaps.pop(self._next).noticed
        if len(self._given_up) > MAX_GIVEN_UP:
            del self._given_up[next(iter(self._given_up))]
        self._num_lost += 1
        self.counts.lost += 1
        self._learn(math.inf, now)

    def _learn(self, late_s: float, now: float) -> None:
        """Take account of the fate of one missing packet: it came so late, or not."""
        self._fates.append((now, late_s))
        self._settle(now)

    def _settle(self, now: float) -> None:
        """Choose how long to wait, by what the last seconds have shown."""
        fates = self._fates
        while fates and fates[0][0] < now - MEMORY_S:
            fates.popleft()
        came = sorted(late for _, late in fates if late + MARGIN_S <= self._max_wait_s)
        wait_s = MIN_WAIT_S
        if came and len(came) >= SHARE_WORTH_IT * len(fates):
            wait_s = max(wait_s, came[int(SHARE_COVERED * (len(came) - 1))] + MARGIN_S)
        self._wait_s = min(wait_s, self._max_wait_s)
