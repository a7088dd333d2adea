import pytest

from assistant.gateway.rtc.reception import MAX_MISSING, Reception

CLOCK_HZ = 48_000
STEP = 960


def received(*sequences: int) -> Reception:
    """A stream of 20 ms packets of which these came, on time."""
    reception = Reception(CLOCK_HZ)
    for number in sequences:
        reception.packet(number & 0xFFFF, number * STEP & 0xFFFFFFFF, number * 0.02)
    return reception


def test_nothing_is_lost_while_everything_comes() -> None:
    reception = received(*range(65_500, 65_600))
    report = reception.report(0.0)
    assert (report.num_lost, report.fraction_lost, report.jitter) == (0, 0, 0)
    assert report.highest_sequence == 65_599
    assert reception.missing() == []


def test_losses_are_counted_in_all_and_since_the_last_report() -> None:
    reception = received(*[n for n in range(100) if n % 10 != 5])
    first = reception.report(0.0)
    assert (first.num_lost, first.fraction_lost) == (10, 256 * 10 // 100)
    for number in range(100, 200):
        reception.packet(number, number * STEP, number * 0.02)
    second = reception.report(0.0)
    assert (second.num_lost, second.fraction_lost) == (10, 0)


def test_a_gap_is_noticed_once_and_what_comes_late_is_missing_no_more() -> None:
    reception = received(0, 1)
    assert reception.packet(4, 4 * STEP, 0.08)
    assert reception.missing() == [2, 3]
    assert not reception.packet(3, 3 * STEP, 0.09)
    assert reception.missing() == [2]
    assert reception.num_lost == 1
    reception.give_up()
    assert reception.missing() == []


def test_missing_packets_are_named_across_the_wrap_of_their_numbers() -> None:
    assert received(65_534, 65_538).missing() == [65_535, 0, 1]


def test_of_an_outage_only_the_newest_is_asked_for() -> None:
    reception = received(0)
    assert reception.packet(1000, 1000 * STEP, 20.0)
    assert len(reception.missing()) == MAX_MISSING


def test_a_number_far_away_begins_anew() -> None:
    reception = received(*range(10))
    assert not reception.packet(30_000, 0, 1.0)
    assert (reception.num_received, reception.num_lost) == (1, 0)


def test_jitter_is_how_unevenly_packets_come() -> None:
    reception = Reception(CLOCK_HZ)
    for number in range(400):
        late_s = 0.01 if number % 2 else 0.0
        reception.packet(number, number * STEP, number * 0.02 + late_s)
    assert reception.jitter_s == pytest.approx(0.01, rel=0.05)


def test_a_report_names_the_last_one_of_the_sender_and_how_long_ago_it_was() -> None:
    reception = received(0)
    reception.sender_report(0x1234_5678_9ABC_DEF0, now=10.0)
    report = reception.report(now=10.5)
    assert report.last_sender_report == 0x5678_9ABC
    assert report.delay == 0x8000
