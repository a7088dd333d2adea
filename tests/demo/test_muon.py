"""Claims about the optimizer of hidden layers."""

import pytest
import torch
from torch import Tensor, nn

from assistant.demo.muon import MOMENTUM, WEIGHT_DECAY, Muon, orthogonalised

RATE = 0.01


class Layers(nn.Module):
    """One parameter of each sort."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed_tokens = nn.Embedding(64, 48)
        self.hidden = nn.Linear(48, 64, bias=False)
        self.pointwise = nn.Conv1d(48, 48, 1, bias=False)
        self.wide = nn.Conv1d(48, 48, 3, bias=False)
        self.frozen = nn.Linear(48, 48)
        self.frozen.requires_grad_(False)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.hidden(self.embed_tokens(ids))[:, :48]
        x = self.wide(self.pointwise(self.frozen(x).T[None]))
        loss: Tensor = (x - 1).square().mean()
        return loss


def learned(optimizer: Muon, layers: Layers, steps: int) -> float:
    ids = torch.arange(64)
    loss = torch.zeros(())
    for _ in range(steps):
        loss = layers(ids)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
    return float(loss.detach())


def test_all_directions_of_an_update_are_about_equally_long() -> None:
    torch.manual_seed(1)
    for shape in ((40, 64), (64, 40)):
        values = torch.linalg.svdvals(orthogonalised(torch.randn(shape)))
        assert float(values.min()) > 0.6
        assert float(values.max()) < 1.3


def test_a_hidden_matrix_steps_as_with_the_optimizer_of_torch() -> None:
    own, theirs = Layers(), Layers()
    optimizer = Muon(own, nn.Linear(1, 1), RATE)
    twin = torch.optim.Muon(
        [theirs.hidden.weight],
        lr=RATE,
        momentum=MOMENTUM,
        weight_decay=WEIGHT_DECAY,
        adjust_lr_fn="match_rms_adamw",
    )
    for seed in range(3):
        gradient = torch.randn(64, 48, generator=torch.Generator().manual_seed(seed))
        optimizer.zero_grad()
        own.hidden.weight.grad = gradient.clone()
        theirs.hidden.weight.grad = gradient.clone()
        optimizer.step()
        twin.step()  # type: ignore[no-untyped-call]  # torch gives it none
    with torch.no_grad():
        moved = (own.hidden.weight - Layers().hidden.weight).norm()
        apart = (own.hidden.weight - theirs.hidden.weight).norm()
    # Theirs computes in bfloat16.
    assert float(apart / moved) < 0.03


def test_tables_and_wide_kernels_are_left_to_adam_and_frozen_ones_alone() -> None:
    layers = Layers()
    before = {name: p.detach().clone() for name, p in layers.named_parameters()}
    learned(Muon(layers, nn.Linear(1, 1), RATE), layers, 1)
    moved = {name: (p - before[name]).abs() for name, p in layers.named_parameters()}
    usual = {name: float(change.detach().median()) for name, change in moved.items()}
    # A first step of Adam is as long as the rate, in every direction.
    assert usual["embed_tokens.weight"] == pytest.approx(RATE, rel=0.05)
    assert usual["wide.weight"] == pytest.approx(RATE, rel=0.05)
    assert 0 < usual["hidden.weight"] < 0.5 * RATE
    assert 0 < usual["pointwise.weight"] < 0.5 * RATE
    assert not moved["frozen.weight"].any()


def test_learning_goes_on_exactly_where_it_was_left() -> None:
    whole = Layers()
    straight = learned(Muon(whole, nn.Linear(1, 1), RATE), whole, 6)
    layers = Layers()
    heads = nn.Linear(1, 1)
    first = Muon(layers, heads, RATE)
    learned(first, layers, 3)
    second = Muon(layers, heads, RATE)
    second.load_state_dict(first.state_dict())
    assert learned(second, layers, 3) == straight
