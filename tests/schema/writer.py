"""Write at random whatever a grammar allows, and stop in time."""

import random

from assistant.schema import grammar
from assistant.schema.grammar import END, Node, Thread


def write(node: Node, rng: random.Random, budget: int) -> bytes:
    """Return a text of the grammar of at most ``budget`` bytes."""
    threads, data = grammar.start(node), b""
    while True:
        options: list[tuple[int, tuple[Thread, ...]]] = []
        for byte in rng.sample(range(256), 256):
            if len(options) == 3:
                break  # enough to choose from
            following = grammar.advance(threads, bytes([byte]))
            left = min((thread.left for thread in following), default=budget + 1)
            if left <= budget - len(data) - 1:
                options.append((byte, following))
        if not options or (END in threads and rng.random() < 0.5):
            assert END in threads, data
            return data
        byte, threads = rng.choice(options)
        data += bytes([byte])
