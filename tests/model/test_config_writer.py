import dataclasses
from pathlib import Path

import pytest

from assistant.model.checkpoint_writer import tiny_config
from assistant.model.config import Layout, parse_config


@pytest.mark.parametrize("layout", ["original", "native", "text"])
def test_what_is_written_reads_back_as_the_same_configuration(
    checkpoints: Path, layout: Layout
) -> None:
    written = tiny_config(layout, image_size=224)
    if layout == "native":  # ranks stand in the adapters' own folders
        written = dataclasses.replace(written, vision_lora=None, speech_lora=None)
    assert parse_config(checkpoints / layout) == written
