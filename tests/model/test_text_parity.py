"""
The text half of the model against transformers: float32, eager attention, CPU.

transformers reads the native and the text-only layout; the original layout is covered by
``test_both_layouts_give_the_same_bits``. The bound on logits (1e-4, of a spread of 0.6) is
rounding of another order of summation.
"""

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from assistant.model.checkpoint_writer import tiny_config, write_checkpoint
from assistant.model.config import ModelConfig
from assistant.model.decoder import Decoder
from assistant.model.kv_cache import KVCache
from assistant.model.phi4 import Phi4Multimodal
from assistant.model.tensor_names import MODES

pytestmark = [
    pytest.mark.parity,
    # transformers 5.23 recommends another key than the published files have.
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
]

TOLERANCE = 1e-4
NUM_NEW = 16


@pytest.fixture(autouse=True)
def no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


def load_theirs(folder: Path) -> Any:
    """Load a folder as transformers does, and insist on a clean load."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    import transformers

    kind: Any = (
        transformers.Phi3ForCausalLM
        if "phi3" in (folder / "config.json").read_text()
        else transformers.Phi4MultimodalForCausalLM
    )
    model, report = kind.from_pretrained(
        folder,
        dtype=torch.float32,
        attn_implementation="eager",
        output_loading_info=True,
    )
    assert not any(report.values()), report
    return model.eval()


def load_ours(folder: Path) -> Phi4Multimodal:
    return Phi4Multimodal.load(folder, device="cpu", dtype=torch.float32)


def new_cache(config: ModelConfig, num_slots: int) -> KVCache:
    return KVCache.for_model(
        config, num_slots=num_slots, max_tokens=160, dtype=torch.float32, device="cpu"
    )


def drawn_prompts(count: int, longest: int, vocab_size: int = 1024) -> list[Tensor]:
    """Draw prompts of any ids, control tokens included."""
    generator = torch.Generator().manual_seed(count)
    lengths = torch.randint(1, longest + 1, (count,), generator=generator).tolist()
    return [torch.randint(0, vocab_size, (n,), generator=generator) for n in lengths]


def continued(decoder: Decoder, config: ModelConfig, prompts: list[Tensor]) -> list[Tensor]:
    """Prefill each prompt, decode all as one ragged batch; return logits per prompt."""
    cache = new_cache(config, len(prompts))
    hidden = [
        decoder.prefill(decoder.embed(ids), cache, slot, 0)
        for slot, ids in enumerate(prompts)
    ]
    logits = [[decoder.logits(rows)] for rows in hidden]
    slots = torch.arange(len(prompts))
    positions = torch.tensor([len(ids) for ids in prompts])
    for step in range(NUM_NEW):
        tokens = torch.stack([rows[-1][-1].argmax() for rows in logits])
        rows = decoder.decode(decoder.embed(tokens), cache, slots, positions + step)
        for out, row in zip(logits, decoder.logits(rows), strict=True):
            out.append(row[None])
    return [torch.cat(rows) for rows in logits]


def check(
    theirs: Any, decoder: Decoder, config: ModelConfig, prompts: list[Tensor]
) -> None:
    """Compare all logits, and greedy tokens, over each prompt and its continuation."""
    for start in range(0, len(prompts), 8):
        group = prompts[start : start + 8]
        for ids, ours in zip(group, continued(decoder, config, group), strict=True):
            chosen = ours[len(ids) - 1 : -1].argmax(-1)
            expected = theirs(input_ids=torch.cat((ids, chosen))[None]).logits[0]
            assert (ours - expected).abs().max() <= TOLERANCE
            # Where their two best are as good as equal, ours may be either.
            best = expected[len(ids) - 1 : -1]
            taken = best.gather(1, chosen[:, None])[:, 0]
            assert (best.amax(-1) - taken <= TOLERANCE).all()


def test_the_native_layout_agrees_on_two_hundred_prompts(checkpoints: Path) -> None:
    theirs, ours = load_theirs(checkpoints / "native"), load_ours(checkpoints / "native")
    check(theirs, ours.decoder("none"), ours.config, drawn_prompts(200, longest=120))


def test_phi4_mini_agrees(checkpoints: Path) -> None:
    theirs, ours = load_theirs(checkpoints / "text"), load_ours(checkpoints / "text")
    check(theirs, ours.decoder("none"), ours.config, drawn_prompts(50, longest=60))


@pytest.mark.parametrize("mode", MODES)
def test_merged_adapters_agree_with_peft(checkpoints: Path, mode: Any) -> None:
    theirs, ours = load_theirs(checkpoints / "native"), load_ours(checkpoints / "native")
    prompts = drawn_prompts(25, longest=60)
    before = theirs(input_ids=prompts[0][None]).logits[0]
    theirs.load_adapter(
        str(checkpoints / "native"),
        adapter_name=mode,
        adapter_kwargs={"subfolder": f"{mode}-lora"},
    )
    theirs.set_adapter(mode)
    after = theirs(input_ids=prompts[0][None]).logits[0]
    assert (after - before).abs().max() > 1000 * TOLERANCE  # the adapter is on
    check(theirs, ours.decoder(mode), ours.config, prompts)


def test_greedy_generation_is_theirs(checkpoints: Path) -> None:
    theirs, ours = load_theirs(checkpoints / "native"), load_ours(checkpoints / "native")
    prompts = drawn_prompts(8, longest=40)
    logits = continued(ours.decoder("none"), ours.config, prompts)
    stop_ids = set(ours.config.stop_ids)
    for ids, rows in zip(prompts, logits, strict=True):
        generated = theirs.generate(
            input_ids=ids[None],
            attention_mask=torch.ones_like(ids)[None],
            max_new_tokens=NUM_NEW,
            do_sample=False,
        )[0, len(ids) :].tolist()
        chosen = rows[len(ids) - 1 : -1].argmax(-1).tolist()
        assert chosen[: len(generated)] == generated
        assert len(generated) == NUM_NEW or generated[-1] in stop_ids


def test_long_factors_and_an_untied_head_agree(tmp_path: Path) -> None:
    """The switch is at 32 tokens here; sequences start on either side and do not cross."""
    config = tiny_config("text")
    config = dataclasses.replace(
        config,
        tie_word_embeddings=False,
        rope=dataclasses.replace(
            config.rope, original_max_positions=32, max_positions=1024
        ),
    )
    write_checkpoint(tmp_path / "model", config)
    theirs, ours = load_theirs(tmp_path / "model"), load_ours(tmp_path / "model")
    prompts = drawn_prompts(60, longest=90)
    kept = [ids for ids in prompts if not 32 - NUM_NEW < len(ids) <= 32]
    assert min(map(len, kept)) <= 16
    check(theirs, ours.decoder("none"), ours.config, kept)
