"""
Two hundred random prompts of every kind, through our modules and through transformers'.

Both backends read the same weights (with the adapter merged) in fp32; transformers runs its
own vision tower, Conformer, decoder and cache, eagerly and one clip at a time. Compared are
the logits after the prompt and those of the greedy tokens that follow, ours in a batch of
ragged rows.
"""

import io
import random
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import PIL.Image
import pytest
import torch

from assistant.config import EngineConfig
from assistant.engine.backend import Backend
from assistant.engine.sequence import Piece
from assistant.engine.startup import load_backend
from assistant.model.checkpoint_writer import tiny_config, write_checkpoint
from assistant.wire import link
from tests.engine.model_prompts import encode_whole, turn

pytestmark = pytest.mark.parity

Kind = Literal["text", "speech", "vision", "vision and speech"]
ADAPTERS: dict[Kind, link.Adapter] = {
    "text": "none",
    "speech": "speech",
    "vision": "vision",
    "vision and speech": "vision",
}
NUM_PROMPTS = 200
NUM_TOKENS = 4
BATCH = 4
BOUND = 1e-4
LONG_S = {13: 45.0, 15: 45.0, 29: 40.0}
"""Clips around the 40 s window, where it is cut and padded; the others are short."""
WORDS = [
    "what",
    "is",
    "the",
    "colour",
    "of",
    "this",
    "and",
    "how",
    "many",
    "people",
    "were",
    "there",
    "before",
    "lunch",
    "today",
]


@dataclass
class Read:
    logits: torch.Tensor
    num_tokens: int


@dataclass
class Tally:
    num_prompts: int = 0
    num_tokens: int = 0
    max_difference: float = 0.0
    lengths: list[int] = field(default_factory=list)


def text(rng: random.Random) -> link.TextPart:
    return link.TextPart(" ".join(rng.choices(WORDS, k=rng.randint(1, 60))))


def picture(rng: random.Random) -> link.ImagePart:
    size = rng.choice([(64, 48), (48, 64), (80, 45), (50, 50), (300, 70), (448, 448)])
    noise = np.random.default_rng(rng.randrange(2**32)).integers(
        0, 256, (6, 8, 3), np.uint8
    )
    file = io.BytesIO()
    PIL.Image.fromarray(noise).resize(size).save(file, "PNG")
    return link.ImagePart(file.getvalue(), 1)


def clip(rng: random.Random, duration_s: float) -> link.AudioPart:
    generator = np.random.default_rng(rng.randrange(2**32))
    time_s = np.arange(int(duration_s * 16_000)) / 16_000
    tone = np.sin(2 * np.pi * rng.uniform(80, 400) * time_s) * np.sin(3 * time_s)
    noise = 0.02 * generator.standard_normal(len(time_s))
    return link.AudioPart((0.2 * tone + noise).astype("<f4").tobytes())


def prompt(kind: Kind, number: int) -> list[link.Part]:
    rng = random.Random(number)
    parts: list[link.Part] = []
    if "vision" in kind:
        parts += [picture(rng) for _ in range(rng.randint(1, 3))]
    if "speech" in kind:
        parts.append(clip(rng, LONG_S.get(number // BATCH, rng.uniform(0.5, 3.0))))
    if kind in ("text", "vision") or rng.random() < 0.3:
        parts.append(text(rng))
    return turn(*parts)


@pytest.fixture(scope="module")
def backends(tmp_path_factory: pytest.TempPathFactory) -> tuple[Backend, Backend]:
    folder: Path = tmp_path_factory.mktemp("models") / "native"
    write_checkpoint(folder, tiny_config("native", image_size=112), seed=5)
    settings = {"model": str(folder), "device": "cpu", "num_slots": BATCH}
    return (
        load_backend(EngineConfig(**settings, backend="native")),  # type: ignore[arg-type]  # a mapping of its fields
        load_backend(EngineConfig(**settings, backend="transformers")),  # type: ignore[arg-type]  # likewise
    )


def read(
    backend: Backend, adapter: link.Adapter, slot: int, parts: list[link.Part]
) -> Read:
    chunks = [backend.prepare(part, adapter) for part in parts]
    pieces = []
    for chunk in chunks:
        if chunk.media is not None and not chunk.is_encoded:
            chunk.media = encode_whole(backend, chunk.media, adapter)
            chunk.is_encoded = True
        pieces.append(Piece(chunk, 0, chunk.num_tokens))
    logits = backend.prefill(adapter, slot, 0, pieces, wants_logits=True)
    assert logits is not None
    return Read(logits, sum(chunk.num_tokens for chunk in chunks))


def test_two_hundred_random_prompts_have_the_logits_of_transformers(
    backends: tuple[Backend, Backend], capsys: pytest.CaptureFixture[str]
) -> None:
    ours, theirs = backends
    tallies: dict[Kind, Tally] = {kind: Tally() for kind in ADAPTERS}
    for first in range(0, NUM_PROMPTS, BATCH):
        kind = list(ADAPTERS)[first // BATCH % len(ADAPTERS)]
        compare(ours, theirs, kind, range(first, first + BATCH), tallies[kind])
    rows = [f"{'':20}{'prompts':>8}{'tokens':>8}{'longest':>8}{'max logit difference':>22}"]
    for kind, tally in tallies.items():
        counts = f"{tally.num_prompts:8}{tally.num_tokens:8}{max(tally.lengths):8}"
        rows.append(f"{kind:20}{counts}{tally.max_difference:22.1e}")
    with capsys.disabled():
        sys.stdout.write("\n" + "\n".join(rows) + "\n")
    assert sum(tally.num_prompts for tally in tallies.values()) == NUM_PROMPTS
    assert max(tally.max_difference for tally in tallies.values()) <= BOUND


def compare(
    ours: Backend, theirs: Backend, kind: Kind, numbers: range, tally: Tally
) -> None:
    """Read a batch of prompts on both sides, then write greedily, ours as one batch."""
    adapter = ADAPTERS[kind]
    slots = list(range(len(numbers)))
    prompts = [prompt(kind, number) for number in numbers]
    mine = [read(ours, adapter, slot, p) for slot, p in zip(slots, prompts, strict=True)]
    other = [read(theirs, adapter, slot, p) for slot, p in zip(slots, prompts, strict=True)]
    positions = [r.num_tokens for r in mine]
    assert positions == [r.num_tokens for r in other]
    tally.num_prompts += len(prompts)
    tally.lengths += positions
    logits, expected = (torch.stack([r.logits for r in side]) for side in (mine, other))
    for _ in range(NUM_TOKENS):
        difference = float((logits - expected).abs().max())
        tally.max_difference = max(tally.max_difference, difference)
        tokens = logits.argmax(-1).tolist()
        assert tokens == expected.argmax(-1).tolist()
        tally.num_tokens += len(tokens)
        logits = ours.decode(adapter, slots, positions, tokens)
        expected = theirs.decode(adapter, slots, positions, tokens)
        positions = [position + 1 for position in positions]
