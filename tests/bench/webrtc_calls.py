"""
How soon a WebRTC call is set up, and what calls leave behind.

    python -m tests.bench.webrtc_calls [--calls 300] [--vanishing 0.5] [--url URL]
    python -m tests.bench.webrtc_calls --peer libwebrtc [--calls 300]
    python -m tests.bench.webrtc_calls --peer libwebrtc --calls 40 --profile udploss20

Calls come one after the other from a stock aiortc peer, or from libwebrtc in node (npm
install --prefix tests/clients/peers): the clock runs from the offer to the open data
channel, so the answer over HTTP, ICE, DTLS and SCTP are in it. That share of aiortc's
calls goes without good-bye; the others hang up. Without ``--url`` a service is started, and
its open files and memory are compared before and after.

With a profile of ``tests/impairment.py`` the service is at the other end of an impaired
network, which needs root; its offers and answers go that way, too.

Prints a table; the last line is JSON.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from tests.gateway.rtc.caller import PATH, Caller
from tests.network import ImpairedNetwork, why_not
from tests.service.harness import RunningService, running

PROGRAM = Path(__file__).parents[1] / "clients" / "peers" / "set_up.mjs"
AT_ONCE = 25
TIMEOUT_S = 20.0
WARM_UP = 10
VANISHED_S = 12.0
"""After which nothing of a peer that went without good-bye is left."""


def post(url: str, offer: str) -> str:
    """Return the answer to an offer."""
    request = urllib.request.Request(url + PATH, offer.encode(), method="POST")
    request.add_header("content-type", "application/sdp")
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
        text: str = answer.read().decode()
    return text


async def set_up(url: str, *, vanishes: bool) -> float | None:
    """Make one call and end it; return the seconds it took, None if it never opened."""
    caller = Caller()
    began = time.perf_counter()
    took_s = None
    try:
        async with asyncio.timeout(TIMEOUT_S):
            answer = await asyncio.to_thread(post, url, await caller.offer())
            await caller.accept(answer)
            await caller.is_open.wait()
        took_s = time.perf_counter() - began
    except (TimeoutError, OSError) as error:
        print(f"a call was not set up: {error!r}")
    if vanishes:
        caller.vanish()
    await caller.close()
    return took_s


def by_aiortc(url: str, num_calls: int, vanishing: float) -> list[float | None]:
    """Make calls, that share of which vanishes; return the seconds each took."""

    async def call() -> list[float | None]:
        return [
            await set_up(url, vanishes=number * vanishing % 1 + vanishing >= 1)
            for number in range(num_calls)
        ]

    return asyncio.run(call())


def by_libwebrtc(url: str, num_calls: int, vanishing: float) -> list[float | None]:
    """As ``by_aiortc``; all hang up."""
    if vanishing:
        raise SystemExit("libwebrtc always says good-bye")
    took: list[float | None] = []
    # A process of node falls over some hundred peers that it has closed.
    for first in range(0, num_calls, AT_ONCE):
        count = min(AT_ONCE, num_calls - first)
        program = ("node", str(PROGRAM), url, str(count), str(TIMEOUT_S))
        within_s = count * (TIMEOUT_S + 5)
        output = subprocess.run(
            program, stdout=subprocess.PIPE, timeout=within_s, check=True
        )
        for line in output.stdout.splitlines():
            call = json.loads(line)
            if "failed" in call:
                print(f"a call was not set up: {call['failed']}")
            took.append(call["ms"] / 1000 if "ms" in call else None)
    return took


PEERS: dict[str, Callable[[str, int, float], list[float | None]]] = {
    "aiortc": by_aiortc,
    "libwebrtc": by_libwebrtc,
}


def set_up_far(
    peer: str, profile: str, num_calls: int, vanishing: float
) -> list[float | None]:
    """Call a service at the other end of an impaired network."""
    if (reason := why_not()) is not None:
        raise SystemExit(reason)
    with ImpairedNetwork(profile) as network:
        with network.inside("server"):
            service = RunningService("--model", "random", "--host", network.SERVER)
        try:
            with network.inside("client"):
                return PEERS[peer](service.url, num_calls, vanishing)
        finally:
            service.stop()
            for way, count in network.counts().items():
                print(f"{way}: {count['lost']} of {count['sent']} packets lost")


def report(took: list[float | None]) -> dict[str, object]:
    ms = sorted(seconds * 1000 for seconds in took if seconds is not None)
    figures: dict[str, object] = {"calls": len(took), "connected": len(ms)}
    if len(ms) > 1:
        figures |= {
            "p50_ms": round(statistics.median(ms), 1),
            "p95_ms": round(ms[int(0.95 * (len(ms) - 1))], 1),
            "max_ms": round(ms[-1], 1),
        }
    return figures


def left_behind(
    service: RunningService, peer: str, num_calls: int, vanishing: float
) -> dict[str, object]:
    """Call a service of our own; return the figures, and what is left of the calls."""
    PEERS[peer](service.url, WARM_UP, 0.0)
    time.sleep(1.0)
    num_files, rss_mb = service.num_files(), service.rss_mb()
    took = PEERS[peer](service.url, num_calls, vanishing)
    time.sleep(VANISHED_S)
    return report(took) | {
        "files_left": service.num_files() - num_files,
        "rss_growth_mb": round(service.rss_mb() - rss_mb, 1),
        "sessions_left": service.get("/health")["sessions"],
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--peer", choices=PEERS, default="aiortc")
    parser.add_argument("--calls", type=int, default=300)
    parser.add_argument("--vanishing", type=float, default=0.0)
    parser.add_argument("--url", default="")
    parser.add_argument("--profile", default="")
    options = parser.parse_args()
    if options.profile:
        far = (options.profile, options.calls, options.vanishing)
        figures = report(set_up_far(options.peer, *far)) | {"profile": options.profile}
    elif options.url:
        took = PEERS[options.peer](options.url, options.calls, options.vanishing)
        figures = report(took)
    else:
        with running("--model", "random") as service:
            near = (options.calls, options.vanishing)
            figures = left_behind(service, options.peer, *near)
    figures = {"peer": options.peer, **figures}
    for name, value in figures.items():
        print(f"{name:<16} {value}")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
