"""A stand-in for Opus that shows which packet every sample came from."""

import numpy as np

from assistant.media.opus import Pcm

FRAME = 320
"""Samples in a packet."""


class CountingDecoder:
    """Decodes nothing: samples are the packet's number, FEC its number, guesses are -1."""

    recovers = True

    def __init__(self) -> None:
        self.num_resets = 0

    def decode(self, packet: bytes) -> Pcm | None:
        return np.full(FRAME, number(packet), np.int16) if len(packet) > 1 else None

    def recover(self, following: bytes, ticks: int) -> Pcm:
        return np.full(ticks // 3, number(following) - 1, np.int16)

    def conceal(self, ticks: int) -> Pcm:
        return np.full(ticks // 3, -1, np.int16)

    def reset(self) -> None:
        self.num_resets += 1


def payload(number: int, *, fec: bool = True) -> bytes:
    """Return a packet of 20 ms (SILK, wide band) that carries a number."""
    return bytes([0x48, 0x40 if fec else 0, *number.to_bytes(2, "big")])


def number(packet: bytes) -> int:
    return int.from_bytes(packet[2:4], "big")
