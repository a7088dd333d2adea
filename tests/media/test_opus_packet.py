import pytest
from hypothesis import example, given, strategies as st

from assistant.media.opus import _library
from assistant.media.opus_packet import MAX_TICKS, duration_ticks, has_fec, is_pause
from tests.media.rtp_streams import opus_payloads, speech, spoken_payloads, tone

LIBRARY = _library()


def test_a_packet_of_20_ms_says_so() -> None:
    assert {duration_ticks(packet) for packet in spoken_payloads()} == {960}


def test_a_packet_of_60_ms_says_so() -> None:
    assert {duration_ticks(packet) for packet in opus_payloads(tone(0.3), ms=60)} == {2880}


def test_what_is_no_packet_takes_no_time() -> None:
    assert duration_ticks(b"") == 0
    assert duration_ticks(b"\x03") == 0  # code 3 needs a count
    assert duration_ticks(b"\xff\x3f") == 0  # 63 frames of 20 ms


def test_speech_encoded_for_loss_carries_fec_and_without_it_does_not() -> None:
    assert sum(map(has_fec, spoken_payloads())) > len(spoken_payloads()) / 3
    assert not any(map(has_fec, opus_payloads(speech()[:48_000], fec=False)))


def test_a_packet_without_a_frame_is_a_pause() -> None:
    assert is_pause(b"\x78")
    assert not is_pause(b"")
    assert not is_pause(spoken_payloads()[3])


@pytest.mark.skipif(LIBRARY is None, reason="needs libopus, to compare with")
@given(st.binary(max_size=200))
@example(b"\x08\x40")
@example(b"\x0b\xc2\x03\x10\x20\x30\x40\x50\x60\x70")
def test_duration_and_fec_are_what_libopus_says_of_any_bytes(packet: bytes) -> None:
    assert LIBRARY is not None
    num_samples = LIBRARY.opus_packet_get_nb_samples(packet, len(packet), 48_000)
    assert duration_ticks(packet) == max(0, num_samples)
    assert 0 <= duration_ticks(packet) <= MAX_TICKS
    if hasattr(LIBRARY, "opus_packet_has_lbrr"):  # of 1.5; refuses damaged packets
        answer = LIBRARY.opus_packet_has_lbrr(packet, len(packet))
        if answer >= 0:
            assert has_fec(packet) == bool(answer)
