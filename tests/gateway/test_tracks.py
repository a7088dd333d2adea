"""What an event waits for where sound and pictures travel beside it."""

import asyncio

import pytest

from assistant.gateway.tracks import Tracks
from assistant.wire import client_events as client
from assistant.wire.refusals import EventRefused

COMMIT = client.InputAudioCommit()
CREATE = client.ResponseCreate()
APPEND = client.InputAudioAppend(audio=b"\0\0")


def with_tracks() -> tuple[Tracks, list[str]]:
    asked: list[str] = []

    async def catch_up() -> None:
        asked.append("sound")

    async def look() -> None:
        asked.append("picture")

    return Tracks(catch_up, look), asked


def test_a_commit_waits_for_the_sound_and_a_question_for_the_picture() -> None:
    tracks, asked = with_tracks()
    asyncio.run(tracks.prepare(COMMIT))
    asyncio.run(tracks.prepare(CREATE))
    asyncio.run(tracks.prepare(client.InputAudioClear()))
    assert asked == ["sound", "picture"]


def test_sound_in_events_is_refused_where_a_track_brings_it() -> None:
    tracks, _ = with_tracks()
    with pytest.raises(EventRefused, match="media track"):
        asyncio.run(tracks.prepare(APPEND))


def test_without_tracks_nothing_is_waited_for() -> None:
    tracks, asked = with_tracks()
    tracks.drop()
    for event in (COMMIT, CREATE, APPEND):
        asyncio.run(tracks.prepare(event))
    assert asked == []
