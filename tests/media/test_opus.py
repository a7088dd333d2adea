import logging
from random import Random

import numpy as np
import pytest

from assistant.media import opus
from assistant.media.opus import LibavOpus, LibOpus, OpusDecoder, open_decoder, silence
from assistant.media.opus_packet import has_fec
from tests.media.rtp_streams import opus_payloads, speech, spoken_payloads, tone

needs_libopus = pytest.mark.skipif(
    opus._library() is None, reason="neither PyAV's wheel nor the system has libopus"
)


@pytest.fixture(params=["libopus", "libav"])
def decoder(request: pytest.FixtureRequest) -> OpusDecoder:
    if request.param == "libav":
        return LibavOpus()
    if opus._library() is None:
        pytest.skip("neither PyAV's wheel nor the system has libopus")
    return open_decoder()


def decoded(decoder: OpusDecoder, packets: list[bytes]) -> opus.Pcm:
    parts = [decoder.decode(packet) for packet in packets]
    return np.concatenate([part for part in parts if part is not None])


def level(samples: opus.Pcm, frequency_hz: float) -> float:
    """Return the amplitude of one frequency in int16 samples at 16 kHz."""
    at = np.arange(len(samples)) / 16_000
    wave = np.exp(-2j * np.pi * frequency_hz * at)
    return float(2 * abs(np.mean(samples * wave)))


def likeness(a: opus.Pcm, b: opus.Pcm) -> float:
    return float(np.corrcoef(a, b)[0, 1])


@needs_libopus
def test_the_wheel_of_pyav_brings_the_decoder_that_recovers() -> None:
    assert open_decoder().recovers


def test_a_tone_comes_out_at_its_pitch_and_loudness(decoder: OpusDecoder) -> None:
    samples = decoded(decoder, opus_payloads(tone(1.0, 880.0)))
    assert samples.dtype == np.int16
    assert abs(len(samples) - 16_000) < 40
    assert level(samples[4000:], 880.0) == pytest.approx(0.3 * 32767 / 1.3, rel=0.1)


def test_what_16_khz_cannot_hold_does_not_come_out_as_something_else(
    decoder: OpusDecoder,
) -> None:
    high = tone(1.0, 11_000.0)
    samples = decoded(decoder, opus_payloads(high, fec=False))
    assert float(np.abs(samples[4000:].astype(float)).mean()) < 0.03 * 32767


def test_a_pause_as_long_as_the_packets_is_decoded(decoder: OpusDecoder) -> None:
    still = np.zeros(48_000, np.int16)
    samples = decoded(decoder, opus_payloads(still))
    assert abs(len(samples) - 16_000) < 40
    assert np.abs(samples).max() <= 8


def test_empty_and_damaged_packets_are_refused_and_the_next_one_is_decoded(
    decoder: OpusDecoder,
) -> None:
    packets = spoken_payloads()
    decoder.decode(packets[0])
    for bad in (b"", b"\xff\xff\xff\xff", b"\x03"):
        assert decoder.decode(bad) is None
        good = decoder.decode(packets[1])
        assert good is not None
        assert len(good) > 250


def test_concealed_sound_has_the_length_asked_for(decoder: OpusDecoder) -> None:
    decoded(decoder, spoken_payloads()[:20])
    lengths = [len(decoder.conceal(960)) for _ in range(10)]
    assert abs(sum(lengths) - 3200) < 40
    assert abs(len(decoder.recover(b"", 960)) - 320) < 40


@needs_libopus
def test_a_lost_packet_is_nearly_what_it_was_if_the_next_one_carries_it() -> None:
    packets = spoken_payloads()
    carried = [
        at for at in range(10, len(packets)) if has_fec(packets[at]) and loud(at - 1)
    ]
    assert len(carried) > 20
    likenesses = []
    for lost in carried[::5]:
        true, holed = open_decoder(), open_decoder()
        decoded(true, packets[: lost - 1])
        decoded(holed, packets[: lost - 1])
        expected = true.decode(packets[lost - 1])
        assert expected is not None
        recovered = holed.recover(packets[lost], 960)
        likenesses.append(likeness(recovered, expected))
    assert np.median(likenesses) > 0.9


def loud(number: int) -> bool:
    packet = speech()[number * 960 : (number + 1) * 960].astype(float)
    return float(np.sqrt(np.mean(packet**2))) > 500


def test_concealment_fades_to_silence() -> None:
    decoder = open_decoder()
    decoded(decoder, opus_payloads(tone(0.5)))
    guessed = np.concatenate([decoder.conceal(960) for _ in range(20)]).astype(float)
    assert np.abs(guessed[-1600:]).mean() < 0.1 * np.abs(guessed[:320]).mean() + 1


def test_a_reset_forgets_the_stream_before() -> None:
    fresh, used = open_decoder(), open_decoder()
    decoded(used, spoken_payloads()[:50])
    used.reset()
    again, first = used.decode(spoken_payloads()[0]), fresh.decode(spoken_payloads()[0])
    assert again is not None
    assert first is not None
    assert np.array_equal(again, first)


def test_any_bytes_leave_the_decoder_alive(decoder: OpusDecoder) -> None:
    rng = Random(5)
    packets = spoken_payloads()
    for _ in range(300):
        packet = bytearray(rng.choice(packets))
        for _ in range(rng.randrange(1, 6)):
            packet[rng.randrange(len(packet))] = rng.randrange(256)
        data = bytes(packet[: rng.randrange(len(packet) + 1)])
        decoder.decode(data)
        if rng.random() < 0.3:
            decoder.recover(data, 960)
    good = decoder.decode(packets[30])
    assert good is not None


def test_without_libopus_libav_decodes_and_a_warning_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(opus, "_candidates", lambda: iter(["/nowhere/libopus.so"]))
    opus._library.cache_clear()
    try:
        with caplog.at_level(logging.WARNING):
            assert isinstance(open_decoder(), LibavOpus)
            open_decoder()
    finally:
        opus._library.cache_clear()
    assert [record.message for record in caplog.records] == [
        "libopus was not found: lost sound becomes silence"
    ]


def test_silence_counts_three_ticks_to_a_sample() -> None:
    assert len(silence(960)) == 320


@needs_libopus
def test_libopus_takes_no_time_it_was_not_asked_for() -> None:
    library = opus._library()
    assert library is not None
    decoder = LibOpus(library)
    decoded(decoder, spoken_payloads()[:5])
    assert len(decoder.conceal(120)) == 40
    assert len(decoder.recover(spoken_payloads()[6], 2880)) == 960
