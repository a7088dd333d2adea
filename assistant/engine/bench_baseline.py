"""
The baseline of the measurements: transformers' ``generate()`` on the same weights.

Stock transformers with SDPA and its dynamic cache, one request at a time, as its users run
it. Decoding the picture's file and computing features is not counted, in its favour.
"""

import io
import time
from typing import Any

import numpy as np
import PIL.Image
import torch
from transformers.generation.streamers import BaseStreamer

from assistant.engine.bench import Load, Timing
from assistant.engine.transformers_backend import build_model
from assistant.model.features import log_mel
from assistant.model.images import prepare_image
from assistant.model.tokenizer import Tokenizer
from assistant.model.weights import Checkpoint


class Stopwatch(BaseStreamer):
    """Notes when each token comes; the prompt comes first."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def put(self, value: torch.Tensor) -> None:
        """Receive ids; they are on the host, so the device has computed them."""
        self.times.append(time.perf_counter())

    def end(self) -> None:
        """Receive the end."""


class Baseline:
    """A transformers model and one request for it."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        tokenizer: Tokenizer,
        load: Load,
        device: str,
        dtype: torch.dtype,
    ) -> None:
        self._hf: Any = build_model(checkpoint, device, dtype, attention="sdpa")
        self._num_output = load.num_output
        self._inputs = _inputs(self._hf, tokenizer, load, device, dtype)

    @torch.inference_mode()
    def turn(self) -> Timing:
        """Answer the request."""
        watch = Stopwatch()
        begin = time.perf_counter()
        self._hf.generate(
            **self._inputs,
            max_new_tokens=self._num_output,
            do_sample=False,
            eos_token_id=None,
            pad_token_id=0,
            streamer=watch,
        )
        times = watch.times[1:]
        assert len(times) == self._num_output, "generate() ended before its time"
        gaps = max(len(times) - 1, 1)
        return Timing(times[0] - begin, (times[-1] - times[0]) / gaps)


def _inputs(
    hf: Any, tokenizer: Tokenizer, load: Load, device: str, dtype: torch.dtype
) -> dict[str, Any]:
    vision = hf.config.vision_config
    rgb = np.asarray(PIL.Image.open(io.BytesIO(load.image)))
    prepared = prepare_image(rgb, 1, vision.image_size, vision.patch_size)
    rows, cols = prepared.grid
    features = torch.from_numpy(log_mel(np.frombuffer(load.samples, "<f4").copy()))
    num_audio = -(-len(features) // 8)
    ids = [
        tokenizer.control("user"),
        *[vision.image_token_id] * prepared.num_tokens,
        *[hf.config.audio_config.audio_token_id] * num_audio,
        *load.ids,
        tokenizer.control("end"),
        tokenizer.control("assistant"),
    ]
    return {
        "input_ids": torch.tensor([ids], device=device),
        "attention_mask": torch.ones(1, len(ids), dtype=torch.int64, device=device),
        "image_pixel_values": torch.from_numpy(prepared.crops)[None].to(device, dtype),
        "image_sizes": torch.tensor([[rows * vision.image_size, cols * vision.image_size]]),
        "image_attention_mask": torch.from_numpy(prepared.patch_masks)[None].to(device),
        "audio_input_features": features[None].to(device, dtype),
        "audio_embed_sizes": torch.tensor([num_audio]),
    }
