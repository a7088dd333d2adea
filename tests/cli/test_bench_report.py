from assistant.cli.bench_report import CARD, card_lines, table_lines


def test_the_card_names_the_machine_and_its_bounds() -> None:
    card = card_lines(dict.fromkeys(CARD, 1234.5))
    assert card[0] == "roofline"
    assert len(card) == 2 + len(CARD)
    assert any("bound of a token, float32, ms" in line for line in card)
    assert all(line.endswith("1,234.50") for line in card[1:-1])


def test_the_table_has_a_line_for_every_figure() -> None:
    lines = table_lines({"per_token_ms": 12.345, "dtype": "float32"})
    assert lines[1:3] == ["  per token ms         12.35", "  dtype              float32"]
