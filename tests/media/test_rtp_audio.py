from collections.abc import Iterable
from dataclasses import replace
from random import Random

import numpy as np
import pytest

from assistant.media.opus import Pcm, open_decoder, silence
from assistant.media.opus_packet import has_fec
from assistant.media.rtp_audio import MAX_FILLED, MAX_LAG_S, RESERVE_S, AudioReceiver
from tests.media.counting_opus import FRAME, CountingDecoder, payload
from tests.media.rtp_streams import RtpPacket, audio_packets, spoken_payloads

PAUSE = b"\x48"


def receiver() -> AudioReceiver:
    return AudioReceiver(decoder=CountingDecoder())


def stream(numbers: Iterable[int], *, fec: bool = True, first: int = 0) -> list[RtpPacket]:
    """Packets that arrive when their sound is over; their first sequence is ``first``."""
    return [
        RtpPacket(first + n & 0xFFFF, n * 960, payload(n, fec=fec), (n + 1) * 0.02)
        for n in numbers
    ]


def hear(audio: AudioReceiver, packets: Iterable[RtpPacket]) -> list[int]:
    """Play packets, waking the receiver when it asks; return one value per 20 ms."""
    parts: list[Pcm] = []
    for packet in packets:
        while (at_s := audio.wake_at()) is not None and at_s < packet.sent_s:
            parts += audio.due(at_s)
        audio.packet(packet.sequence, packet.timestamp, packet.payload, packet.sent_s)
        parts += audio.due(packet.sent_s)
    return frames(parts)


def wait(audio: AudioReceiver) -> list[int]:
    """Let time pass until the receiver has no more to say."""
    parts: list[Pcm] = []
    while (at_s := audio.wake_at()) is not None:
        parts += audio.due(at_s)
    return frames(parts)


def frames(parts: list[Pcm]) -> list[int]:
    samples = np.concatenate(parts) if parts else silence(0)
    assert len(samples) % FRAME == 0
    return [int(value) for value in samples[::FRAME]]


def test_what_comes_in_order_is_heard_at_once_and_whole() -> None:
    audio = receiver()
    assert hear(audio, stream(range(10))) == list(range(10))
    assert audio.stats().hold_ms == 0
    assert audio.missing(0.2) == []


def test_a_lost_packet_is_taken_from_the_one_behind_it() -> None:
    audio = receiver()
    heard = hear(audio, stream([0, 1, 3, 4, 5, 6]))
    assert heard == [0, 1, 2, 3, 4, 5, 6]
    stats = audio.stats()
    assert (stats.lost, stats.recovered, stats.concealed) == (1, 1, 0)


def test_without_fec_it_is_guessed() -> None:
    audio = receiver()
    assert hear(audio, stream([0, 2, 3, 4], fec=False)) == [0, -1, 2, 3, 4]
    assert audio.stats().concealed == 1


def test_of_several_in_a_row_the_last_is_recovered_and_the_others_are_guessed() -> None:
    audio = receiver()
    assert hear(audio, stream([0, 4, 5, 6])) == [0, -1, -1, 3, 4, 5, 6]
    stats = audio.stats()
    assert (stats.lost, stats.recovered, stats.concealed) == (3, 1, 2)


def test_an_overtaken_packet_is_heard_in_its_place() -> None:
    audio = receiver()
    one, two, three, four = stream([1, 2, 3, 4])
    late = replace(two, sent_s=three.sent_s + 0.005)
    assert hear(audio, [one, three, late, four]) == [1, 2, 3, 4]
    assert audio.stats().lost == 0


def test_a_missing_packet_is_worth_a_nack_while_it_is_waited_for() -> None:
    audio = receiver()
    for packet in stream([0, 2], first=65_535):
        audio.packet(packet.sequence, packet.timestamp, packet.payload, packet.sent_s)
    assert audio.missing(0.06) == [0]
    audio.due(0.2)
    assert audio.missing(0.2) == []


