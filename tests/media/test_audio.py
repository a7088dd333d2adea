from random import Random

import numpy as np
import pytest
import soxr
from hypothesis import given, strategies as st

from assistant.errors import MediaError
from assistant.media.audio import (
    INPUT_RATES_HZ,
    RATE_HZ,
    AudioFormat,
    AudioRing,
    InputDecoder,
    Resampler,
    Samples,
)

# Decoded values of G.711 codes: the ITU-T G.711 tables 1 and 2, A-law times 16 and
# µ-law times 4, which brings both to 16 bits.
ULAW = {
    0x00: -32124, 0x0F: -16764, 0x10: -15996, 0x7E: -8, 0x7F: 0,
    0x80: 32124, 0x8F: 16764, 0xAA: 5372, 0xFE: 8, 0xFF: 0,
}  # fmt: skip
ALAW = {
    0x55: -8, 0xD5: 8, 0x54: -24, 0x2A: -32256, 0xAA: 32256,
    0x00: -5504, 0x80: 5504, 0x45: -264, 0xC5: 264, 0x7F: -848,
}  # fmt: skip


def tone(rate_hz: int, frequency_hz: float, duration_s: float) -> Samples:
    at = np.arange(round(rate_hz * duration_s)) / rate_hz
    return (0.5 * np.sin(2 * np.pi * frequency_hz * at)).astype(np.float32)


def resampled(samples: Samples, rate_hz: int, chunk: int | None = None) -> Samples:
    resampler = Resampler(rate_hz)
    step = chunk or len(samples)
    starts = range(0, len(samples), max(1, step))
    parts = [resampler.receive(samples[start : start + step]) for start in starts]
    return np.concatenate([*parts, resampler.flush()])


@pytest.mark.parametrize(
    ("format", "table"), [("g711_ulaw", ULAW), ("g711_alaw", ALAW)], ids=["ulaw", "alaw"]
)
def test_g711_codes_have_their_published_values(
    format: AudioFormat, table: dict[int, int]
) -> None:
    samples = InputDecoder(format, RATE_HZ).receive(bytes(table))
    assert (samples * 32768).tolist() == list(table.values())


def test_pcm16_is_little_endian_and_scaled_to_one() -> None:
    samples = InputDecoder("pcm16", RATE_HZ).receive(b"\x00\x80\x00\x40\xff\x7f\x00\x00")
    assert samples.dtype == np.float32
    assert samples.tolist() == [-1.0, 0.5, 32767 / 32768, 0.0]


def test_half_a_sample_is_refused_and_nothing_of_it_is_consumed() -> None:
    data = (tone(24_000, 440, 0.1) * 32767).astype("<i2").tobytes()
    whole, interrupted = InputDecoder("pcm16", 24_000), InputDecoder("pcm16", 24_000)
    first = interrupted.receive(data[:960])
    with pytest.raises(MediaError) as refusal:
        interrupted.receive(data[960:1441])
    assert refusal.value.code == "invalid_audio_length"
    rest = interrupted.receive(data[960:])
    np.testing.assert_allclose(
        np.concatenate([first, rest]), whole.receive(data), atol=1e-6
    )


def test_no_bytes_are_no_samples() -> None:
    for rate_hz in INPUT_RATES_HZ:
        assert InputDecoder("pcm16", rate_hz).receive(b"").shape == (0,)


