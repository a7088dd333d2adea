"""
LoRA as it is learned: factors beside frozen or learning matrices, merged at every step.

The service merges them once, when it loads a checkpoint (see ``assistant.model.lora``).
"""

import torch
from torch import Tensor, nn

from assistant.model.audio import Projector
from assistant.model.config import ModelConfig
from assistant.model.decoder import Decoder
from assistant.model.tensor_names import lora_targets

PROJECTORS: tuple[Projector, ...] = ("speech", "vision")
"""Of the ears; the adapters of the language model have the same names."""
DECODER_PREFIX = "model."


class Adapter(nn.Module):
    """The factors of a LoRA; changes nothing until it has learned something."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        assert config.speech_lora is not None
        self.scale = config.speech_lora.scale
        rank = config.speech_lora.rank
        # Parameters cannot have dots in their names.
        self.names = list(lora_targets(config))
        self.down = nn.ParameterList()
        self.up = nn.ParameterList()
        for rows, cols in lora_targets(config).values():
            self.down.append(nn.Parameter(torch.randn(rank, cols) / cols**0.5))
            self.up.append(nn.Parameter(torch.zeros(rows, rank)))

    def merged(self, decoder: Decoder) -> dict[str, Tensor]:
        """Return the matrices that it changes, by name in the decoder, with it added."""
        weights = dict(decoder.named_parameters())
        found = {}
        for name, down, up in zip(self.names, self.down, self.up, strict=True):
            own = name.removeprefix(DECODER_PREFIX)
            found[own] = torch.addmm(weights[own], up, down, alpha=self.scale)
        return found

    def factors(self) -> dict[str, Tensor]:
        """Return A and B by the name that a checkpoint gives them."""
        found = {}
        for name, down, up in zip(self.names, self.down, self.up, strict=True):
            stem = name.removesuffix(".weight")
            found[f"{stem}.lora_A.weight"] = down.detach()
            found[f"{stem}.lora_B.weight"] = up.detach()
        return found
