"""How the figures of ``assistant bench`` look in a terminal. Knows names and units."""

from collections.abc import Mapping

Figures = Mapping[str, object]

CARD = {
    "device": "device",
    "threads": "threads",
    "model": "model",
    "decoder_parameters": "weights read per token",
    "float32_gb_per_s": "memory, GB/s",
    "float32_gflop_per_s": "multiplying, float32, GFLOP/s",
    "bfloat16_gflop_per_s": "multiplying, bfloat16, GFLOP/s",
    "float32_decoder_gb": "decoder, float32, GB",
    "bfloat16_decoder_gb": "decoder, bfloat16, GB",
    "float32_bound_ms_per_token": "bound of a token, float32, ms",
    "bfloat16_bound_ms_per_token": "bound of a token, bfloat16, ms",
}


def card_lines(figures: Figures) -> list[str]:
    """Return the roofline card."""
    rows = [(label, _spelled(figures[name])) for name, label in CARD.items()]
    return ["roofline", *_aligned(rows), ""]


def table_lines(figures: Figures) -> list[str]:
    """Return the measurements, one a line: what, and how much."""
    rows = [(name.replace("_", " "), _spelled(value)) for name, value in figures.items()]
    return ["measured (medians)", *_aligned(rows), ""]


def _aligned(rows: list[tuple[str, str]]) -> list[str]:
    width = max(len(label) for label, _ in rows)
    return [f"  {label:<{width}}  {value:>12}" for label, value in rows]


def _spelled(value: object) -> str:
    return f"{value:,.2f}" if isinstance(value, float) else str(value)
