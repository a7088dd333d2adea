"""
What becomes of speech on its way through bad networks, in simulation.

    python -m tests.bench.rtc_loss [--seconds 60] [--seed 1]

A recorded sentence, over and over, goes as Opus with FEC through the profiles of
``tests/impairment.py`` to the receiver of a call. Half of the rows ask for lost packets
again (NACK), through the same network. "True" are packets that came in time, "FEC" those
taken from the packet behind; "concealed" are guesses, most of them in pauses, for which
Opus writes no FEC; "held" is how long sound was held back.

Prints a table; the last line is JSON. No real time passes.
"""

import argparse
import heapq
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from random import Random

from assistant.media.rtp_audio import AudioReceiver, AudioStats
from tests.bench.jitter import percentile
from tests.impairment import PROFILES, Profile, Way
from tests.media.rtp_streams import RtpPacket, audio_packets, spoken_payloads

PROFILES_SHOWN = (
    *("clean", "loss1", "loss5", "loss10", "loss20", "loss10jitter60", "loss10rtt80"),
    *("wifi", "lte", "3g", "car"),
)
SETTLED_S = 0.2
"""After the last packet; what is held is heard by then, and no silence is added yet."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a receiver made of a stream."""

    stats: AudioStats
    num_packets: int
    heard_s: float
    holds_s: list[float]

    @property
    def true(self) -> float:
        """The share of packets that were there when their turn came."""
        return 1 - self.stats.lost / self.num_packets

    @property
    def recovered(self) -> float:
        return self.stats.recovered / self.num_packets

    @property
    def accounted(self) -> float:
        """The share of time that was heard, or counted as skipped."""
        return (self.heard_s + self.stats.skipped_s) / (self.num_packets * 0.02)


class _Call:
    """A sender, a network and a receiver; time is that of the events."""

    def __init__(
        self,
        packets: Sequence[RtpPacket],
        profile: Profile,
        rng: Random,
        receiver: AudioReceiver,
        *,
        asks_again: bool,
    ) -> None:
        assert len(packets) <= 0x10000, "a packet's place is its sequence number"
        self.receiver = receiver
        self.num_samples = 0
        self.holds_s: list[float] = []
        self._asks_again = asks_again
        self._packets = packets
        self._up, self._down = Way(profile, rng), Way(profile, rng)
        self._order = itertools.count()
        self._events: list[tuple[float, int, str, bytes]] = []
        for place, packet in enumerate(packets):
            self._at(packet.sent_s, "sent", place.to_bytes(4, "big"))

    def run(self) -> None:
        at_s = 0.0
        while self._events:
            at_s, _, kind, data = heapq.heappop(self._events)
            while (wake_s := self.receiver.wake_at()) is not None and wake_s < at_s:
                self._hear(wake_s)
            if kind == "sent":
                place = int.from_bytes(data[:4], "big")
                size = len(self._packets[place].payload) + 40
                self._carry(self._up, at_s, data.ljust(size, b"\x00"), "arrived")
            elif kind == "arrived":
                self._up.num_queued -= 1
                self._arrive(self._packets[int.from_bytes(data[:4], "big")], at_s)
            else:
                self._down.num_queued -= 1
                for at in range(40, len(data), 4):
                    self._at(at_s, "sent", data[at : at + 4])

        wake_s = self.receiver.wake_at()
        if wake_s is not None and wake_s < at_s + SETTLED_S:
            self._hear(wake_s)

    def _arrive(self, packet: RtpPacket, now: float) -> None:
        number, timestamp = packet.sequence, packet.timestamp
        self.receiver.packet(number, timestamp, packet.payload, now)
        self._hear(now)
        missing = self.receiver.missing(now) if self._asks_again else []
        if missing:
            places = b"".join(number.to_bytes(4, "big") for number in missing)
            self._carry(self._down, now, bytes(40) + places, "asked")

    def _hear(self, now: float) -> None:
        parts = self.receiver.due(now)
        self.num_samples += sum(len(part) for part in parts)
        if parts:
            self.holds_s.append(self.receiver.stats().hold_ms / 1000)

    def _carry(self, way: Way, now: float, data: bytes, kind: str) -> None:
        for due_s, carried in way.send(data, now):
            self._at(due_s, kind, carried)

    def _at(self, at_s: float, kind: str, data: bytes) -> None:
        heapq.heappush(self._events, (at_s, next(self._order), kind, data))


def carry(
    packets: Sequence[RtpPacket],
    profile: Profile,
    seed: int,
    *,
    asks_again: bool,
    receiver: AudioReceiver | None = None,
) -> Outcome:
    """Send packets through a network; return what was heard."""
    receiver = receiver or AudioReceiver()
    call = _Call(packets, profile, Random(seed), receiver, asks_again=asks_again)
    call.run()
    return Outcome(receiver.stats(), len(packets), call.num_samples / 16_000, call.holds_s)


def main() -> None:
    parser = argparse.ArgumentParser(description="speech through bad networks")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    packets = audio_packets(list(islice(cycle(spoken_payloads()), options.seconds * 50)))
    rows = {}
    print(
        f"{'':16}{'NACK':5}{'true':>8}{'FEC':>8}{'concealed':>10}{'skipped s':>10}"
        f"{'accounted':>10}{'held p50':>9}{'p95':>7}{'max ms':>8}"
    )
    for name, asks_again in itertools.product(PROFILES_SHOWN, (False, True)):
        outcome = carry(packets, PROFILES[name], options.seed, asks_again=asks_again)
        stats, holds = outcome.stats, outcome.holds_s
        held = [round(percentile(holds, percent) * 1000, 1) for percent in (50, 95, 100)]
        row = {
            "true": round(outcome.true, 4),
            "fec": round(outcome.recovered, 4),
            "concealed": round(stats.concealed / outcome.num_packets, 4),
            "skipped_s": round(stats.skipped_s, 2),
            "accounted": round(outcome.accounted, 4),
            "held_ms": held,
        }
        rows[f"{name}{' + NACK' if asks_again else ''}"] = row
        print(
            f"{name:16}{'yes' if asks_again else '':5}{row['true']:8.2%}{row['fec']:8.2%}"
            f"{row['concealed']:10.2%}{row['skipped_s']:10}{row['accounted']:10.2%}"
            f"{held[0]:9}{held[1]:7}{held[2]:8}"
        )
    print(json.dumps({"bench": "rtc_loss", "seconds": options.seconds, "profiles": rows}))


if __name__ == "__main__":
    main()
