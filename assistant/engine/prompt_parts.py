"""
Parts of a prompt, as they come over the link, to chunks of a sequence.

Does what counting the tokens takes (tokenize, decode a picture's file) and leaves the
rest to the encoders, so that a bad part is refused before anything was computed.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from assistant.config import EngineConfig
from assistant.engine.sequence import Chunk, text_chunk
from assistant.errors import MediaError, RequestRefused
from assistant.model.config import ModelConfig
from assistant.model.features import SAMPLE_RATE_HZ, num_audio_tokens
from assistant.model.images import num_image_tokens, open_image
from assistant.model.tokenizer import Tokenizer
from assistant.wire import link

MAX_CROPS = 36
"""The largest dynamic-HD grid that Phi-4-multimodal was trained with."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded picture, [H, W, 3] uint8."""

    rgb: npt.NDArray[np.uint8]
    max_crops: int


@dataclass(frozen=True, slots=True)
class Clip:
    """A recording, [N] float32 in [-1, 1] at 16 kHz."""

    samples: npt.NDArray[np.float32]
    is_continuation: bool = False
    """Begins with the last token of what it continues, which is not embedded again."""


def prepare_part(
    part: link.Part, model: ModelConfig, tokenizer: Tokenizer, engine: EngineConfig
) -> Chunk:
    """
    Return the chunk that a part becomes.

    Raises:
        MediaError: The picture or clip cannot be used.
        RequestRefused: The model cannot read such a part.
    """
    match part:
        case link.TextPart(text):
            return text_chunk(tokenizer.encode_text(text))
        case link.ControlPart(token):
            return text_chunk([tokenizer.control(token)])
        case link.TokensPart(ids):
            if ids and not 0 <= min(ids) <= max(ids) < model.vocab_size:
                raise RequestRefused(
                    "invalid_tokens",
                    f"token ids go from {min(ids)} to {max(ids)}, "
                    f"the vocabulary from 0 to {model.vocab_size - 1}",
                )
            return text_chunk(list(ids))
        case link.ImagePart(data, max_crops):
            return _prepare_image(data, max_crops, model, engine)
        case link.AudioPart():
            return _prepare_audio(part, model, engine)


def _prepare_image(
    data: bytes, max_crops: int, model: ModelConfig, engine: EngineConfig
) -> Chunk:
    if model.vision is None:
        raise RequestRefused("part_unsupported", "this model cannot see")
    if not 1 <= max_crops <= MAX_CROPS:
        raise RequestRefused(
            "invalid_max_crops", f"max_crops is {max_crops}, must be from 1 to {MAX_CROPS}"
        )
    rgb = open_image(data, max_pixels=engine.max_image_pixels)
    height, width = rgb.shape[:2]
    num_tokens = num_image_tokens(
        width, height, max_crops, model.vision.image_size, model.vision.patch_size
    )
    return Chunk(
        kind="image", num_tokens=num_tokens, media=Picture(rgb, max_crops), is_encoded=False
    )


def _prepare_audio(part: link.AudioPart, model: ModelConfig, engine: EngineConfig) -> Chunk:
    samples = part.samples
    if model.audio is None:
        raise RequestRefused("part_unsupported", "this model cannot hear")
    if len(samples) % 4:
        raise MediaError(
            "audio_invalid", f"{len(samples)} bytes are no whole number of float32 samples"
        )
    # Copied: torch warns about arrays that nobody may write to.
    clip = np.frombuffer(samples, dtype="<f4").copy()
    duration_s = len(clip) / SAMPLE_RATE_HZ
    if duration_s > engine.max_audio_s:
        raise MediaError(
            "audio_too_long",
            f"the clip lasts {duration_s:.1f} s, {engine.max_audio_s:g} s are allowed",
        )
    if not np.isfinite(clip).all():
        raise MediaError("audio_invalid", "the clip has samples that are not finite")
    num_tokens = num_audio_tokens(len(clip)) - part.is_continuation
    if num_tokens <= 0:
        raise MediaError(
            "audio_too_short", f"the clip has {len(clip)} samples, too few for one token"
        )
    media = Clip(clip, part.is_continuation)
    return Chunk(kind="audio", num_tokens=num_tokens, media=media, is_encoded=False)