@pytest.mark.parametrize("rate_hz", INPUT_RATES_HZ)
@pytest.mark.parametrize("frequency_hz", [100.0, 1000.0, 3400.0])
def test_a_tone_stays_in_place(rate_hz: int, frequency_hz: float) -> None:
    output = resampled(tone(rate_hz, frequency_hz, 1.0), rate_hz, rate_hz // 50)
    expected = tone(RATE_HZ, frequency_hz, 1.0)
    assert len(output) == len(expected)
    inside = slice(400, -400)  # the filter sees silence beyond either end
    np.testing.assert_allclose(output[inside], expected[inside], atol=3e-4)


@pytest.mark.parametrize(
    ("rate_hz", "duration_s"),
    [
        *((8_000, 20), (16_000, 20), (24_000, 20), (48_000, 20)),
        pytest.param(24_000, 600, marks=pytest.mark.parity),
        pytest.param(48_000, 600, marks=pytest.mark.parity),
    ],
)
def test_positions_do_not_drift(rate_hz: int, duration_s: int) -> None:
    resampler = Resampler(rate_hz)
    packet = np.zeros(rate_hz, np.float32)
    num_output = sum(len(resampler.receive(packet)) for _ in range(duration_s))
    impulse = np.zeros(rate_hz // 50, np.float32)
    impulse[rate_hz // 100] = 1.0
    output = np.concatenate([resampler.receive(impulse), resampler.flush()])
    peak = num_output + int(np.argmax(output))
    assert peak == duration_s * RATE_HZ + RATE_HZ // 100
    assert num_output + len(output) == duration_s * RATE_HZ + RATE_HZ // 50


@pytest.mark.parametrize("rate_hz", [8_000, 24_000, 48_000])
def test_output_lags_input_by_less_than_three_milliseconds(rate_hz: int) -> None:
    resampler = Resampler(rate_hz)
    num_input = num_output = 0
    for _ in range(20):
        num_input += rate_hz // 50
        num_output += len(resampler.receive(np.zeros(rate_hz // 50, np.float32)))
        assert 0 <= num_input / rate_hz - num_output / RATE_HZ < 0.003


@pytest.mark.parametrize("rate_hz", [8_000, 24_000, 48_000])
def test_the_filter_agrees_with_soxr_within_the_band(rate_hz: int) -> None:
    # Noise of which soxr keeps the lower 3/4: both filters are flat there.
    noise = np.random.default_rng(3).normal(0, 0.1, rate_hz).astype(np.float32)
    band_hz = min(rate_hz, RATE_HZ) * 3 // 4
    narrow = soxr.resample(soxr.resample(noise, rate_hz, band_hz), band_hz, rate_hz)
    output = resampled(narrow.astype(np.float32), rate_hz, 333)
    expected = soxr.resample(narrow, rate_hz, RATE_HZ, quality="VHQ")
    inside = slice(1000, -1000)
    np.testing.assert_allclose(output[inside], expected[inside], atol=1e-3)


@pytest.mark.parametrize("rate_hz", [24_000, 48_000])
def test_what_would_alias_is_removed(rate_hz: int) -> None:
    output = resampled(tone(rate_hz, 9_000.0, 0.5), rate_hz)
    assert np.abs(output[400:-400]).max() < 0.5 * 10 ** (-65 / 20)


@given(
    st.sampled_from([8_000, 24_000, 48_000]),
    st.lists(st.integers(0, 300), min_size=1, max_size=20),
)
def test_packets_of_any_length_give_the_same_stream(
    rate_hz: int, lengths: list[int]
) -> None:
    samples = np.random.default_rng(1).normal(0, 0.1, sum(lengths)).astype(np.float32)
    resampler = Resampler(rate_hz)
    parts = [resampler.receive(part) for part in np.split(samples, np.cumsum(lengths))]
    output = np.concatenate([*parts, resampler.flush()])
    assert len(output) == -(-len(samples) * RATE_HZ // rate_hz)
    np.testing.assert_allclose(output, resampled(samples, rate_hz), atol=1e-6)


def test_reset_and_flush_begin_a_new_stream() -> None:
    data = (tone(24_000, 440, 0.1) * 32767).astype("<i2").tobytes()
    fresh = InputDecoder("pcm16", 24_000).receive(data)
    decoder = InputDecoder("pcm16", 24_000)
    decoder.receive(data[:1000])
    decoder.reset()
    np.testing.assert_array_equal(decoder.receive(data), fresh)
    decoder.flush()
    np.testing.assert_array_equal(decoder.receive(data), fresh)


def test_check_refuses_what_receive_would() -> None:
    InputDecoder("g711_alaw", 8_000).check(b"abc")
    with pytest.raises(MediaError, match="3 bytes"):
        InputDecoder("pcm16", 24_000).check(b"abc")


@given(
    st.integers(1, 40),
    st.lists(st.integers(0, 60), max_size=20),
    st.randoms(use_true_random=False),
)
def test_the_ring_is_the_newest_part_of_everything_appended(
    capacity: int, lengths: list[int], random: Random
) -> None:
    ring = AudioRing(capacity)
    everything = np.arange(sum(lengths), dtype=np.float32)
    for part in np.split(everything, np.cumsum(lengths)):
        ring.append(part)
        assert ring.start == ring.num_dropped == max(0, ring.end - capacity)
        first = random.randint(ring.start, ring.end)
        stop = random.randint(first, ring.end)
        np.testing.assert_array_equal(ring.read(first, stop), everything[first:stop])
    assert ring.end == len(everything)


def test_the_ring_grows_to_its_capacity_and_no_further() -> None:
    capacity = 40 * RATE_HZ
    ring = AudioRing(capacity)
    second = np.arange(RATE_HZ, dtype=np.float32)
    for _ in range(60):
        ring.append(second)
    assert (ring.start, ring.end, ring.num_dropped) == (
        20 * RATE_HZ, 60 * RATE_HZ, 20 * RATE_HZ
    )  # fmt: skip
    np.testing.assert_array_equal(ring.read(ring.start, ring.end), np.tile(second, 40))


def test_reading_gives_a_copy() -> None:
    ring = AudioRing(8)
    ring.append(np.ones(8, np.float32))
    ring.read(0, 8)[:] = 0
    assert ring.read(0, 8).tolist() == [1.0] * 8


def test_reading_what_is_not_kept_is_a_bug_of_ours() -> None:
    ring = AudioRing(4)
    ring.append(np.zeros(6, np.float32))
    for start, stop in [(1, 3), (3, 7), (5, 4)]:
        with pytest.raises(AssertionError):
            ring.read(start, stop)
