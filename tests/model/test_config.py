import json
from pathlib import Path

import pytest

from assistant.errors import CheckpointError
from assistant.model.config import Layout, parse_config

REAL_LANGUAGE_MODEL: dict[str, object] = {
    "hidden_size": 3072,
    "intermediate_size": 8192,
    "max_position_embeddings": 131072,
    "num_attention_heads": 24,
    "num_hidden_layers": 32,
    "num_key_value_heads": 8,
    "original_max_position_embeddings": 4096,
    "partial_rotary_factor": 0.75,
    "rms_norm_eps": 1e-05,
    "rope_scaling": {
        "long_factor": [2.0] * 48,
        "short_factor": [1.0] * 48,
        "type": "longrope",
    },
    "rope_theta": 10000.0,
    "tie_word_embeddings": True,
    "vocab_size": 200064,
    "eos_token_id": 199999,
}


def write(folder: Path, name: str, **values: object) -> Path:
    (folder / name).write_text(json.dumps(values))
    return folder


def changed(checkpoints: Path, layout: Layout, to: Path, **values: object) -> Path:
    """Copy a tiny checkpoint's ``config.json`` with some keys replaced (None: removed)."""
    config = json.loads((checkpoints / layout / "config.json").read_text()) | values
    kept = {key: value for key, value in config.items() if value is not None}
    return write(to, "config.json", **kept)


def test_the_published_sizes_are_read(tmp_path: Path) -> None:
    write(tmp_path, "config.json", model_type="phi3", **REAL_LANGUAGE_MODEL)
    config = parse_config(tmp_path)
    assert config.layout == "text"
    assert config.head_dim == 128
    assert config.rope.rotary_dims == 96
    assert config.vision is None
    assert config.audio is None
    assert config.stop_ids == (199999,)


def test_the_original_tower_is_so400m_unless_it_says_otherwise(
    checkpoints: Path, tmp_path: Path
) -> None:
    folder = changed(checkpoints, "original", tmp_path, tiny_img_processor=None)
    vision = parse_config(folder).vision
    assert vision is not None
    assert (vision.hidden_size, vision.num_heads, vision.intermediate_size) == (
        1152, 16, 4304,
    )  # fmt: skip
    assert (vision.num_used_layers, vision.image_size, vision.patch_size) == (26, 448, 14)


def test_stop_tokens_come_from_the_generation_config(
    checkpoints: Path, tmp_path: Path
) -> None:
    folder = changed(checkpoints, "original", tmp_path)
    assert len(parse_config(folder).stop_ids) == 1
    write(folder, "generation_config.json", eos_token_id=[980, 959])
    assert parse_config(folder).stop_ids == (959, 980)
    write(folder, "generation_config.json", eos_token_id="980")
    with pytest.raises(CheckpointError, match="eos_token_id: must be an integer"):
        parse_config(folder)


def test_the_rope_keys_of_transformers_5_are_read(tmp_path: Path) -> None:
    old = dict(REAL_LANGUAGE_MODEL)
    scaling = old.pop("rope_scaling")
    assert isinstance(scaling, dict)
    new = {
        "rope_type": "longrope",
        "short_factor": scaling["short_factor"],
        "long_factor": scaling["long_factor"],
    }
    for key in (
        "rope_theta",
        "partial_rotary_factor",
        "original_max_position_embeddings",
    ):
        new[key] = old.pop(key)
    write(tmp_path, "config.json", model_type="phi3", rope_parameters=new, **old)
    theirs = parse_config(tmp_path)
    write(tmp_path, "config.json", model_type="phi3", **REAL_LANGUAGE_MODEL)
    assert parse_config(tmp_path) == theirs


def test_the_misspelt_key_is_read_when_the_right_one_is_missing(
    checkpoints: Path, tmp_path: Path
) -> None:
    audio = json.loads((checkpoints / "native/config.json").read_text())["audio_config"]
    del audio["depthwise_separable_out_channel"]
    folder = changed(checkpoints, "native", tmp_path, audio_config=audio)
    parsed = parse_config(folder).audio
    assert parsed is not None
    assert parsed.depthwise_channels == 64


@pytest.mark.parametrize("layout", ["original", "native", "text"])
@pytest.mark.parametrize(
    "key", ["model_type", "vocab_size", "rope_scaling", "tie_word_embeddings"]
)
def test_a_missing_key_is_named(
    checkpoints: Path, tmp_path: Path, layout: Layout, key: str
) -> None:
    folder = changed(checkpoints, layout, tmp_path, **{key: None})
    with pytest.raises(CheckpointError, match=f"config.json: key {key} is missing"):
        parse_config(folder)


@pytest.mark.parametrize(
    ("layout", "key"),
    [
        ("original", "audio_processor"),
        ("original", "speech_lora"),
        ("native", "audio_config"),
        ("native", "vision_config"),
    ],
)
def test_a_missing_section_is_named(
    checkpoints: Path, tmp_path: Path, layout: Layout, key: str
) -> None:
    folder = changed(checkpoints, layout, tmp_path, **{key: None})
    with pytest.raises(CheckpointError, match=f"key {key} is missing"):
        parse_config(folder)


def test_another_kind_of_model_is_refused_by_name(
    checkpoints: Path, tmp_path: Path
) -> None:
    folder = changed(checkpoints, "text", tmp_path, model_type="llama")
    with pytest.raises(CheckpointError, match="model_type 'llama' is not supported"):
        parse_config(folder)


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"num_key_value_heads": 2}, "2 does not divide 3 heads"),
        ({"hidden_size": 97}, "97 is no multiple of 3 heads"),
        ({"partial_rotary_factor": 0.5}, "must be a list of 8 numbers"),
        ({"rope_scaling": {"type": "yarn"}}, "'yarn' is not supported"),
    ],
)
def test_sizes_that_do_not_fit_together_are_refused(
    checkpoints: Path, tmp_path: Path, values: dict[str, object], complaint: str
) -> None:
    folder = changed(checkpoints, "text", tmp_path, **values)
    with pytest.raises(CheckpointError, match=complaint):
        parse_config(folder)


def test_an_odd_number_of_patches_is_refused(checkpoints: Path, tmp_path: Path) -> None:
    tower = {"image_size": 14 * 15}
    folder = changed(checkpoints, "original", tmp_path, tiny_img_processor=tower)
    with pytest.raises(CheckpointError, match="210 is no multiple of twice the patch"):
        parse_config(folder)


def test_a_missing_folder_and_a_missing_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="nowhere is not a folder"):
        parse_config(tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match=r"config\.json is missing"):
        parse_config(tmp_path)
