"""
Muon: momentum whose direction is orthogonalised, for the matrices of hidden layers.

After K. Jordan's "Muon: An optimizer for hidden layers in neural networks" (2024), with the
step's length matched to AdamW's as in "Muon is scalable for LLM training" (2025). As
``torch.optim.Muon``, in float32: in bfloat16, as there, a step takes four times as long on
processors that have no such arithmetic. All other parameters learn by AdamW.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW

MOMENTUM = 0.95
WEIGHT_DECAY = 0.01
_SMALLEST = 32
"""Matrices with a shorter side, as the factors of an adapter have, learn by AdamW."""
_QUINTIC = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5
_AS_ADAM = 0.2


def orthogonalised(matrix: Tensor) -> Tensor:
    """Return nearly the orthogonal factor of a matrix's polar decomposition [m, n]."""
    a, b, c = _QUINTIC
    is_tall = matrix.shape[0] > matrix.shape[1]
    x: Tensor = matrix.mT if is_tall else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(_ITERATIONS):
        squared = x @ x.mT
        x = a * x + (b * squared + c * (squared @ squared)) @ x
    factor: Tensor = x.mT if is_tall else x
    return factor


class Muon:
    """Both optimizers with one learning rate; what needs no gradient is left alone."""

    def __init__(self, net: nn.Module, heads: nn.Module, rate: float) -> None:
        """Take the network and what is put on top of it; learn at ``rate``."""
        self._rate = rate
        self._matrices = [p for n, p in net.named_parameters() if _is_hidden(n, p)]
        hidden = set(map(id, self._matrices))
        others = [
            parameter
            for parameter in (*net.parameters(), *heads.parameters())
            if parameter.requires_grad and id(parameter) not in hidden
        ]
        self.parameters = [*self._matrices, *others]
        self._momenta = [torch.zeros_like(p.flatten(1)) for p in self._matrices]
        self._adam = AdamW(others, lr=rate, weight_decay=WEIGHT_DECAY, fused=True)

    def set_rate(self, rate: float) -> None:
        """Learn at another rate from now on."""
        self._rate = rate
        for group in self._adam.param_groups:
            group["lr"] = rate

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Move every parameter that has a gradient."""
        self._adam.step()
        for parameter, momentum in zip(self._matrices, self._momenta, strict=True):
            if parameter.grad is None:
                continue
            gradient = parameter.grad.flatten(1)
            momentum.lerp_(gradient, 1 - MOMENTUM)
            update = orthogonalised(gradient.lerp(momentum, MOMENTUM))
            length = _AS_ADAM * math.sqrt(max(update.shape))
            parameter.mul_(1 - self._rate * WEIGHT_DECAY)
            parameter.add_(update.view_as(parameter), alpha=-self._rate * length)

    def state_dict(self) -> dict[str, Any]:
        """Return what ``load_state_dict`` needs to go on."""
        return {"momenta": self._momenta, "adam": self._adam.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where another one left off."""
        self._adam.load_state_dict(state["adam"])
        for momentum, saved in zip(self._momenta, state["momenta"], strict=True):
            momentum.copy_(saved)


def _is_hidden(name: str, parameter: nn.Parameter) -> bool:
    """Say whether a parameter is a matrix between hidden layers, kernels of width 1 too."""
    is_matrix = parameter.ndim >= 2 and parameter.numel() == math.prod(parameter.shape[:2])
    if not (is_matrix and parameter.requires_grad):
        return False
    is_table = "embed" in name.rpartition(".")[0].rpartition(".")[2]
    return min(parameter.shape[:2]) >= _SMALLEST and not is_table
