"""Answers that were begun before the end of a turn, through the real WebSocket."""

from pathlib import Path

import pytest

from tests.service.harness import DATA, Client, RunningService, recording as clip, running

pytestmark = pytest.mark.service

SOON_S = 0.05
"""After the hard end; without speculation the whole prompt and a step lie between."""
NUM_TURNS = 3
"""Of which one is soon: a busy machine may hold up the others."""


def test_a_right_guess_shows_nothing_before_the_hard_end_and_a_token_right_after(
    service: RunningService,
) -> None:
    gaps_s = []
    with Client(service.url) as client:
        client.update()
        client.show((DATA / "webcam_person_a.jpg").read_bytes())
        for _ in range(NUM_TURNS):
            began = len(client.events)
            client.play(clip("google_today.wav"))
            response = client.wait("response.done")["response"]
            types = client.types(began)
            stopped = types.index("input_audio_buffer.speech_stopped")
            assert types[:stopped] == ["input_audio_buffer.speech_started"]
            first = types.index("response.output_text.delta")
            gap_s = client.times[began + first] - client.times[began + stopped]
            timeline = response["assistant"]["timeline"]
            own_s = (timeline["first_byte_ms"] - timeline["hard_end_ms"]) / 1000
            gaps_s.append(max(gap_s, own_s))
            early = response["assistant"]["early"]
            assert early["confirmed"] == 1
            assert early["won_ms"] > 0
    assert min(gaps_s) < SOON_S


def test_wrong_guesses_leave_no_trace_but_in_the_counts(
    service: RunningService, arguments: tuple[str, ...], tmp_path: Path
) -> None:
    """The same words come of a service that does not guess, turn by turn."""
    paused = [
        clip("google_today.wav", tail_s=0.35),
        clip("speech/google_how_old_is_the_brooklyn_bridge.wav", lead_s=0.0),
    ]
    spoken = [b"".join(paused), clip("0_george_0.wav")]
    _, file, *rest = arguments
    plain = tmp_path / "plain.toml"
    plain.write_text(Path(file).read_text() + "[early]\nspeculation = false\n")
    answers, early = [], []
    with running("--config", str(plain), *rest) as other:
        for url in (service.url, other.url):
            with Client(url) as client:
                client.update()
                said = []
                for sound in spoken:
                    client.play(sound)
                    done = client.wait("response.done")["response"]
                    said.append(done["output"][0]["content"][0]["text"])
                    early.append(done["assistant"]["early"])
                answers.append(said)
    assert answers[0] == answers[1]
    assert [turn["confirmed"] for turn in early] == [1, 1, 0, 0]
    assert [turn["speculations"] for turn in early] == [2, 1, 0, 0]
    assert early[0]["wasted_tokens"] > 0
    assert [turn["wasted_tokens"] for turn in early[1:]] == [0, 0, 0]
