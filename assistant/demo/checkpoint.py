"""The trained demo as a model folder in the real layout, for the ordinary loader."""

from pathlib import Path

import tokenizers

from assistant.demo.adapter import DECODER_PREFIX, PROJECTORS
from assistant.demo.network import Network, adapter_of, demo_config
from assistant.model.checkpoint_writer import write_trained
from assistant.model.tensor_names import AUDIO_PREFIX, IMAGE_PREFIX


def write(directory: Path, net: Network, tokenizer: tokenizers.Tokenizer) -> None:
    """
    Write the network for the ordinary loader.

    Raises:
        CheckpointError: ``directory`` exists and is not empty.
    """
    prefixes = (
        (DECODER_PREFIX, net.decoder),
        (IMAGE_PREFIX, net.image_encoder),
        (AUDIO_PREFIX, net.audio_encoder),
    )
    weights = {
        prefix + name: tensor.detach()
        for prefix, module in prefixes
        for name, tensor in module.state_dict().items()
    }
    adapters = {mode: adapter_of(net, mode).factors() for mode in PROJECTORS}
    write_trained(directory, demo_config(), tokenizer, weights, adapters)
