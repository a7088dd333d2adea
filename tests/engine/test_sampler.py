from typing import cast

import pytest
import torch

from assistant.engine import sampler
from assistant.engine.constraint import Guide
from assistant.engine.sampler import Dice, Read, choose
from assistant.wire.link import Sampling
from tests.rounds import rounds


def dice(temperature: float = 1.0, top_p: float = 1.0, seed: int = 0) -> Dice:
    return Dice(Sampling(max_tokens=1, temperature=temperature, top_p=top_p, seed=seed))


GREEDY = dice(temperature=0.0)


def draws(logits: torch.Tensor, die: Dice, num_draws: int) -> list[int]:
    tokens = [choose(logits.unsqueeze(0), [die])[0] for _ in range(num_draws)]
    return [token for token in tokens if token is not None]


def test_greedy_takes_the_most_probable_token_of_each_row() -> None:
    logits = torch.tensor([[0.0, 3.0, 1.0], [5.0, 3.0, 1.0]])
    assert choose(logits, [GREEDY, GREEDY]) == [1, 0]


def test_the_device_may_go_on_before_the_host_has_read() -> None:
    logits = torch.tensor([[0.0, 3.0, 1.0], [torch.nan, 3.0, 1.0]])
    seen: list[tuple[list[int], list[int]]] = []

    def go_on(tokens: torch.Tensor, read: Read) -> None:
        seen.append((tokens.tolist(), read()))

    assert choose(logits, [GREEDY, GREEDY], go_on) == [1, None]
    assert seen == [([1, -1], [1, -1])]


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_row_that_is_not_finite_has_no_token_and_its_mates_have_theirs(
    bad: float, temperature: float
) -> None:
    logits = torch.tensor([[0.0, bad, 1.0], [0.0, 30.0, 1.0]])
    die = dice(temperature)
    assert choose(logits, [die, die]) == [None, 1]


@rounds(300, 1000)
def test_tokens_come_as_often_as_the_softmax_says(rounds: int) -> None:
    probabilities = torch.tensor([0.1, 0.2, 0.3, 0.4])
    tokens = draws(probabilities.log(), dice(), rounds)
    found = torch.bincount(torch.tensor(tokens), minlength=4) / len(tokens)
    # Four standard deviations of the widest estimate.
    assert torch.allclose(found, probabilities, atol=4 * (0.25 / rounds) ** 0.5)


def test_temperature_sharpens_and_flattens() -> None:
    logits = torch.tensor([0.0, 1.0])
    cold = sum(draws(logits, dice(0.1), 100))
    hot = sum(draws(logits, dice(100.0), 100))
    assert cold == 100
    assert 25 < hot < 75


def test_a_temperature_near_zero_is_greedy_and_finite() -> None:
    assert draws(torch.tensor([0.0, 50.0, 49.0]), dice(1e-6), 20) == [1] * 20


@pytest.mark.parametrize(
    ("top_p", "allowed"),
    [(0.3, {3}), (0.5, {2, 3}), (0.75, {1, 2, 3}), (1.0, {0, 1, 2, 3})],
)
def test_the_nucleus_is_the_fewest_tokens_that_reach_top_p(
    top_p: float, allowed: set[int]
) -> None:
    logits = torch.tensor([0.1, 0.2, 0.3, 0.4]).log()
    assert set(draws(logits, dice(top_p=top_p), 100)) == allowed


def test_a_nucleus_wider_than_the_sorted_candidates_is_still_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sampler, "NUCLEUS_TOP", 2)
    logits = torch.tensor([0.1, 0.2, 0.3, 0.4]).log()
    assert set(draws(logits, dice(top_p=0.75), 100)) == {1, 2, 3}


class Fixed:
    """A guide that allows two tokens and writes down what it is told."""

    def __init__(self) -> None:
        self.received: list[int] = []

    def mask(self, row: torch.Tensor) -> torch.Tensor:
        masked = torch.full_like(row, -torch.inf)
        masked[[1, 2]] = row[[1, 2]]
        return masked

    def receive(self, token: int) -> None:
        self.received.append(token)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_guided_row_has_only_tokens_its_guide_allows(temperature: float) -> None:
    guide = Fixed()
    sampling = Sampling(max_tokens=1, temperature=temperature)
    die = Dice(sampling, cast(Guide, guide))
    logits = torch.tensor([[9.0, 1.0, 2.0, 9.0], [9.0, 0.0, 0.0, 0.0]])
    chosen = [choose(logits, [die, GREEDY]) for _ in range(20)]
    assert {token for token, _ in chosen} <= {1, 2}
    assert {mate for _, mate in chosen} == {0}
    assert guide.received == [token for token, _ in chosen]


def test_a_guide_is_not_told_of_a_token_that_was_not_drawn() -> None:
    guide = Fixed()
    die = Dice(Sampling(max_tokens=1), cast(Guide, guide))
    assert choose(torch.tensor([[0.0, torch.nan, 1.0]]), [die]) == [None]
    assert guide.received == []


def test_impossible_tokens_are_never_drawn() -> None:
    logits = torch.tensor([-2000.0, 0.0, -2000.0, 0.0, -2000.0])
    assert set(draws(logits, dice(), 100)) == {1, 3}


def test_the_same_seed_draws_the_same_whatever_the_batch() -> None:
    torch.manual_seed(0)
    logits = torch.randn(50)
    alone = draws(logits, dice(seed=5), 20)
    die, mates = dice(seed=5), [dice(seed=n) for n in (1, 2)]
    together = []
    for _ in range(20):
        batch = torch.stack([torch.randn(50), logits, torch.randn(50)])
        together.append(choose(batch, [mates[0], die, mates[1]])[1])
    assert together == alone
    assert draws(logits, dice(seed=6), 20) != alone