@pytest.mark.parametrize("bad", [b"", b"\x48", b"\xff"])
def test_an_empty_or_damaged_payload_is_guessed_and_the_next_one_is_heard(
    bad: bytes,
) -> None:
    audio = receiver()
    packets = stream(range(5))
    packets[2] = replace(packets[2], payload=bad)
    assert hear(audio, packets) == [0, 1, -1, 3, 4]
    assert audio.stats().corrupt == 1


def test_a_pause_of_the_encoder_becomes_silence_while_it_lasts() -> None:
    audio = receiver()
    talk = stream(range(10))
    talk[-1] = replace(talk[-1], payload=PAUSE)
    assert len(hear(audio, talk)) == 10
    heard = 0
    for tick in range(1, 200):
        heard += len(frames(audio.due(0.2 + tick * 0.01)))
        assert tick / 2 - 4 <= heard <= tick / 2
    assert audio.stats().pause_s == pytest.approx(heard * 0.02)


def test_after_a_pause_every_sample_is_where_its_timestamp_says() -> None:
    audio = receiver()
    talk = stream(range(40))
    pause = [*talk[:5], replace(talk[5], payload=PAUSE)]
    again = [replace(packet, sequence=packet.sequence - 20) for packet in talk[26:]]
    heard = hear(audio, [*pause, *again])
    assert heard == [0, 1, 2, 3, 4, -1, *[0] * 20, *range(26, 40)]
    assert audio.stats().lost == 0


def test_a_pause_that_ends_sooner_than_thought_does_not_shift_what_follows() -> None:
    audio = receiver()
    talk = stream(range(20))
    talk[5] = replace(talk[5], payload=PAUSE)
    hear(audio, talk[:6])
    filled = frames(audio.due(talk[10].sent_s + 0.05))  # silence up to packet 10
    assert filled == [0] * 5
    heard = hear(audio, [replace(p, sent_s=p.sent_s + 0.13) for p in talk[6:]])
    assert heard == list(range(11, 20))
    assert audio.stats().late == 5


def test_a_silent_network_is_a_pause_after_a_second_so_that_sentences_end() -> None:
    audio = receiver()
    hear(audio, stream(range(10)))
    assert audio.due(1.0) == []
    assert 1.5 < len(wait(audio)) * 0.02 < 2.5
    assert audio.due(100.0) == []


def test_a_short_outage_is_filled_and_a_long_one_is_skipped() -> None:
    audio = receiver()
    short = MAX_FILLED // 960 - 1
    talk = stream(range(200))
    assert len(hear(audio, [*talk[:10], *talk[10 + short : 50]])) == 50
    assert len(hear(audio, [talk[49], *talk[90:100]])) < 20
    assert audio.stats().skipped_s == pytest.approx(40 * 0.02 - 0.06)


def test_a_backlog_of_many_seconds_is_dropped_but_for_its_end() -> None:
    audio = receiver()
    talk = stream(range(800))
    hear(audio, talk[:100])
    wait(audio)
    back_s = talk[700].sent_s
    backlog = [
        replace(packet, sent_s=back_s + place * 0.0005)
        for place, packet in enumerate(talk[100:700])
    ]
    heard = hear(audio, backlog)
    assert len(heard) * 0.02 <= MAX_LAG_S + 0.5
    assert heard[-1] == 699
    assert hear(audio, talk[720:730])[-10:] == list(range(720, 730))
    assert audio.stats().outdated > 400


def test_sound_faster_than_time_is_refused_beyond_a_reserve() -> None:
    audio = receiver()
    flood = [replace(packet, sent_s=packet.sent_s / 50) for packet in stream(range(5000))]
    heard = hear(audio, flood)
    assert len(heard) * 0.02 <= RESERVE_S + 1.25 * 2.1
    assert audio.stats().refused > 4500


