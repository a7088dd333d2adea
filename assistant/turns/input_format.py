"""How a client's sound is to be read: the ``format`` object of the audio input."""

from dataclasses import dataclass
from typing import Any, Literal

from msgspec import UNSET

from assistant.turns.clock import SAMPLE_RATE_HZ
from assistant.wire import refusals
from assistant.wire.client_events import AudioFormat

PCM_RATES_HZ = (24_000, 16_000)
G711_RATE_HZ = 8_000


@dataclass(frozen=True, slots=True)
class InputFormat:
    """How the client's audio bytes are to be read."""

    type: Literal["audio/pcm", "audio/pcmu", "audio/pcma"] = "audio/pcm"
    rate_hz: int = 24_000

    def num_samples(self, num_bytes: int) -> int:
        """Return how many samples at 16 kHz that many bytes become, about."""
        bytes_per_s = self.rate_hz * (2 if self.type == "audio/pcm" else 1)
        return num_bytes * SAMPLE_RATE_HZ // bytes_per_s

    def to_wire(self) -> dict[str, Any]:
        if self.type == "audio/pcm":
            return {"type": self.type, "rate": self.rate_hz}
        return {"type": self.type}


BETA = {
    "pcm16": InputFormat(),
    "g711_ulaw": InputFormat("audio/pcmu", G711_RATE_HZ),
    "g711_alaw": InputFormat("audio/pcma", G711_RATE_HZ),
}
"""By the names that clients of before had for them."""


def checked(form: AudioFormat) -> InputFormat:
    """
    Return the format that a client named.

    Raises:
        EventRefused: Its rate is one that we do not take.
    """
    path = "session.audio.input.format.rate"
    if form.type == "audio/pcm":
        rate_hz = 24_000 if form.rate is UNSET or form.rate is None else form.rate
        if rate_hz < min(PCM_RATES_HZ):
            raise refusals.below_minimum(path, rate_hz, min(PCM_RATES_HZ))
        if rate_hz not in PCM_RATES_HZ:
            listed = ", ".join(str(rate) for rate in PCM_RATES_HZ)
            raise refusals.invalid_value(
                path, f"{rate_hz}. Supported values are: {listed}."
            )
        return InputFormat(form.type, rate_hz)
    if form.rate not in (UNSET, None, G711_RATE_HZ):
        raise refusals.invalid_value(path, f"{form.rate}. G.711 is {G711_RATE_HZ}.")
    return InputFormat(form.type, G711_RATE_HZ)
