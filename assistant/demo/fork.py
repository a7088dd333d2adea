"""Sequences with several endings: what they share is read but once."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Fork:
    """Sequences with several endings, which all follow upon the same beginning."""

    positions: Tensor
    """[B, T]: those of every ending go on from the beginning."""
    mask: Tensor
    """[B, 1, T, T] float: -inf at what is later or in another ending."""

    @classmethod
    def of(cls, endings: Tensor) -> Self:
        """
        Take apart sequences by the ending of each token.

        Args:
            endings: [B, T] int64: 0s first, for the beginning, then 1s, 2s and so on; -1
                for what fills up.
        """
        length = endings.shape[1]
        index = torch.arange(length).expand_as(endings)
        is_first = endings != torch.cat((endings[:, :1], endings[:, :-1]), 1)
        first = (index * is_first).cummax(1).values
        shared = (endings == 0).sum(1, keepdim=True)
        positions = torch.where(endings > 0, shared + index - first, index)
        is_same = endings[:, :, None] == endings[:, None]
        is_read = (is_same | (endings == 0)[:, None]) & (index[:1] <= index[0, :, None])
        mask = torch.zeros(is_read.shape).masked_fill_(~is_read, -torch.inf)
        return cls(positions, mask[:, None])
