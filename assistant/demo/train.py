"""
Training the demo: one lesson after the other, deterministic and resumable.

Each step draws its batch from a generator seeded with the lesson and the step's number, so
that an interrupted run goes on as if nothing had happened.
"""

import math
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from assistant.demo.lessons import Heads
from assistant.demo.muon import Muon
from assistant.demo.network import Network, demo_config

SEED = 7
SAVE_EVERY_S = 60
REPORT_EVERY = 20

Loss = Callable[[Network, Heads, np.random.Generator, int], tuple[Tensor, dict[str, float]]]


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how fast to learn a lesson."""

    lesson: str
    steps: int
    batch: int
    rate: float
    warm_up: int = 100

    def shortened(self, steps: int) -> "Plan":
        """Return the same plan with another number of steps."""
        return replace(self, steps=steps)

    def rate_at(self, step: int) -> float:
        """Return the learning rate: up in a line, down in half a cosine."""
        if step < self.warm_up:
            return self.rate * (step + 1) / self.warm_up
        share = (step - self.warm_up) / max(self.steps - self.warm_up, 1)
        return self.rate * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(share, 1))))


def new_network() -> tuple[Network, Heads]:
    """Return the initial weights, always the same ones."""
    torch.manual_seed(SEED)
    config = demo_config()
    return Network(config), Heads(config)


def learn(
    plan: Plan,
    net: Network,
    heads: Heads,
    loss: Loss,
    file: Path,
    say: Callable[[str], None],
    examine: Callable[[], str] | None = None,
) -> None:
    """
    Learn one lesson, starting where ``file`` left off.

    Args:
        plan: The lesson's length and rate.
        net: What learns; holds the result afterwards.
        heads: As ``net``.
        loss: Draws a batch and says how wrong the network is about it.
        file: The state, saved every minute and at the end.
        say: Takes a line of progress.
        examine: Scores held-out examples, every now and then.
    """
    optimizer = Muon(net, heads, plan.rate)
    first = 0
    if file.exists():
        state = torch.load(file, weights_only=True)
        net.load_state_dict(state["network"])
        heads.load_state_dict(state["heads"])
        if "optimizer" in state:
            optimizer.load_state_dict(state["optimizer"])
        first = state["step"]
    started = saved = time.monotonic()
    sums: dict[str, list[float]] = {}
    for step in range(first, plan.steps):
        rng = np.random.default_rng((SEED, zlib.crc32(plan.lesson.encode()), step))
        optimizer.set_rate(plan.rate_at(step))
        total, scores = loss(net, heads, rng, step)
        optimizer.zero_grad()
        torch.autograd.backward(total)
        torch.nn.utils.clip_grad_norm_(optimizer.parameters, 1.0)
        optimizer.step()
        for name, value in {"loss": float(total.detach()), **scores}.items():
            if not math.isnan(value):
                sums.setdefault(name, []).append(value)
        if (step + 1) % REPORT_EVERY == 0:
            told = " ".join(
                f"{name} {np.mean(values):.3f}" for name, values in sums.items()
            )
            pace = (time.monotonic() - started) / (step + 1 - first)
            say(f"{plan.lesson} {step + 1}/{plan.steps} {told} ({pace:.2f} s a step)")
            sums.clear()
        if time.monotonic() - saved > SAVE_EVERY_S or step + 1 == plan.steps:
            saved = time.monotonic()
            _save(file, net, heads, optimizer, step + 1)
            if examine is not None:
                say(f"{plan.lesson} held out: {examine()}")


def _save(file: Path, net: Network, heads: Heads, optimizer: Muon, step: int) -> None:
    partial = file.with_suffix(".partial")
    torch.save(
        {
            "network": net.state_dict(),
            "heads": heads.state_dict(),
            "optimizer": optimizer.state_dict(),
            "step": step,
        },
        partial,
    )
    partial.replace(file)
