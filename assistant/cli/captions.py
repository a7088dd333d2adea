"""
What the terminal shows of a conversation, and whether everything asked was answered.

Pure: takes server events of the Realtime protocol and the time of their arrival, returns
text to print.
"""

from collections.abc import Mapping
from typing import Any

_DELTAS = ("response.output_text.delta", "response.output_audio_transcript.delta")


class Captions:
    """The reading side of the terminal client."""

    def __init__(self) -> None:
        self.num_answers = 0
        self.failure = ""
        """What went wrong, once something did."""
        self._asked_s: float | None = None
        self._first_s: float | None = None
        self._is_awaited = False
        self._is_replying = False

    @property
    def is_finished(self) -> bool:
        """There was an answer, and nothing that was said still waits for one."""
        return self.num_answers > 0 and not self._is_awaited and not self._is_replying

    def receive_request(self, now: float) -> None:
        """Note that an answer was asked for (seconds of any steady clock)."""
        self._is_awaited = True
        self._asked_s = now

    def receive_event(self, event: Mapping[str, Any], now: float) -> str:
        """Take one event of the server; return what to print, or nothing."""
        kind = event.get("type")
        if kind == "input_audio_buffer.speech_started":
            self._is_awaited = True
            return ""
        if kind == "input_audio_buffer.speech_stopped":
            self._asked_s = now
            return ""
        if kind == "response.created":
            self._is_awaited, self._is_replying = False, True
            self._first_s = None
            return "assistant: "
        if kind in _DELTAS:
            if self._first_s is None:
                self._first_s = now
            return printable(str(event.get("delta", "")))
        if kind == "response.done":
            return self._receive_done(event.get("response") or {}, now)
        if kind == "error":
            error = event.get("error") or {}
            self.failure = f"{error.get('code')}: {error.get('message')}"
            return printable(f"\n! {self.failure}\n")
        return ""

    def _receive_done(self, response: Mapping[str, Any], now: float) -> str:
        self._is_replying = False
        status = response.get("status")
        if status == "cancelled":
            return " [interrupted]\n"
        if status == "failed":
            error = (response.get("status_details") or {}).get("error") or {}
            self.failure = f"{error.get('code')}: {error.get('message')}"
            return f"\n! {self.failure}\n"
        self.num_answers += 1
        return f"\n{self._latency(now)}{_timeline(response)}"

    def _latency(self, now: float) -> str:
        if self._asked_s is None:
            return ""
        first = now if self._first_s is None else self._first_s
        return (
            f"  first words {first - self._asked_s:.3f} s, all {now - self._asked_s:.3f} s "
            "after the end of the question\n"
        )


def printable(text: str) -> str:
    """Replace what a terminal would take as an order: a model may write anything."""
    return "".join(
        character
        if character.isprintable() or character in "\n\t"
        else "\N{REPLACEMENT CHARACTER}"
        for character in text
    )


def _timeline(response: Mapping[str, Any]) -> str:
    """Write the service's own account of the turn, if it gave one, from its start on."""
    timeline = (response.get("assistant") or {}).get("timeline")
    if not isinstance(timeline, dict):
        return ""
    instants = [(name, at) for name, at in timeline.items() if isinstance(at, int | float)]
    if not instants:
        return ""
    start = instants[0][1]
    after = (f"{name.removesuffix('_ms')} +{at - start:.0f}" for name, at in instants)
    return f"  service: {', '.join(after)} ms\n"
