import json
from dataclasses import asdict
from itertools import pairwise
from random import Random

import msgspec
import pytest

from tests.impairment import (
    PROFILES,
    Profile,
    Way,
    damaged,
    is_blocked,
    with_ports_shifted,
)

PACKET = bytes([0x45, *range(1, 9), 17, *range(10, 120)])
"""120 bytes that look like UDP over IPv4."""


def send(
    profile: Profile, num_packets: int = 5000, every_s: float = 0.02, seed: int = 1
) -> tuple[Way, list[tuple[int, float, float]]]:
    """Send packets, each a number; return (number, sent, due) as they arrive."""
    way = Way(profile, Random(seed))
    found = []
    on_the_way: list[float] = []
    for number in range(num_packets):
        now = number * every_s
        arrived = [due_s for due_s in on_the_way if due_s <= now]
        on_the_way = [due_s for due_s in on_the_way if due_s > now]
        way.num_queued -= len(arrived)
        packet = number.to_bytes(4, "big") + PACKET[:96]
        for due_s, carried in way.send(packet, now):
            on_the_way.append(due_s)
            found.append((int.from_bytes(carried[:4], "big"), now, due_s))
    return way, sorted(found, key=lambda one: one[2])


@pytest.mark.parametrize(
    ("name", "share"), [("loss1", 0.01), ("loss10", 0.1), ("loss20", 0.2)]
)
def test_so_many_packets_are_lost_as_the_profile_says(name: str, share: float) -> None:
    way, arrived = send(PROFILES[name])
    assert len(arrived) == way.counts.sent - way.counts.lost
    assert way.counts.lost / way.counts.sent == pytest.approx(share, rel=0.2)


def test_a_clean_network_changes_nothing() -> None:
    _, arrived = send(PROFILES["clean"])
    assert arrived == [(n, n * 0.02, n * 0.02) for n in range(5000)]


def test_in_a_car_packets_are_lost_in_a_row() -> None:
    way, arrived = send(PROFILES["car"])
    numbers = sorted(number for number, _, _ in arrived)
    gaps = [later - earlier - 1 for earlier, later in pairwise(numbers)]
    assert max(gaps) >= 4
    assert 0.02 < way.counts.lost / way.counts.sent < 0.07


def test_delay_is_within_its_bounds_and_keeps_the_order() -> None:
    _, arrived = send(PROFILES["lte"])
    delays = [due_s - sent_s for _, sent_s, due_s in arrived]
    assert 0.015 <= min(delays) < 0.02
    assert 0.05 < max(delays) < 0.06
    numbers = [number for number, _, _ in arrived]
    assert numbers == sorted(numbers)


def test_packets_overtake_each_other_only_where_the_profile_says() -> None:
    for name, overtakes in (("loss10jitter60", True), ("wifi", True), ("3g", False)):
        _, arrived = send(PROFILES[name], every_s=0.005)
        numbers = [number for number, _, _ in arrived]
        assert (numbers != sorted(numbers)) == overtakes, name


def test_a_rate_is_kept_and_what_the_queue_cannot_hold_is_lost() -> None:
    profile = Profile(rate_kbit_s=100.0, queue=50)  # 125 packets of 100 bytes a second
    way, arrived = send(profile, num_packets=2000, every_s=0.002)
    assert way.counts.overflowed > 1000
    assert len(arrived) / arrived[-1][2] == pytest.approx(125, rel=0.05)
    assert max(due_s - sent_s for _, sent_s, due_s in arrived) <= 50 / 125 + 0.01


def test_packets_are_doubled_and_damaged_where_the_profile_says() -> None:
    way, arrived = send(Profile(doubled=0.1, damaged=0.1))
    assert way.counts.doubled == pytest.approx(500, rel=0.2)
    assert way.counts.damaged == pytest.approx(500, rel=0.2)
    assert len(arrived) == 5000 + way.counts.doubled


def test_a_network_that_is_down_carries_nothing() -> None:
    assert send(PROFILES["down"])[1] == []


def test_a_firewall_lets_udp_through_to_its_ports_in_both_directions_and_tcp_always() -> (
    None
):
    here, there = (int.from_bytes(PACKET[at : at + 2], "big") for at in (20, 22))
    assert not is_blocked(PACKET, None)
    assert is_blocked(PACKET, ())
    assert is_blocked(PACKET, (7,))
    assert not is_blocked(PACKET, (there,))
    assert not is_blocked(PACKET, (here,))
    assert not is_blocked(PACKET[:9] + b"\x06" + PACKET[10:], ())
    assert send(PROFILES["no udp"], num_packets=1)[1] != []  # that is no IPv4 packet


def test_damage_is_one_bit_behind_the_headers() -> None:
    changed = damaged(PACKET, Random(1))
    differ = [at for at in range(len(PACKET)) if changed[at] != PACKET[at]]
    assert next(at for at in differ if at not in (26, 27)) >= 28
    assert changed[26:28] == b"\x00\x00"
    assert damaged(PACKET[:20], Random(1)) == PACKET[:20]


def test_another_nat_shows_another_port_and_answers_find_back() -> None:
    up = with_ports_shifted(PACKET, 1000, is_up=True)
    assert int.from_bytes(up[20:22], "big") == int.from_bytes(PACKET[20:22], "big") + 1000
    answer = PACKET[:22] + up[20:22] + PACKET[24:]
    down = with_ports_shifted(answer, 1000, is_up=False)
    assert down[22:24] == PACKET[20:22]
    assert with_ports_shifted(PACKET, 0, is_up=True) == PACKET


def test_profiles_survive_the_way_to_the_process_that_carries() -> None:
    for profile in PROFILES.values():
        carried = json.loads(json.dumps(asdict(profile)))
        assert msgspec.convert(carried, Profile) == profile


@pytest.mark.parametrize(
    ("header", "share"),
    [({0: 0x45, 9: 17}, 0.2), ({0: 0x60, 6: 17}, 0.2), ({0: 0x45, 9: 6}, 0)],
)
def test_what_spares_tcp_loses_udp_of_both_kinds(
    header: dict[int, int], share: float
) -> None:
    packet = bytearray(60)
    for at, value in header.items():
        packet[at] = value
    way = Way(PROFILES["udploss20"], Random(1))
    for number in range(2000):
        way.num_queued = 0
        way.send(bytes(packet), number)
    assert way.counts.lost / 2000 == pytest.approx(share, abs=0.03)
