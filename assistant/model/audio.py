"""
The ears: log-mel features through a Conformer and one of two projectors.

Follows ``Phi4MultimodalAudioEmbedding`` of transformers' ``modeling_phi4_multimodal.py``.
Encodes one recording at a time: padding several to one length changes what comes out.
Attention spans windows of 40 s; the windows of a longer recording know nothing of each
other, so each can be encoded as soon as it is complete.
"""

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, pad

from assistant.model.config import AudioConfig
from assistant.model.conformer import (
    ConformerBlock,
    MeanVarianceNorm,
    RelativeBias,
    Subsampling,
)

Projector = Literal["speech", "vision"]


@dataclass(frozen=True, slots=True)
class AudioWindow:
    """One window of a recording: the mel frames it depends on, half-open, and its size."""

    mel_start: int
    """Some before the window's own first frame, except in the first window."""
    mel_stop: int
    num_tokens: int
    """Tokens that come out."""
    num_attended: int
    """Subsampled frames that attend to each other; those after the tokens are zeros."""


def split_windows(
    num_mel_frames: int, config: AudioConfig, *, is_continuation: bool = False
) -> list[AudioWindow]:
    """
    Split a recording of so many mel frames into windows of attention.

    All windows but the last are the same whatever follows: they can be encoded early. A
    continuation begins with the ``time_reduction`` mel frames before a window's first one.
    """
    reduction, size = config.time_reduction, config.window_frames
    if is_continuation:
        shifted = split_windows(num_mel_frames - reduction + size * reduction, config)
        offset = (size - 1) * reduction
        return [
            replace(w, mel_start=w.mel_start - offset, mel_stop=w.mel_stop - offset)
            for w in shifted[1:]
        ]
    num_tokens = -(-num_mel_frames // reduction)
    is_split = num_tokens > size
    return [
        AudioWindow(
            # A subsampled frame t needs mel frames from reduction * (t - 1) + 1 to
            # reduction * (t + 1) - 1; one frame more is subsampled and thrown away.
            mel_start=reduction * max(start - 1, 0),
            mel_stop=min(reduction * (start + size), num_mel_frames),
            num_tokens=min(size, num_tokens - start),
            # Only the split pads: a recording that fits into one window ends where it ends.
            num_attended=size if is_split else num_tokens,
        )
        for start in range(0, num_tokens, size)
    ]


@dataclass(frozen=True, slots=True)
class Frames:
    """Subsampled frames of one window on their way through the Conformer."""

    x: Tensor
    """[num_attended, hidden_size]."""
    bias: Tensor
    num_tokens: int
    num_blocks: int = 0
    """How many blocks they have passed."""


class AudioTower(nn.Module):
    """The Conformer, before projection."""

    def __init__(self, config: AudioConfig) -> None:
        super().__init__()
        self.time_reduction = config.time_reduction
        self.encoder_embedding = MeanVarianceNorm(config.num_mels)
        self.embed = Subsampling(config)
        self.relative_attention_bias_layer = RelativeBias(config)
        self.encoders = nn.ModuleList(
            ConformerBlock(config) for _ in range(config.num_blocks)
        )

    def forward(self, features: Tensor, window: AudioWindow) -> Tensor:
        """Encode the features [mel_stop - mel_start, num_mels] of a window."""
        frames = self.begin(features, window)
        while frames.num_blocks < len(self.encoders):
            frames = self.advance(frames)
        return self.finish(frames)

    def begin(self, features: Tensor, window: AudioWindow) -> Frames:
        """Subsample the features of a window, see ``forward``."""
        # Normalised in float32: log-mel values are large, and bfloat16 has 3 digits.
        x: Tensor = self.encoder_embedding(features).to(self.embed.out.weight.dtype)
        x = self.embed(x)
        # What was subsampled from the padding at the cut belongs to the window before.
        x = x[-window.num_tokens :]
        x = pad(x, (0, 0, 0, window.num_attended - window.num_tokens))
        bias = self.relative_attention_bias_layer(window.num_attended)
        return Frames(x, bias, window.num_tokens)

    def advance(self, frames: Frames) -> Frames:
        """Return them one block further."""
        x = self.encoders[frames.num_blocks](frames.x, frames.bias)
        return replace(frames, x=x, num_blocks=frames.num_blocks + 1)

    def finish(self, frames: Frames) -> Tensor:
        """Return [num_tokens, hidden_size] of what has passed all blocks."""
        assert frames.num_blocks == len(self.encoders)
        return frames.x[: frames.num_tokens]


class AudioEncoder(nn.Module):
    """Recordings to embeddings of the language model."""

    def __init__(self, config: AudioConfig, out_size: int) -> None:
        """Build an uninitialised encoder for ``out_size`` wide embeddings."""
        super().__init__()
        self.config = config
        size = config.hidden_size
        self.encoder = AudioTower(config)
        self.up_proj_for_speech = nn.Linear(size, out_size)
        self.down_proj_for_speech = nn.Linear(out_size, out_size)
        self.up_proj_for_vision_speech = nn.Linear(size, out_size)
        self.down_proj_for_vision_speech = nn.Linear(out_size, out_size)

    def forward(self, features: Tensor, projector: Projector) -> Tensor:
        """
        Embed log-mel features [n, num_mels] float32: [ceil(n / 8), out_size].

        The projector goes with the adapter: "vision" where the prompt has a picture.
        """
        return self.project(self.encode(features), projector)

    def encode(self, features: Tensor) -> Tensor:
        """Encode all windows of [n, num_mels]: [ceil(n / 8), hidden_size]."""
        windows = split_windows(features.shape[0], self.config)
        return torch.cat([self.encode_window(features, window) for window in windows])

    def encode_window(self, features: Tensor, window: AudioWindow) -> Tensor:
        """
        Encode one window: [window.num_tokens, hidden_size].

        ``features`` are those of the recording, at least up to ``window.mel_stop``.
        """
        needed = features[window.mel_start : window.mel_stop]
        return self.encode_window_features(needed, window)

    def encode_window_features(self, features: Tensor, window: AudioWindow) -> Tensor:
        """Encode one window from just the features it needs."""
        hidden: Tensor = self.encoder(features.to(self._device), window)
        return hidden

    def begin_window(self, features: Tensor, window: AudioWindow) -> Frames:
        """Begin what ``encode_window_features`` does; the tower advances and ends it."""
        return self.encoder.begin(features.to(self._device), window)

    @property
    def _device(self) -> torch.device:
        return self.up_proj_for_speech.weight.device

    def project(self, hidden: Tensor, projector: Projector) -> Tensor:
        """Turn encoded frames [T, hidden_size] into embeddings [T, out_size]."""
        if projector == "vision":
            up, down = self.up_proj_for_vision_speech, self.down_proj_for_vision_speech
        else:
            up, down = self.up_proj_for_speech, self.down_proj_for_speech
        embedded: Tensor = down(gelu(up(hidden)))
        return embedded
