import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from assistant.errors import CheckpointError
from assistant.model.lora import merge, read_adapter

TARGET = "model.layers.0.mlp.down_proj.weight"
SHAPES = {TARGET: (6, 4)}
STEM = "model.layers.0.mlp.down_proj"


def write_adapter(
    folder: Path,
    *,
    stem: str = STEM,
    end: str = "weight",
    factors: str = "AB",
    config: dict[str, object] | None = None,
) -> Path:
    generator = torch.Generator().manual_seed(0)
    shapes = {"A": (2, 4), "B": (6, 2)}
    save_file(
        {
            f"{stem}.lora_{f}.{end}": torch.randn(shapes[f], generator=generator)
            for f in factors
        },
        folder / "adapter_model.safetensors",
    )
    stated = {"r": 2, "lora_alpha": 3} | (config or {})
    (folder / "adapter_config.json").write_text(json.dumps(stated))
    return folder


def test_a_product_is_scaled_by_alpha_over_rank_and_rounded_once(tmp_path: Path) -> None:
    pair = read_adapter(write_adapter(tmp_path), SHAPES)[TARGET]
    weight = torch.randn(6, 4, generator=torch.Generator().manual_seed(1)).bfloat16()
    exact = weight.double() + 1.5 * pair.up.read().double() @ pair.down.read().double()
    merged = merge(weight, pair, device="cpu", dtype=torch.bfloat16)
    assert torch.equal(merged, exact.bfloat16())


@pytest.mark.parametrize("prefix", ["", "base_model.model."])
@pytest.mark.parametrize("end", ["weight", "default.weight", "speech.weight"])
def test_all_spellings_of_the_keys_are_read(tmp_path: Path, prefix: str, end: str) -> None:
    write_adapter(tmp_path, stem=prefix + STEM, end=end)
    assert read_adapter(tmp_path, SHAPES).keys() == {TARGET}


def test_a_tensor_for_no_target_is_named(tmp_path: Path) -> None:
    write_adapter(tmp_path, stem="model.layers.9.mlp.down_proj")
    with pytest.raises(CheckpointError, match=r"unexpected tensor model\.layers\.9\.mlp"):
        read_adapter(tmp_path, SHAPES)


@pytest.mark.parametrize(("factors", "missing"), [("A", "B"), ("B", "A")])
def test_half_a_pair_is_named(tmp_path: Path, factors: str, missing: str) -> None:
    write_adapter(tmp_path, factors=factors)
    with pytest.raises(CheckpointError, match=f"lora_{missing} of {STEM} is missing"):
        read_adapter(tmp_path, SHAPES)


def test_the_rank_must_be_the_stated_one(tmp_path: Path) -> None:
    write_adapter(tmp_path, config={"r": 3})
    with pytest.raises(CheckpointError, match=r"has shape \[2, 4\], must be \[3, 4\]"):
        read_adapter(tmp_path, SHAPES)


@pytest.mark.parametrize(
    "variant", [{"use_dora": True}, {"use_rslora": True}, {"rank_pattern": {"x": 4}}]
)
def test_variants_with_another_formula_are_refused(
    tmp_path: Path, variant: dict[str, object]
) -> None:
    write_adapter(tmp_path, config=variant)
    with pytest.raises(CheckpointError, match=f"{next(iter(variant))}: is not supported"):
        read_adapter(tmp_path, SHAPES)


def test_a_pickled_adapter_is_refused(tmp_path: Path) -> None:
    write_adapter(tmp_path)
    (tmp_path / "adapter_model.safetensors").rename(tmp_path / "adapter_model.bin")
    with pytest.raises(CheckpointError, match="pickled weights only"):
        read_adapter(tmp_path, SHAPES)


def test_an_empty_adapter_is_refused(tmp_path: Path) -> None:
    write_adapter(tmp_path, factors="")
    with pytest.raises(CheckpointError, match="holds no tensors"):
        read_adapter(tmp_path, SHAPES)
