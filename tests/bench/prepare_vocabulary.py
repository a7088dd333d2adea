"""
How long an engine with the full-size vocabulary prepares for constrained replies.

    python -m tests.bench.prepare_vocabulary [--tokens N]

That happens once, before it is ready. The pieces are made up: words of two to twelve
bytes, one in eight with characters beyond ASCII, cut anywhere. Prints CPU seconds of each
part; the last line is JSON.
"""

import argparse
import json
import random
import time

from assistant.engine.vocabulary import Vocabulary

ALPHABET = [*"etaoinshrdlucmfwypvbgkjqxz ETAOIN0123456789", *'.,:;-_()[]{}"\\/', "\n"]
BEYOND = [*"äéßñøжди中文日本語", "😀"]


def pieces(count: int) -> list[bytes]:
    rng = random.Random(0)
    found: dict[bytes, None] = {bytes([byte]): None for byte in range(256)}
    while len(found) < count:
        letters = BEYOND + ALPHABET if rng.random() < 0.125 else ALPHABET
        word = "".join(rng.choices(letters, k=rng.randint(2, 12))).encode()
        found.setdefault(word[: rng.randint(2, len(word))])
    return list(found)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tokens", type=int, default=200_064)
    arguments = parser.parse_args()
    made = [*pieces(arguments.tokens - 3), b"", b"", b""]
    end = len(made)
    words = Vocabulary(made, call=end - 3, call_end=end - 2, stop_ids=frozenset({end - 1}))
    costs = {}
    for name in ("_tokens", "_rests", "_in_strings"):
        began = time.process_time()
        getattr(words, name)
        costs[name.strip("_")] = round(time.process_time() - began, 3)
        print(f"{name.strip('_'):12} {costs[name.strip('_')]:8.3f} s")
    print(
        json.dumps(
            {"tokens": end, "cpu_s": costs, "total_s": round(sum(costs.values()), 3)}
        )
    )


if __name__ == "__main__":
    main()
