"""Write at random whatever a grammar allows, and stop in time."""

import random
from functools import lru_cache

from assistant.schema import grammar
from assistant.schema.grammar import END, Node, Thread

Threads = tuple[Thread, ...]


@lru_cache(maxsize=20_000)
def followers(threads: Threads) -> list[tuple[int, Threads]]:
    """Return every byte that may come next, and where it leads."""
    found = ((byte, grammar.advance(threads, bytes([byte]))) for byte in range(256))
    return [(byte, following) for byte, following in found if following]


def write(node: Node, rng: random.Random, budget: int) -> bytes:
    """Return a text of the grammar of at most ``budget`` bytes."""
    threads, data = grammar.start(node), b""
    while True:
        room = budget - len(data) - 1
        options = [
            (byte, following)
            for byte, following in followers(threads)
            if min(thread.left for thread in following) <= room
        ]
        if not options or (END in threads and rng.random() < 0.5):
            assert END in threads, data
            return data
        byte, threads = rng.choice(options)
        data += bytes([byte])
