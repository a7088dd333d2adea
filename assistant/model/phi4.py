"""
One loaded checkpoint: tokenizer, encoders, and a decoder for each adapter.

Knows which weights belong where; runs nothing. A decoder is built when its adapter is
first asked for and then kept; all share one embedding and the norms, so an adapter costs
only its four matrices per layer.
"""

import dataclasses
from collections.abc import Callable, Set
from pathlib import Path
from typing import Literal, Self, TypeVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from assistant.errors import CheckpointError
from assistant.model.audio import AudioEncoder
from assistant.model.config import ModelConfig
from assistant.model.decoder import Decoder
from assistant.model.fp8 import Fp8Matrix
from assistant.model.linear import Int8Matrix
from assistant.model.lora import merge
from assistant.model.tensor_names import AUDIO_PREFIX, IMAGE_PREFIX, lora_targets
from assistant.model.tokenizer import Tokenizer
from assistant.model.vision import ImageEncoder
from assistant.model.weights import Checkpoint, read_checkpoint
from assistant.wire.link import Adapter

Quantization = Literal["none", "int8", "fp8"]
QUANTIZED: dict[str, type[Int8Matrix] | type[Fp8Matrix]] = {
    "int8": Int8Matrix,
    "fp8": Fp8Matrix,
}

_M = TypeVar("_M", bound=nn.Module)


