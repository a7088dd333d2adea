from assistant.turns.tally import Tally


def test_taking_leaves_nothing_and_adding_sums_every_count() -> None:
    tally = Tally(num_speculations=2, num_confirmed=1, won_s=0.25, num_wasted=7)
    total = Tally(num_read=100, won_s=0.5)
    taken = tally.take()
    total.add(taken)
    assert tally == Tally()
    assert total == Tally(
        num_speculations=2, num_confirmed=1, won_s=0.75, num_wasted=7, num_read=100
    )


def test_the_share_of_waste_is_of_everything_computed() -> None:
    assert Tally().wasted_share == 0
    assert Tally(num_read=60, num_written=40, num_wasted=25).wasted_share == 0.25


def test_the_wire_has_milliseconds_and_the_log_one_line() -> None:
    tally = Tally(num_speculations=2, num_confirmed=1, won_s=0.2125, num_read=50)
    assert tally.to_wire()["won_ms"] == 212.5
    assert str(tally) == (
        "1 of 2 speculations confirmed, won 212 ms, wasted 0 of 50 tokens, 0 read again"
    )
