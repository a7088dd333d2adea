"""
How long packets of sound are held, in simulation.

    python -m tests.bench.jitter [--packets 20000]

For each network: ours, a plain buffer that plays everything a fixed 80 ms after it was
sent, and, where aiortc is installed, the one that it has. Hold is the time from a
packet's arrival to its release; "heard" is the share of the packets sent that was
released. "After the last loss" looks at the time from 2 s after it.

Prints a table; the last line is JSON. No real time passes.
"""

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random

from assistant.media.jitter import JitterBuffer, Released

PACKET_S = 0.02
FIXED_S = 0.08
SETTLED_S = 2.0


@dataclass(frozen=True, slots=True)
class Arrival:
    """A packet at the end of its way."""

    number: int
    at_s: float


def arrivals(
    num_packets: int,
    rng: Random,
    *,
    loss: float = 0.0,
    jitter_s: float = 0.0,
    keeps_order: bool = False,
    until_s: float = 1e9,
    resent_after_s: float | None = None,
) -> list[Arrival]:
    """
    Send a packet every 20 ms through a network; return those that come, as they come.

    Args:
        num_packets: That are sent.
        rng: Chance.
        loss: Share that never comes.
        jitter_s: Delay is uniform up to this.
        keeps_order: Delay makes others wait instead of being overtaken.
        until_s: Then loss and jitter are over.
        resent_after_s: A lost one is sent again so much later (and may be lost again).
    """
    found = []
    last_s = 0.0
    for number in range(num_packets):
        sent_s = number * PACKET_S
        is_bad = sent_s < until_s
        if is_bad and rng.random() < loss:
            if resent_after_s is None or rng.random() < loss:
                continue
            sent_s += PACKET_S + resent_after_s
        at_s = sent_s + (rng.uniform(0, jitter_s) if is_bad else 0.0)
        if keeps_order:
            at_s = last_s = max(last_s, at_s)
        found.append(Arrival(number, at_s))
    return sorted(found, key=lambda one: one.at_s)


def play(sent: Sequence[Arrival], jitter: JitterBuffer) -> Iterator[tuple[Released, float]]:
    """Hand packets to the buffer as they come, wake it when it asks for it."""
    for one in sent:
        while (at_s := jitter.wake_at()) is not None and at_s < one.at_s:
            yield from ((released, at_s) for released in jitter.due(at_s))
        payload = str(one.number).encode()
        jitter.receive(one.number & 0xFFFF, one.number * 960, payload, one.at_s)
        yield from ((released, one.at_s) for released in jitter.due(one.at_s))
    while (at_s := jitter.wake_at()) is not None:
        yield from ((released, at_s) for released in jitter.due(at_s))


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the value that so many percent do not exceed."""
    return sorted(values)[int(percent / 100 * (len(values) - 1))]


Holds = list[tuple[float, float]]
"""(hold, when released), both in seconds."""


def ours(sent: Sequence[Arrival]) -> Holds:
    return [(released.hold_s, at_s) for released, at_s in play(sent, JitterBuffer())]


def fixed(sent: Sequence[Arrival]) -> Holds:
    """Play every packet a fixed time after it was sent; drop what comes later."""
    due = [(one.number * PACKET_S + FIXED_S, one.at_s) for one in sent]
    return [(due_s - at_s, due_s) for due_s, at_s in due if at_s <= due_s]


def stock(sent: Sequence[Arrival]) -> Holds | None:
    """The buffer of aiortc, set as its receiver sets it for sound."""
    try:
        from aiortc.jitterbuffer import JitterBuffer as Stock
        from aiortc.rtp import RtpPacket
    except ImportError:
        return None
    buffer = Stock(capacity=16, prefetch=4)
    arrived = {}
    found = []
    for one in sent:
        packet = RtpPacket(sequence_number=one.number & 0xFFFF, timestamp=one.number * 960)
        packet._data = b"x"  # type: ignore[attr-defined]  # its parser adds it
        arrived[one.number] = one.at_s
        _, frame = buffer.add(packet)
        if frame is not None:
            found.append((one.at_s - arrived[frame.timestamp // 960], one.at_s))
    return found


NETWORKS: dict[str, dict[str, float | bool]] = {
    "clean": {},
    "60 ms jitter, in order": {"jitter_s": 0.06, "keeps_order": True},
    "5 % loss": {"loss": 0.05},
    "5 % loss + 30 ms jitter": {"loss": 0.05, "jitter_s": 0.03},
    "5 % loss + 60 ms jitter": {"loss": 0.05, "jitter_s": 0.06},
    "10 % loss + 60 ms jitter": {"loss": 0.10, "jitter_s": 0.06},
    "20 % loss + 60 ms jitter": {"loss": 0.20, "jitter_s": 0.06},
    "10 % loss, sent again in 40 ms": {"loss": 0.10, "resent_after_s": 0.04},
    "10 % loss, sent again in 80 ms": {"loss": 0.10, "resent_after_s": 0.08},
}
BUFFERS: dict[str, Callable[[Sequence[Arrival]], Holds | None]] = {
    "ours": ours,
    "fixed": fixed,
    "aiortc": stock,
}


def figures(held: Holds, num_packets: int) -> dict[str, float]:
    """Return hold in ms and the share heard."""
    only = [hold_s for hold_s, _ in held] or [0.0]
    return {
        "p50_ms": round(percentile(only, 50) * 1000, 1),
        "p95_ms": round(percentile(only, 95) * 1000, 1),
        "max_ms": round(max(only) * 1000, 1),
        "heard": round(len(held) / num_packets, 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="how long packets of sound are held")
    parser.add_argument("--packets", type=int, default=20_000)
    num_packets = parser.parse_args().packets
    results: dict[str, dict[str, dict[str, float]]] = {}
    for name, network in NETWORKS.items():
        sent = arrivals(num_packets, Random(7), **network)  # type: ignore[arg-type]  # a table of keyword arguments
        results[name] = {
            buffer: figures(held, num_packets)
            for buffer, run in BUFFERS.items()
            if (held := run(sent)) is not None
        }
    half_s = num_packets * PACKET_S / 2
    sent = arrivals(num_packets, Random(7), loss=0.10, jitter_s=0.06, until_s=half_s)
    results["after the last loss"] = {
        buffer: figures([one for one in held if one[1] > half_s + SETTLED_S], num_packets)
        for buffer, run in BUFFERS.items()
        if (held := run(sent)) is not None
    }
    print(f"{'':32}{'':8}{'p50':>8}{'p95':>8}{'max ms':>8}{'heard':>9}")
    for name, row in results.items():
        for buffer, found in row.items():
            print(
                f"{name:32}{buffer:8}{found['p50_ms']:8}{found['p95_ms']:8}"
                f"{found['max_ms']:8}{found['heard']:9.1%}"
            )
    print(json.dumps({"bench": "jitter", "packets": num_packets, "hold": results}))


if __name__ == "__main__":
    main()
