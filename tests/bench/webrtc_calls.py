"""
How soon a WebRTC call is set up, and what calls leave behind.

    python -m tests.bench.webrtc_calls [--calls 300] [--vanishing 0.5] [--url URL]
    python -m tests.bench.webrtc_calls --calls 40 --profile loss20

Calls come one after the other from a stock aiortc peer: the clock runs from its offer to
the open data channel, so the answer over HTTP, ICE, DTLS and SCTP are in it. That share of
them goes without good-bye; the others hang up. Without ``--url`` a service is started, and
its open files and memory are compared before and after.

With a profile of ``tests/impairment.py`` the service is at the other end of an impaired
network, which needs root; its offers and answers go that way, too.

Prints a table; the last line is JSON.
"""

import argparse
import asyncio
import json
import statistics
import time
import urllib.request

from tests.gateway.rtc.caller import PATH, Caller
from tests.network import ImpairedNetwork, why_not
from tests.service.harness import RunningService, running

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


async def set_up_all(url: str, num_calls: int, vanishing: float) -> list[float | None]:
    return [
        await set_up(url, vanishes=number * vanishing % 1 + vanishing >= 1)
        for number in range(num_calls)
    ]


def set_up_far(profile: str, num_calls: int, vanishing: float) -> list[float | None]:
    """Call a service at the other end of an impaired network."""
    if (reason := why_not()) is not None:
        raise SystemExit(reason)
    with ImpairedNetwork(profile) as network:
        with network.inside("server"):
            service = RunningService("--model", "random", "--host", network.SERVER)
        try:
            with network.inside("client"):
                return asyncio.run(set_up_all(service.url, num_calls, vanishing))
        finally:
            service.stop()


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
    service: RunningService, num_calls: int, vanishing: float
) -> dict[str, object]:
    """Call a service of our own; return the figures, and what is left of the calls."""
    asyncio.run(set_up_all(service.url, WARM_UP, 0.0))
    time.sleep(1.0)
    num_files, rss_mb = service.num_files(), service.rss_mb()
    took = asyncio.run(set_up_all(service.url, num_calls, vanishing))
    time.sleep(VANISHED_S)
    return report(took) | {
        "files_left": service.num_files() - num_files,
        "rss_growth_mb": round(service.rss_mb() - rss_mb, 1),
        "sessions_left": service.get("/health")["sessions"],
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", type=int, default=300)
    parser.add_argument("--vanishing", type=float, default=0.0)
    parser.add_argument("--url", default="")
    parser.add_argument("--profile", default="")
    options = parser.parse_args()
    if options.profile:
        took = set_up_far(options.profile, options.calls, options.vanishing)
        figures = report(took) | {"profile": options.profile}
    elif options.url:
        took = asyncio.run(set_up_all(options.url, options.calls, options.vanishing))
        figures = report(took)
    else:
        with running("--model", "random") as service:
            figures = left_behind(service, options.calls, options.vanishing)
    for name, value in figures.items():
        print(f"{name:<16} {value}")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
