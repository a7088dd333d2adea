"""
Asking a loaded model one thing at a time, with the service's own modules and no service.

Greedy, one conversation after the other: what evaluation and tests need.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from assistant.demo.talk import Script, Sight, Sound
from assistant.model.audio import Projector
from assistant.model.images import UInt8Array, prepare_image
from assistant.model.kv_cache import KVCache
from assistant.model.phi4 import Phi4Multimodal
from assistant.wire.link import Adapter

MAX_ANSWER_TOKENS = 48
MAX_PROMPT_TOKENS = 2048

Part = str | list[int] | Tensor | UInt8Array
"""Text, token ids, log-mel features [n, 80], or a picture [H, W, 3]."""


def reply(model: Phi4Multimodal, parts: Sequence[Part], *, max_crops: int = 1) -> str:
    """
    Return the answer to a prompt, control tokens of a call included.

    Args:
        model: Any checkpoint with both senses.
        parts: The whole prompt up to and with the header of the reply.
        max_crops: For its pictures.
    """
    adapter = _adapter(parts)
    decoder = model.decoder(adapter)
    cache = KVCache.for_model(
        model.config,
        num_slots=1,
        max_tokens=MAX_PROMPT_TOKENS,
        dtype=model.dtype,
        device=model.device,
    )
    with torch.inference_mode():
        pieces = [_embed(model, part, adapter, max_crops) for part in parts]
        embeds = torch.cat([piece for piece in pieces if len(piece)])
        hidden = decoder.prefill(embeds, cache, 0, 0)[-1:]
        said: list[int] = []
        for position in range(len(embeds), len(embeds) + MAX_ANSWER_TOKENS):
            token = int(decoder.logits(hidden[-1]).argmax())
            if token in model.config.stop_ids:
                break
            said.append(token)
            hidden = decoder.decode(
                decoder.embed(torch.tensor([token])),
                cache,
                torch.tensor([0]),
                torch.tensor([position]),
            )
    return model.tokenizer.decode(said)


def _adapter(parts: Sequence[Part]) -> Adapter:
    if any(not isinstance(p, str | list | Tensor) for p in parts):
        return "vision"
    return "speech" if any(isinstance(p, Tensor) for p in parts) else "none"


def _embed(model: Phi4Multimodal, part: Part, adapter: Adapter, max_crops: int) -> Tensor:
    match part:
        case str():
            ids = model.tokenizer.encode_text(part)
            return model.decoder(adapter).embed(torch.tensor(ids, dtype=torch.int64))
        case list():
            return model.decoder(adapter).embed(torch.tensor(part))
        case Tensor():
            assert model.audio_encoder is not None
            projector: Projector = "vision" if adapter == "vision" else "speech"
            heard: Tensor = model.audio_encoder(part, projector)
            return heard
        case _:
            assert model.image_encoder is not None
            assert model.config.vision is not None
            vision = model.config.vision
            prepared = prepare_image(part, max_crops, vision.image_size, vision.patch_size)
            seen: Tensor = model.image_encoder(prepared)
            return seen


def typed_prompt(
    model: Phi4Multimodal, text: str, pictures: Sequence[UInt8Array] = ()
) -> list[Part]:
    """Return the prompt of one typed turn, pictures first."""
    tokenizer = model.tokenizer
    return [
        [tokenizer.control("user")],
        *pictures,
        text,
        [tokenizer.control("end"), tokenizer.control("assistant")],
    ]


def last_question(
    script: Script, sounds: dict[int, Tensor], pictures: dict[int, UInt8Array]
) -> tuple[list[Part], list[int]]:
    """
    Return a script as a prompt up to its last answer, and that answer's ids.

    Args:
        script: A conversation; earlier answers in it stay as they are written.
        sounds: Log-mel features of each ``Sound``, by id.
        pictures: Of each ``Sight``, by id.
    """
    parts: list[Part] = []
    for piece in script.pieces[:-1]:
        if isinstance(piece, Sound):
            parts.append(sounds[id(piece)])
        elif isinstance(piece, Sight):
            parts.append(pictures[id(piece)])
        else:
            parts.append(piece)
    wanted = script.pieces[-1]
    assert isinstance(wanted, list)
    return parts, wanted