def test_a_sender_whose_clock_is_set_back_is_heard_after_half_a_second() -> None:
    audio = receiver()
    hear(audio, stream(range(600)))
    again = [
        replace(packet, timestamp=packet.timestamp - 500 * 960)
        for packet in stream(range(600, 700))
    ]
    assert len(hear(audio, again)) >= 70


def test_another_sender_begins_at_once_and_with_a_fresh_decoder() -> None:
    decoder = CountingDecoder()
    audio = AudioReceiver(decoder=decoder)
    hear(audio, stream(range(5)))
    audio.restart()
    other = [
        replace(packet, sequence=packet.sequence + 30_000, timestamp=packet.timestamp + 7)
        for packet in stream(range(5, 10))
    ]
    assert hear(audio, other) == list(range(5, 10))
    assert decoder.num_resets == 2


def test_a_call_passes_both_wraps_without_a_seam() -> None:
    audio = receiver()
    for n in range(3000):
        sequence, timestamp = 65_000 + n & 0xFFFF, 4_294_000_000 + n * 960 & 0xFFFFFFFF
        audio.packet(sequence, timestamp, payload(n), n * 0.02)
        (part,) = audio.due(n * 0.02)
        assert part[0] == n
    stats = audio.stats()
    assert (stats.lost, stats.skipped_s, stats.pause_s) == (0, 0.0, 0.0)


@pytest.mark.parametrize("loss", [0.01, 0.05, 0.10, 0.20])
def test_no_time_is_missing_whatever_is_lost(loss: float) -> None:
    rng = Random(3)
    talk = stream(range(1500))
    audio = receiver()
    kept = [talk[0], *(p for p in talk[1:-1] if rng.random() >= loss), talk[-1]]
    heard = hear(audio, kept)
    heard += frames(audio.due(talk[-1].sent_s + 0.2))
    assert len(heard) == 1500
    stats = audio.stats()
    assert stats.lost == stats.recovered + stats.concealed
    exact = sum(value == place for place, value in enumerate(heard))
    assert exact / 1500 >= 1 - 1.2 * loss**2 - 0.01


def test_speech_with_every_tenth_packet_lost_is_nearly_as_it_was() -> None:
    if not open_decoder().recovers:
        pytest.skip("neither PyAV's wheel nor the system has libopus")
    packets = audio_packets(spoken_payloads()[:60])
    whole, holed = AudioReceiver(), AudioReceiver()
    heard = [
        play(whole, packets),
        play(holed, [p for p in packets if p.sequence % 10 != 5]),
    ]
    assert len(heard[0]) == len(heard[1]) == len(packets) * FRAME
    stats = holed.stats()
    carried = sum(has_fec(p.payload) for p in packets if p.sequence % 10 == 6)
    assert stats.recovered == carried
    error = (heard[0].astype(float) - heard[1]).std() / heard[0].astype(float).std()
    assert error < 0.35


def play(audio: AudioReceiver, packets: list[RtpPacket]) -> Pcm:
    parts: list[Pcm] = []
    for packet in packets:
        audio.packet(packet.sequence, packet.timestamp, packet.payload, packet.sent_s)
        parts += audio.due(packet.sent_s)
    parts += audio.due(packets[-1].sent_s + 0.2)
    return np.concatenate(parts)


def test_sound_said_before_a_moment_is_to_be_expected_until_it_is_heard() -> None:
    audio = receiver()
    packets = stream(range(8))
    hear(audio, packets[:5])
    assert not audio.is_behind(0.099, 0.1)
    assert audio.is_behind(0.139, 0.1)
    hear(audio, packets[6:7])  # what is behind a missing one is held
    assert audio.is_behind(0.139, 0.14)
    hear(audio, packets[5:6])
    assert not audio.is_behind(0.139, 0.141)


def test_nobody_is_waited_for_who_sends_nothing() -> None:
    audio = receiver()
    assert not audio.is_behind(1.0, 0.0)
    hear(audio, stream(range(5)))
    assert audio.is_behind(1.0, 0.15)
    assert not audio.is_behind(1.0, 0.25)
