"""A call that watches: real pictures in, an engine by hand, events out."""

import base64
import logging
from pathlib import Path

import cv2
import numpy as np
import pytest

from assistant.wire import link
from tests.gateway.fakes import run
from tests.gateway.test_call import Line, connected

WATCH = {"instruction": "Do you see a square?", "interval_ms": 250, "min_gap_ms": 0}


def jpeg(*, square: bool, seed: int) -> str:
    """Return a grey picture with a camera's noise, and a bright square or none, as text."""
    picture = np.full((240, 320), 90.0)
    if square:
        picture[80:160, 120:200] = 220.0
    picture += np.random.default_rng(seed).normal(0.0, 4.0, picture.shape)
    data = cv2.imencode(".jpg", np.clip(picture, 0, 255).astype(np.uint8))[1].tobytes()
    return base64.b64encode(data).decode()


async def show(line: Line, *, square: bool, seed: int = 0) -> None:
    await line.send("input_image_buffer.append", image=jpeg(square=square, seed=seed))


def test_a_change_is_spoken_of_over_the_whole_way_and_noise_is_no_change(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        async with connected(tmp_path) as (engine, client):
            line = Line(client)
            line.call.open()
            await line.send("session.update", session={"assistant": {"watch": WATCH}})
            updated = await line.until("session.updated")
            echoed = updated["session"]["assistant"]["watch"]
            assert echoed == echoed | WATCH
            assert line.call.is_looking
            await show(line, square=False, seed=1)
            (first,) = await engine.wait_for(link.Generate)
            engine.answer(first, "No.")
            await engine.wait_for(link.Close)
            await show(line, square=False, seed=2)
            await show(line, square=True, seed=3)
            _, second = await engine.wait_for(link.Generate, 2)
            engine.answer(second, "Yes, a ", "square.")
            done = (await line.until("response.done"))["response"]
            assert done["metadata"] == {"opened_by": "watch"}
            assert done["output"][0]["content"][0]["text"] == "Yes, a square."
            assert done["assistant"]["frames"][0]["id"] == 3
            assert done["assistant"]["watch"]["looks"] == 2
            line.call.close()

    with caplog.at_level(logging.INFO):
        run(scenario())
    assert "watch: 2 looks, 1 said, 1 nothing" in caplog.records[-1].getMessage()


def test_a_call_without_a_watch_wants_no_pictures_while_nobody_speaks(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        async with connected(tmp_path) as (engine, client):
            line = Line(client)
            line.call.open()
            assert not line.call.is_looking
            await show(line, square=True)
            await line.ask()
            (only,) = await engine.wait_for(link.Generate)
            engine.answer(only, "a cup")
            done = (await line.until("response.done"))["response"]
            assert done["metadata"] is None
            line.call.close()

    run(scenario())


def test_a_wrong_wish_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with connected(tmp_path) as (_, client):
            line = Line(client)
            line.call.open()
            wish = {"instruction": "x", "interval_ms": 1}
            await line.send("session.update", session={"assistant": {"watch": wish}})
            error = (await line.until("error"))["error"]
            assert error["param"] == "session.assistant.watch.interval_ms"
            assert not line.call.is_looking
            line.call.close()

    run(scenario())