class Phi4Multimodal:
    """Phi-4-multimodal, or Phi-4-mini without encoders."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        tokenizer: Tokenizer,
        device: str,
        dtype: torch.dtype,
        quantization: Quantization = "none",
    ) -> None:
        controls = tokenizer.control_ids
        stop_ids = {*checkpoint.config.stop_ids, controls.end, controls.end_of_text}
        self.config: ModelConfig = dataclasses.replace(
            checkpoint.config, stop_ids=tuple(sorted(stop_ids))
        )
        self.tokenizer = tokenizer
        self.device = device
        self.dtype = dtype
        self._checkpoint = checkpoint
        self._quantization = quantization
        self._decoders: dict[tuple[Adapter, torch.dtype], Decoder] = {}
        self._shared = {dtype: self._read_shared()}
        self.image_encoder = self._build_image_encoder(dtype)
        self.audio_encoder = self._build_audio_encoder(dtype)
        self._image_dtype = self._audio_dtype = dtype

    @classmethod
    def load(
        cls,
        directory: Path,
        *,
        device: str,
        dtype: torch.dtype,
        adapters: Path | None = None,
        quantization: Quantization = "none",
    ) -> Self:
        """
        Load a model folder (original, native or text-only layout).

        Args:
            directory: The model folder.
            device: Where everything goes, as torch spells it.
            dtype: What every weight is rounded to.
            adapters: Replacements for the checkpoint's LoRA, see ``read_checkpoint``.
            quantization: How the decoder's matrices are rounded after merging.

        Raises:
            CheckpointError: The folder cannot be used.
        """
        checkpoint = read_checkpoint(directory, adapters)
        tokenizer = Tokenizer.load(directory, checkpoint.config.vocab_size)
        return cls(checkpoint, tokenizer, device, dtype, quantization)

    @property
    def adapters(self) -> frozenset[Adapter]:
        """What ``decoder`` can be asked for."""
        return frozenset({"none", *self._checkpoint.loras})

    def decoder(self, adapter: Adapter, dtype: torch.dtype | None = None) -> Decoder:
        """
        Return the decoder with ``adapter`` merged (seconds at the first call).

        Args:
            adapter: One of ``adapters``.
            dtype: What the merged weights are rounded to; the model's own if None.

        Raises:
            CheckpointError: The checkpoint has no such adapter.
        """
        key = adapter, dtype or self.dtype
        decoder = self._decoders.get(key)
        if decoder is None:
            decoder = self._decoders[key] = self._build_decoder(*key)
        return decoder

    def forget_decoders(self, wanted: Set[torch.dtype]) -> None:
        """Free the decoders of all types but these."""
        self._decoders = {k: d for k, d in self._decoders.items() if k[1] in wanted}
        for dtype in self._shared.keys() - {*wanted, self.dtype}:
            del self._shared[dtype]

    def cast_encoders(self, vision: torch.dtype, audio: torch.dtype) -> None:
        """Let the encoders compute in these types from now on, from the same weights."""
        if self.image_encoder is not None and self._image_dtype != vision:
            self.image_encoder = self._build_image_encoder(vision)
            self._image_dtype = vision
        if self.audio_encoder is not None and self._audio_dtype != audio:
            self.audio_encoder = self._build_audio_encoder(audio)
            self._audio_dtype = audio

    def _build_decoder(self, adapter: Adapter, dtype: torch.dtype) -> Decoder:
        loras = self._checkpoint.loras
        if adapter != "none" and adapter not in loras:
            raise CheckpointError(f"{self._checkpoint.directory} has no {adapter} adapter")
        pairs = loras[adapter] if adapter != "none" else {}
        if dtype not in self._shared:
            own = self._shared[self.dtype]
            self._shared[dtype] = {name: tensor.to(dtype) for name, tensor in own.items()}
        weights = dict(self._shared[dtype])
        for name in lora_targets(self.config):
            base = self._checkpoint.tensors[name].read()
            if name in pairs:
                merged = merge(base, pairs[name], device=self.device, dtype=dtype)
            else:
                merged = self._placed(base, dtype)
            weights[name.removeprefix("model.")] = merged
        with torch.device("meta"), _Uninitialised():
            decoder = Decoder(self.config)
        decoder = _filled(decoder, weights, self.device)
        if self._quantization != "none":
            decoder.quantize(QUANTIZED[self._quantization])
        return decoder

    def _read_shared(self) -> dict[str, Tensor]:
        """Read what all decoders share, by their parameter names."""
        targets = lora_targets(self.config)
        encoders = (IMAGE_PREFIX, AUDIO_PREFIX)
        return {
            name.removeprefix("model."): self._placed(tensor.read(), self.dtype)
            for name, tensor in self._checkpoint.tensors.items()
            if name not in targets and not name.startswith(encoders)
        }

    def _build_image_encoder(self, dtype: torch.dtype) -> ImageEncoder | None:
        if self.config.vision is None:
            return None
        with torch.device("meta"), _Uninitialised():
            encoder = ImageEncoder(self.config.vision, self.config.hidden_size)
        return _filled(encoder, self._read_encoder(IMAGE_PREFIX, dtype), self.device)

    def _build_audio_encoder(self, dtype: torch.dtype) -> AudioEncoder | None:
        if self.config.audio is None:
            return None
        with torch.device("meta"), _Uninitialised():
            encoder = AudioEncoder(self.config.audio, self.config.hidden_size)
        return _filled(encoder, self._read_encoder(AUDIO_PREFIX, dtype), self.device)

    def _read_encoder(self, prefix: str, dtype: torch.dtype) -> dict[str, Tensor]:
        stored = self._checkpoint.under(prefix)
        return {n: self._placed(tensor.read(), dtype) for n, tensor in stored.items()}

    def _placed(self, tensor: Tensor, dtype: torch.dtype) -> Tensor:
        return tensor.to(device=self.device, dtype=dtype)


class _Uninitialised(TorchFunctionMode):
    """
    Build modules without drawing initial values that the checkpoint replaces.

    On ``meta`` that would cost nothing, but ``normal_`` there imports torch's compiler
    first (torch 2.13: 1.3 s on one core, most of the time the demo model takes to load).
    """

    def __torch_function__(
        self,
        func: Callable[..., object],
        types: object,
        args: tuple[object, ...] = (),
        kwargs: dict[str, object] | None = None,
    ) -> object:
        kwargs = kwargs or {}
        if getattr(func, "__module__", None) == "torch.nn.init":
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        return func(*args, **kwargs)


def _filled(module: _M, weights: dict[str, Tensor], device: str) -> _M:
    """Give a module built on ``meta`` its weights, and its buffers their device."""
    module.load_state_dict(weights, strict=True, assign=True)
    return module.to(device).requires_grad_(False).eval()
