"""
The language model: embeddings, 32 blocks, final norm, output head.

Knows embeddings, slots and positions; knows no token's meaning, no sequence's length and
no adapter (weights arrive merged). Parameter names are those of the native checkpoint
after ``model.``. Ported from transformers ``modeling_phi3.py`` (Phi-4-multimodal's
decoder is the same).
"""

import torch
import torch.nn.functional as F  # noqa: N812  (the name everybody knows it by)
from torch import Tensor, nn

from assistant.model.attention import (
    Attend,
    AttendLatest,
    attend_batch,
    attend_rows,
    attend_span,
    read_from,
    read_mask,
    read_places,
    span_mask,
)
from assistant.model.config import ModelConfig
from assistant.model.fp8 import Fp8Matrix
from assistant.model.kv_cache import KVCache
from assistant.model.linear import Int8Matrix, Matrix, multiply
from assistant.model.rope import LongRope, rotate

AnyMatrix = Matrix | Int8Matrix | Fp8Matrix


class RmsNorm(nn.Module):
    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(size))
        self.eps = eps

    def forward(self, hidden: Tensor) -> Tensor:
        return F.rms_norm(hidden, self.weight.shape, self.weight, self.eps)


class SelfAttention(nn.Module):
    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.num_heads = config.num_heads
        self.num_kv_heads = config.num_kv_heads
        self.head_dim = config.head_dim
        width = config.num_heads * config.head_dim
        rows = width + 2 * config.num_kv_heads * config.head_dim
        self.qkv_proj: AnyMatrix = Matrix(config.hidden_size, rows)
        self.o_proj: AnyMatrix = Matrix(width, config.hidden_size)

    def project(
        self, hidden: Tensor, cos: Tensor, sin: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return rotated queries [N, Hq, D], rotated keys and values [N, Hkv, D]."""
        heads = self.qkv_proj(hidden).unflatten(1, (-1, self.head_dim))
        num_rotated = self.num_heads + self.num_kv_heads
        rotated = rotate(heads[:, :num_rotated], cos, sin)
        return (
            rotated[:, : self.num_heads],
            rotated[:, self.num_heads :],
            heads[:, num_rotated:],
        )


class GatedMlp(nn.Module):
    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        inner = config.intermediate_size
        self.gate_up_proj: AnyMatrix = Matrix(config.hidden_size, 2 * inner)
        self.down_proj: AnyMatrix = Matrix(inner, config.hidden_size)

    def forward(self, hidden: Tensor) -> Tensor:
        gate, up = self.gate_up_proj(hidden).chunk(2, dim=-1)
        out: Tensor = self.down_proj(up * F.silu(gate))
        return out


class Block(nn.Module):
    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.self_attn = SelfAttention(config)
        self.mlp = GatedMlp(config)
        self.input_layernorm = RmsNorm(config.hidden_size, config.rms_norm_eps)
        self.post_attention_layernorm = RmsNorm(config.hidden_size, config.rms_norm_eps)

    def finish(self, hidden: Tensor, attended: Tensor) -> Tensor:
        """Add what attention [N, Hq * D] and the MLP contribute to ``hidden`` [N, H]."""
        hidden = hidden + self.self_attn.o_proj(attended)
        out: Tensor = hidden + self.mlp(self.post_attention_layernorm(hidden))
        return out


class Decoder(nn.Module):
    """One merged copy of the language model (built on the device in force)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(Block(config) for _ in range(config.num_layers))
        self.norm = RmsNorm(config.hidden_size, config.rms_norm_eps)
        self.lm_head: AnyMatrix | None = (
            None
            if config.tie_word_embeddings
            else Matrix(config.hidden_size, config.vocab_size)
        )
        self.rope = LongRope(config.rope, config.head_dim)

    @property
    def blocks(self) -> list[Block]:
        return [block for block in self.layers if isinstance(block, Block)]

    def embed(self, ids: Tensor) -> Tensor:
        """Return the embeddings [..., H] of token ids [...] int64."""
        out: Tensor = self.embed_tokens(ids)
        return out

    def logits(self, hidden: Tensor) -> Tensor:
        """Return float32 logits [..., V] of hidden states [..., H]."""
        if self.lm_head is None:
            return multiply(hidden, self.embed_tokens.weight).float()
        out: Tensor = self.lm_head(hidden)
        return out.float()

    def favour_single_rows(self) -> None:
        """
        Store every matrix transposed: a CPU then multiplies one row of bfloat16 faster.

        (12 layers of 768 and a vocabulary of 32,064, one thread, AVX-512: 22 ms instead of
        30; two rows take longer, and so does looking up many ids.)
        """
        for module in self.modules():
            if isinstance(module, Matrix | nn.Embedding):
                columns = module.weight.detach().t().contiguous()
                module.weight = nn.Parameter(columns.t(), requires_grad=False)

    def quantize(self, kind: type[Int8Matrix] | type[Fp8Matrix]) -> None:
        """
        Round every matrix; the embedding keeps its type, its use as output head does not.
        """
        head = self.embed_tokens.weight if self.lm_head is None else self.lm_head.weight
        self.lm_head = kind.quantize(head)
        for block in self.blocks:
            attention, mlp = block.self_attn, block.mlp
            attention.qkv_proj = kind.quantize(attention.qkv_proj.weight)
            attention.o_proj = kind.quantize(attention.o_proj.weight)
            mlp.gate_up_proj = kind.quantize(mlp.gate_up_proj.weight)
            mlp.down_proj = kind.quantize(mlp.down_proj.weight)

    def prefill(
        self,
        embeds: Tensor,
        cache: KVCache,
        slot: int,
        start: int,
        num_wanted: int | None = None,
        attend: AttendLatest | None = None,
    ) -> Tensor:
        """
        Read ``embeds`` [T, H] at positions from ``start`` on; write their keys and values.

        They are kept, and attended to, in the type of the cache. Every token attends to
        what the slot holds at ``0..start`` and to the new tokens up to itself; ``attend``
        does that in place of torch's ordinary attention.

        Returns:
            Hidden states after the final norm of the last ``num_wanted`` tokens (of all
            if None). The last block does no work for the others beyond their keys.
        """
        end = start + embeds.shape[0]
        assert 0 <= start < end <= cache.max_tokens
        cos, sin = self.rope.for_span(start, end, embeds)
        mask = None if attend else span_mask(start, end, embeds.device)
        hidden = embeds
        for index, block in enumerate(self.blocks):
            queries, keys, values = block.self_attn.project(
                block.input_layernorm(hidden), cos, sin
            )
            all_keys, all_values = cache.keys[index, slot], cache.values[index, slot]
            all_keys[:, start:end] = keys.transpose(0, 1)
            all_values[:, start:end] = values.transpose(0, 1)
            if num_wanted is not None and index == len(self.layers) - 1:
                if num_wanted == 0:
                    return hidden[:0]
                hidden, queries = hidden[-num_wanted:], queries[-num_wanted:]
                mask = span_mask(end - len(hidden), end, embeds.device)
            queries = queries.to(all_keys.dtype)
            read = all_keys[:, :end], all_values[:, :end]
            attended = (
                attend(queries, *read) if attend else attend_span(queries, *read, mask)
            )
            hidden = block.finish(hidden, attended.to(hidden.dtype))
        out: Tensor = self.norm(hidden)
        return out

    def read_tail(
        self, embeds: Tensor, cache: KVCache, slot: Tensor, start: Tensor, last: Tensor
    ) -> Tensor:
        """
        Read as ``prefill`` does, with shapes that depend on the size of ``embeds`` alone.

        What follows the last token may be anything: its keys and values lie behind the
        sequence's end, where they are overwritten before they are read.

        Args:
            embeds: [T, H]; all of it must fit into the slot behind ``start``.
            cache: Where the sequence lives.
            slot: [1] int64.
            start: [1] int64, the position of the first token.
            last: [1] int64, which of the T tokens is the last one that counts.

        Returns:
            Its hidden state [1, H] after the final norm.
        """
        num_tokens = embeds.shape[0]
        positions = start + torch.arange(num_tokens, device=embeds.device)
        cos, sin = self.rope.for_positions(positions, embeds)
        mask = read_mask(positions, cache.max_tokens)
        places = read_places(cache.keys[0], slot, positions[-1:], cache.max_tokens)
        slots = slot.expand(num_tokens)
        hidden = embeds
        for index, block in enumerate(self.blocks):
            queries, keys, values = block.self_attn.project(
                block.input_layernorm(hidden), cos, sin
            )
            all_keys, all_values = cache.keys[index], cache.values[index]
            all_keys[slots, :, positions] = keys.to(all_keys.dtype)
            all_values[slots, :, positions] = values.to(all_keys.dtype)
            if index == len(self.layers) - 1:
                hidden, queries, mask = (
                    x.index_select(0, last) for x in (hidden, queries, mask)
                )
            attended = attend_span(
                queries.to(all_keys.dtype),
                read_from(all_keys, places)[0],
                read_from(all_values, places)[0],
                mask,
            )
            hidden = block.finish(hidden, attended.to(hidden.dtype))
        out: Tensor = self.norm(hidden)
        return out

    def decode(
        self,
        embeds: Tensor,
        cache: KVCache,
        slots: Tensor,
        positions: Tensor,
        num_keys: int | None = None,
        attend: Attend | None = None,
    ) -> Tensor:
        """
        Read one token of each of B sequences and write its key and value.

        Args:
            embeds: [B, H].
            cache: Where the sequences live.
            slots: [B] int64, all different.
            positions: [B] int64, where each token goes; it attends to all before it.
            num_keys: A bound of ``positions + 1`` for all rows. With it shapes are fixed
                and nothing is read back from the device (graphs, no waiting); without it
                a CPU takes the rows one by one, which is faster there.
            attend: Attends in its place, with shapes that are always the same.

        Returns:
            Hidden states [B, H] after the final norm.
        """
        cos, sin = self.rope.for_positions(positions, embeds)
        batch: tuple[Tensor, Tensor] | None = None
        slot_list: list[int] = []
        counts: list[int] = []
        if attend is not None:
            pass
        elif num_keys is None and embeds.device.type == "cpu":
            slot_list, counts = slots.tolist(), (positions + 1).tolist()
        else:
            bound = int(positions.max()) + 1 if num_keys is None else num_keys
            places = read_places(cache.keys[0], slots, positions, bound)
            batch = places, read_mask(positions, bound)
        hidden = embeds
        for index, block in enumerate(self.blocks):
            queries, keys, values = block.self_attn.project(
                block.input_layernorm(hidden), cos, sin
            )
            all_keys, all_values = cache.keys[index], cache.values[index]
            queries = queries.to(all_keys.dtype)
            all_keys[slots, :, positions] = keys.to(all_keys.dtype)
            all_values[slots, :, positions] = values.to(all_keys.dtype)
            if attend is not None:
                attended = attend(queries, all_keys, all_values, slots, positions)
            elif batch is None:
                attended = attend_rows(queries, all_keys, all_values, slot_list, counts)
            else:
                attended = attend_batch(queries, all_keys, all_values, *batch)
            hidden = block.finish(hidden, attended.to(hidden.dtype))
        out: Tensor = self.norm(hidden)
        return out
