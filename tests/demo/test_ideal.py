import numpy as np
import pytest
import tokenizers
import torch

from assistant.demo.ideal import IMAGE_SIZE, PATCH_SIZE, WORD_IDS, Ideal
from assistant.demo.network import VOCAB_SIZE
from assistant.demo.scenes import Thing
from assistant.model.images import num_image_tokens


@pytest.fixture(scope="module")
def ideal(tokenizer: tokenizers.Tokenizer) -> Ideal:
    torch.manual_seed(0)
    return Ideal.of(torch.randn(VOCAB_SIZE, 32), tokenizer)


def test_a_word_is_heard_as_its_token(ideal: Ideal) -> None:
    heard = ideal.sound("seven", np.random.default_rng(1))
    likeness = heard @ ideal.words.T
    best = set(likeness.argmax(1).tolist())
    assert best <= {0, WORD_IDS["seven"]}
    assert WORD_IDS["seven"] in best


@pytest.mark.parametrize("size", [(640, 480), (480, 640), (300, 300), (160, 90)])
def test_a_picture_takes_as_many_tokens_as_in_the_prompt(
    ideal: Ideal, size: tuple[int, int]
) -> None:
    seen = ideal.picture((), *size, np.random.default_rng(0))
    assert len(seen) == num_image_tokens(*size, 1, IMAGE_SIZE, PATCH_SIZE)


def test_a_thing_shows_where_it_is(ideal: Ideal) -> None:
    thing = Thing("square", "red", 0.25, 0.5, radius=0.3, angle=0.0)
    with_it, without = (ideal.rows(scene, (9, 12), 9, 12) for scene in ((thing,), ()))
    # 5 rows of 6 patches and a mark; the number of things is told in the first one.
    changed = (with_it != without).any(1).view(5, 7)
    assert changed[0].tolist() == [True] * 6 + [False]
    assert changed[1:].nonzero().tolist() == [[1, 1]]


def test_the_middle_of_a_thing_tells_what_it_is(ideal: Ideal) -> None:
    thing = Thing("square", "red", 0.25, 0.5, radius=0.3, angle=0.0)
    told = ideal.rows((thing,), (9, 12), 9, 12).view(5, 7, -1)[2, 1] - ideal.nothing
    expected = ideal.shapes[2] + ideal.colours[1] + ideal.places[3] + ideal.ranks[0]
    torch.testing.assert_close(told, expected)


def test_things_are_numbered_as_one_reads(ideal: Ideal) -> None:
    right, left, below = (
        Thing("square", "red", x, y, radius=0.1, angle=0.0)
        for x, y in ((0.8, 0.2), (0.2, 0.25), (0.2, 0.8))
    )
    told = ideal.rows((below, right, left), (9, 12), 9, 12).view(5, 7, -1)
    patches = ((1, 1), (0, 4), (3, 1))
    same = ideal.nothing + ideal.shapes[2] + ideal.colours[1]
    for rank, ((row, col), place) in enumerate(zip(patches, (0, 2, 6), strict=True)):
        counted = ideal.counts[3] if row == 0 else torch.zeros_like(same)
        expected = same + ideal.places[place] + ideal.ranks[rank] + counted
        torch.testing.assert_close(told[row, col], expected)
