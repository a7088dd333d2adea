import torch

from assistant.model.checkpoint_writer import tiny_config
from assistant.model.kv_cache import KVCache


def test_a_cache_has_the_model_s_heads_and_counts_its_bytes() -> None:
    config = tiny_config("text")
    cache = KVCache.for_model(
        config, num_slots=2, max_tokens=8, dtype=torch.bfloat16, device="cpu"
    )
    assert cache.keys.shape == cache.values.shape == (3, 2, 1, 8, 32)
    assert cache.num_bytes == 2 * 2 * cache.keys.numel()
    assert not cache.values.any()
