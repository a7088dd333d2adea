from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from assistant.demo import train
from assistant.demo.lessons import Heads
from assistant.demo.network import Network
from assistant.demo.train import Plan


def loss(
    net: Network, heads: Heads, rng: np.random.Generator, step: int
) -> tuple[Tensor, dict[str, float]]:
    x = torch.from_numpy(rng.standard_normal((4, 160), np.float32))
    hidden = net.decoder.norm(net.audio_encoder.down_proj_for_speech(x))
    return (hidden - 1).square().mean() + 0.01 * step, {"step": float(step)}


def learned(file: Path, steps: list[int]) -> dict[str, Tensor]:
    net, heads = train.new_network()
    for until in steps:
        net, heads = train.new_network()
        plan = Plan("some", steps=until, batch=1, rate=1e-3, warm_up=10**6)
        train.learn(plan, net, heads, loss, file, lambda line: None)
    return net.state_dict()


@pytest.mark.parity
def test_an_interrupted_run_ends_as_an_uninterrupted_one(tmp_path: Path) -> None:
    whole = learned(tmp_path / "whole.pt", [6])
    resumed = learned(tmp_path / "resumed.pt", [2, 6])
    for name, weight in whole.items():
        assert torch.equal(weight, resumed[name]), name


def test_says_how_it_goes(tmp_path: Path) -> None:
    lines: list[str] = []
    net, heads = train.new_network()
    plan = Plan("some", steps=20, batch=1, rate=1e-3)
    train.learn(plan, net, heads, loss, tmp_path / "s.pt", lines.append, lambda: "fine")
    assert lines[0].startswith("some 20/20 loss ")
    assert lines[-1] == "some held out: fine"


def test_the_rate_rises_in_a_line_and_falls_in_half_a_cosine() -> None:
    plan = Plan("some", steps=300, batch=1, rate=1.0, warm_up=100)
    assert plan.rate_at(49) == pytest.approx(0.5)
    assert plan.rate_at(100) == pytest.approx(1.0)
    assert plan.rate_at(200) == pytest.approx(0.51)
    assert plan.rate_at(300) == pytest.approx(0.02)
