"""
What perfect senses would tell the language model, as embeddings that never change.

A spoken word is the embedding of its token, a pause that of nothing. Where the middle of
a thing is in a picture, there the words of its shape and its colour are told, where that
is, and as which of all it would be named; the first row of patches tells how many things
there are as well; all else is nothing. The ears and the eyes learn to produce these, and
the language model learns from them before they can do so: the three need not wait for
each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import tokenizers
import torch
from torch import Tensor

from assistant.demo.scenes import (
    COLOURS,
    MAX_OBJECTS,
    SHAPES,
    Scene,
    Thing,
    in_reading_order,
)
from assistant.demo.world import NUMBERS, WORDS
from assistant.model.images import fit

IMAGE_SIZE, PATCH_SIZE = 168, 14
SIDE = IMAGE_SIZE // PATCH_SIZE
WORD_IDS = {word: index + 1 for index, word in enumerate(WORDS)}
"""0 is a pause, as CTC's blank."""
_DROPPED = frozenset(
    [
        "is",
        "the",
        "a",
        "an",
        "it",
        "this",
        "are",
        "there",
        "do",
        "you",
        "can",
        "of",
        "to",
        "its",
    ]
)


@dataclass(frozen=True, slots=True)
class Ideal:
    """Fixed vectors of the embedding's size H."""

    words: Tensor
    """[len(WORDS) + 1, H]; the first is a pause."""
    shapes: Tensor
    """[len(SHAPES) + 1, H]; the first, of no shape, is 0."""
    colours: Tensor
    """As ``shapes``."""
    places: Tensor
    """[9, H], row by row."""
    counts: Tensor
    """[MAX_OBJECTS + 1, H]."""
    ranks: Tensor
    """[MAX_OBJECTS, H]: named first, second ..., in the order of reading."""
    nothing: Tensor
    """[H]: told everywhere, else there would be nothing to tell from a thing."""
    marks: Tensor
    """[2, H]: the end of a row, and what stands between picture and overview."""

    @classmethod
    def of(cls, embedding: Tensor, tokenizer: tokenizers.Tokenizer) -> Self:
        """Take the vectors from an embedding table [V, H]; draw those of places."""
        generator = torch.Generator().manual_seed(11)

        def drawn(*shape: int) -> Tensor:
            drawn_ = torch.randn(*shape, embedding.shape[1], generator=generator)
            return drawn_ * embedding.std()

        def spelled(words: Sequence[str]) -> Tensor:
            rows = []
            for word in words:
                ids = tokenizer.encode(f" {word}", add_special_tokens=False).ids
                assert len(ids) == 1, f"{word!r} is {len(ids)} tokens"
                rows.append(embedding[ids[0]])
            return torch.stack(rows)

        nothing = torch.zeros(1, embedding.shape[1])
        return cls(
            words=torch.cat([drawn(1), spelled(WORDS)]),
            shapes=torch.cat([nothing, spelled(SHAPES)]),
            colours=torch.cat([nothing, spelled(list(COLOURS))]),
            places=drawn(9),
            counts=torch.cat([drawn(1), spelled(NUMBERS[1 : MAX_OBJECTS + 1])]),
            nothing=drawn(1)[0],
            marks=drawn(2),
            ranks=drawn(MAX_OBJECTS),
        )

    def sound(self, text: str, rng: np.random.Generator) -> Tensor:
        """Return how an utterance might be heard, 80 ms a row: [T, H]."""
        ids: list[int] = [0] * int(rng.integers(1, 8))
        for word in text.split():
            if word in _DROPPED and rng.random() < 0.04:
                continue
            ids += [WORD_IDS[word]] * (1 + int(rng.random() < 0.25))
            ids += [0] * int(rng.integers(0, 6))
        ids += [0] * int(rng.integers(1, 7))
        heard = self.words[ids]
        # Never quite sure, and never quite sure that it was nothing.
        doubt = torch.from_numpy(rng.beta(1, 9, len(ids))).float()[:, None]
        other = self.words[torch.from_numpy(rng.integers(0, len(self.words), len(ids)))]
        return (1 - doubt) * heard + doubt * torch.where(
            torch.from_numpy(rng.random((len(ids), 1)) < 0.5), self.words[0], other
        )

    def strange(self, rng: np.random.Generator) -> Tensor:
        """Return how something strange might be heard: pauses and stray words."""
        words = [WORDS[i] for i in rng.integers(0, len(WORDS), int(rng.integers(0, 7)))]
        # One stray word alone is that word; two seldom make sense.
        return self.sound(" ".join(words if len(words) > 1 else []), rng)

    def picture(
        self,
        scene: Scene,
        width: int,
        height: int,
        rng: np.random.Generator,
        share: float = 1.0,
    ) -> Tensor:
        """
        Return how a picture of this size might be seen, in one crop: [tokens, H].

        Only ``share`` of the patches that tell nothing are there: what they surround is
        easier to find among few of them.
        """
        place = fit(width, height, 1, IMAGE_SIZE, PATCH_SIZE)
        shown = place.height / PATCH_SIZE, place.width / PATCH_SIZE
        views = []
        for rows, cols in ((place.valid_rows, place.valid_cols), (SIDE, SIDE)):
            view = self.rows(scene, shown, rows, cols)
            kept = torch.from_numpy(rng.random(len(view)) < share)
            kept |= (view != self.rows((), shown, rows, cols)).any(1)
            # Never quite sure, and never quite sure that there was nothing.
            view += (
                0.25
                * self.words.std()
                * torch.from_numpy(rng.standard_normal(view.shape, np.float32))
            )
            views.append(view[kept])
        return torch.cat((views[0], self.marks[1:], views[1]))

    def rows(
        self, scene: Scene, shown: tuple[float, float], rows: int, cols: int
    ) -> Tensor:
        """Return pooled patches with the mark at the end of each row: [h * (w + 1), H]."""
        tall, wide = -(-rows // 2), -(-cols // 2)
        told = self.nothing.repeat(tall, wide, 1)
        told[0] += self.counts[len(scene)]
        for rank, (row, col, thing) in enumerate(middles(scene, shown)):
            kind = SHAPES.index(thing.shape) + 1, list(COLOURS).index(thing.colour) + 1
            place = 3 * thing.cell[0] + thing.cell[1]
            told[row, col] += (
                self.shapes[kind[0]]
                + self.colours[kind[1]]
                + self.places[place]
                + self.ranks[rank]
            )
        ends = self.marks[:1].expand(tall, 1, -1)
        return torch.cat([told, ends], dim=1).flatten(0, 1)


def middles(scene: Scene, shown: tuple[float, float]) -> list[tuple[int, int, Thing]]:
    """
    Return the pooled patch (row, column) of the middle of each thing, as one reads.

    Args:
        scene: What is there.
        shown: Height and width of the picture, in patches.
    """
    return [
        (int(t.y * shown[0] / 2), int(t.x * shown[1] / 2), t)
        for t in in_reading_order(scene)
    ]
