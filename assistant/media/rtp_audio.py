"""
A peer's microphone: RTP packets of Opus in, 16 kHz samples out, nothing silently missing.

Samples come out in order and without holes: what was lost is taken from the FEC of the
packet behind it, else concealed; a pause of the encoder (DTX) is filled with silence as
time passes, so that the end of a sentence is noticed while nothing arrives. Every sample
belongs to a timestamp, and every stretch of time is in one of the counts.

What is not filled:

* A gap of more than ``MAX_FILLED`` fades out and is skipped: a second of silence in the
  middle of a sentence helps nobody, and whoever counts positions sees a jump like that.
* Sound that comes more than ``MAX_LAG_S`` late, as after an outage, is dropped: nobody
  waits for it, and an answer to it would come in the middle of another sentence.
* Sound that comes faster than it can have been recorded is refused beyond a reserve.

Runs inline on the event loop; a packet costs some 50 microseconds, most of it decoding.
"""

import math
from dataclasses import dataclass

from assistant.media.jitter import MAX_WAIT_S, JitterBuffer, Released
from assistant.media.opus import STEP_TICKS, OpusDecoder, Pcm, open_decoder, silence
from assistant.media.opus_packet import (
    CLOCK_HZ,
    MAX_TICKS,
    duration_ticks,
    has_fec,
    is_pause,
)
from assistant.media.rtp_clock import PeerClock, StreamClock
from assistant.media.rtp_numbers import Timestamps

FRAME_S = 0.02
"""The packet that everybody sends."""
FRAME_TICKS = round(FRAME_S * CLOCK_HZ)
MAX_FILLED = CLOCK_HZ * 4 // 10
"""In ticks, 0.4 s."""
FADE = CLOCK_HZ * 6 // 100
"""Concealed before a longer gap is skipped; libopus is silent by then."""
MAX_LAG_S = 2.0
LAG_BELIEVED_S = 0.5
"""Late for so long and not catching up: the sender's clock has been set back."""
PAUSE_DELAY_S = 0.04
"""Silence is added this much after a packet would have come, in case it still does."""
STALL_S = 1.0
"""Without a word of a pause, so long without packets is one."""
MAX_PAUSE_S = 3.0
"""So long after the last packet silence is added; by then every sentence has ended."""
QUIET_S = 0.1
"""Without a packet for so long, nothing more is on its way: the microphone is off."""
RESERVE_S = 2.0
REFILL = 1.25
"""Seconds of sound taken per second, beyond the reserve."""


@dataclass(slots=True)
class AudioStats:
    """What became of one microphone's packets and time."""

    received: int = 0
    duplicate: int = 0
    late: int = 0
    """Came after their time was given to something else."""
    lost: int = 0
    """Not there when their turn came; each is recovered, concealed or skipped."""
    recovered: int = 0
    """Lost, and taken from the FEC of the packet behind."""
    concealed: int = 0
    """Lost, and guessed."""
    corrupt: int = 0
    """Could not be decoded; guessed."""
    outdated: int = 0
    """Dropped because they came seconds late."""
    refused: int = 0
    """Dropped because they came faster than sound is."""
    pause_s: float = 0.0
    """Silence added where the encoder paused or nothing came."""
    skipped_s: float = 0.0
    """Left out of the samples: long gaps."""
    hold_ms: float = 0.0
    """For how long the newest samples were held back."""
    wait_ms: float = 0.0
    """For how long a missing packet is waited for now."""


class AudioReceiver:
    """Turns one microphone's packets into samples. Times are session seconds."""

    def __init__(
        self,
        peer: PeerClock | None = None,
        decoder: OpusDecoder | None = None,
        max_wait_s: float = MAX_WAIT_S,
    ) -> None:
        """
        Args:
            peer: The clock shared with the peer's other streams.
            decoder: For tests; by default the best one of this machine.
            max_wait_s: The most that a packet is held for a missing one; with NACK it
                should be the round trip and some more.
        """
        self._stats = AudioStats()
        self._decoder = decoder or open_decoder()
        self._jitter = JitterBuffer(max_wait_s)
        self._clock = StreamClock(CLOCK_HZ, peer, is_sound=True)
        self._credit_s = RESERVE_S
        self._credited = 0.0
        self._arrived = -math.inf
        self._begin()

    def _begin(self) -> None:
        """Forget where the stream was."""
        self._timestamps = Timestamps()
        self._expected: int | None = None
        """The tick at which the next sample begins."""
        self._filled = 0
        """Ticks before ``_expected`` that were given to silence as time passed."""
        self._is_paused = False
        self._silence_at = math.inf
        """When 20 ms of silence are due if nothing comes before."""
        self._silence_until = math.inf
        self._lagging_since: float | None = None

    # --- the network's side -------------------------------------------------------------

    def packet(self, sequence: int, timestamp: int, payload: bytes, now: float) -> None:
        """Take an RTP packet with its 16-bit and 32-bit numbers; never raises."""
        self._arrived = now
        numbered = self._jitter.receive(sequence, timestamp, payload, now)
        if numbered is None:
            return
        if numbered.restarted:
            self._clock.restart()
        self._clock.arrived(_end(timestamp, payload), now)

    def sender_report(self, rtp_timestamp: int, ntp_s: float) -> None:
        """Take what an RTCP sender report says of the peer's clock (seconds of NTP)."""
        self._clock.reported(rtp_timestamp, ntp_s)

    def restart(self) -> None:
        """The next packet is the first of another sender (a new SSRC)."""
        self._jitter.restart()

    def missing(self, now: float) -> list[int]:
        """Return sequence numbers worth a NACK now; each is named a few times at most."""
        return self._jitter.missing(now)

    # --- the listener's side ------------------------------------------------------------

    def due(self, now: float) -> list[Pcm]:
        """Return int16 mono samples at 16 kHz, [n] each, that follow the last ones."""
        parts = []
        for released in self._jitter.due(now):
            parts += self._play(released, now - released.hold_s)
            self._stats.hold_ms = released.hold_s * 1000
        return [part for part in (*parts, *self._pause(now)) if len(part)]

    def is_behind(self, until_s: float, now: float) -> bool:
        """Say whether sound is to be expected that ought to have come before a time."""
        if self._expected is None or now - self._arrived > QUIET_S:
            return False
        heard_s = self._clock.arrival_s(self._expected & 0xFFFFFFFF)
        return heard_s is not None and heard_s < until_s

    def wake_at(self) -> float | None:
        """Return when ``due`` has more to say even if no packet arrives."""
        times = (self._jitter.wake_at(), self._pause_at())
        return min((at for at in times if at is not None), default=None)

    def stats(self) -> AudioStats:
        """Return the counts up to now; the same object every time."""
        counts, stats = self._jitter.counts, self._stats
        stats.received = counts.received
        stats.duplicate = counts.duplicate
        stats.lost = counts.lost
        stats.wait_ms = self._jitter.wait_s * 1000
        return stats

    # --- packets whose turn it is -------------------------------------------------------

    def _play(self, released: Released, arrived: float) -> list[Pcm]:
        if released.is_first:
            self._decoder.reset()
            self._begin()
        payload = released.payload
        if self._is_outdated(_end(released.timestamp, payload), arrived):
            self._stats.outdated += 1
            return []
        start = self._timestamps.receive(released.timestamp)
        if self._expected is None:
            self._expected = start
        ticks = duration_ticks(payload) or FRAME_TICKS
        gap = start - self._expected
        if not self._affords(ticks + (gap if 0 < gap <= MAX_FILLED else 0), arrived):
            self._stats.refused += 1
            self._expected = start + ticks
            return []
        parts = self._fill(gap, released) if gap > 0 else []
        samples = self._decoder.decode(payload)
        if samples is None:
            self._stats.corrupt += 1
            samples = self._decoder.conceal(ticks)
        self._is_paused = is_pause(payload)
        wait_s = FRAME_S + PAUSE_DELAY_S if self._is_paused else STALL_S
        self._silence_at = arrived + wait_s
        self._silence_until = arrived + MAX_PAUSE_S
        parts.append(self._placed(samples, start, ticks))
        return parts

    def _placed(self, samples: Pcm, start: int, ticks: int) -> Pcm:
        """Cut off what stands where silence was given already."""
        assert self._expected is not None
        overlap = self._expected - start
        if not 0 < overlap <= self._filled:
            # Nothing of ours is there: whatever the timestamps did, sound goes on.
            self._expected, self._filled = start + ticks, 0
            return samples
        if overlap >= ticks:
            self._stats.late += 1
            return samples[:0]
        self._expected, self._filled = start + ticks, 0
        return samples[len(samples) * overlap // ticks :]

    def _fill(self, gap: int, released: Released) -> list[Pcm]:
        """Return ``gap`` ticks for what is missing before a packet, or skip them."""
        num_lost, payload = released.num_lost, released.payload
        if gap > MAX_FILLED:
            faded = FADE if num_lost else 0
            self._stats.skipped_s += (gap - faded) / CLOCK_HZ
            return self._conceal(faded)
        if num_lost == 0:
            self._stats.pause_s += gap / CLOCK_HZ
            return [silence(gap)]
        if not (self._decoder.recovers and has_fec(payload)):
            self._stats.concealed += num_lost
            return self._conceal(gap)
        self._stats.recovered += 1
        self._stats.concealed += num_lost - 1
        last = min(gap, duration_ticks(payload))
        last -= last % STEP_TICKS
        return [*self._conceal(gap - last), self._decoder.recover(payload, last)]

    def _conceal(self, ticks: int) -> list[Pcm]:
        parts = []
        while ticks >= STEP_TICKS:
            step = min(ticks - ticks % STEP_TICKS, MAX_TICKS)
            parts.append(self._decoder.conceal(step))
            ticks -= step
        return [*parts, silence(ticks)]

    def _is_outdated(self, end: int, arrived: float) -> bool:
        """Say whether a packet has come too late to matter, and follow a set-back clock."""
        quickest = self._clock.arrival_s(end)
        if quickest is None or arrived - quickest <= MAX_LAG_S:
            self._lagging_since = None
            return False
        if self._lagging_since is None:
            self._lagging_since = arrived
        if arrived - self._lagging_since < LAG_BELIEVED_S:
            return True
        self._clock.restart()
        self._clock.arrived(end, arrived)
        self._lagging_since = self._expected = None
        return False

    def _affords(self, ticks: int, arrived: float) -> bool:
        passed = max(0.0, arrived - self._credited)
        self._credited = max(arrived, self._credited)
        self._credit_s = min(RESERVE_S, self._credit_s + REFILL * passed)
        if ticks / CLOCK_HZ > self._credit_s:
            return False
        self._credit_s -= ticks / CLOCK_HZ
        return True

    # --- while nothing comes ------------------------------------------------------------

    def _pause_at(self) -> float | None:
        """Return when silence is to be added if nothing comes before that."""
        if self._jitter.is_holding or self._silence_at >= self._silence_until:
            return None
        return self._silence_at

    def _pause(self, now: float) -> list[Pcm]:
        """Return silence for the time in which nothing came."""
        at = self._pause_at()
        if at is None or now < at or self._expected is None:
            return []
        num_frames = int((min(now, self._silence_until) - at) / FRAME_S) + 1
        ticks = num_frames * FRAME_TICKS
        if not self._is_paused:
            # What the stall has swallowed already is not made up for.
            swallowed = round((STALL_S - FRAME_S - PAUSE_DELAY_S) * CLOCK_HZ)
            self._advance(swallowed)
            self._stats.skipped_s += swallowed / CLOCK_HZ
            self._is_paused = True
        self._advance(ticks)
        self._silence_at += num_frames * FRAME_S
        self._stats.pause_s += ticks / CLOCK_HZ
        return [silence(ticks)]

    def _advance(self, ticks: int) -> None:
        """Count time as gone by without a packet."""
        assert self._expected is not None
        self._expected += ticks
        self._filled += ticks


def _end(timestamp: int, payload: bytes) -> int:
    """Return the tick after a packet's sound, when it can be sent at the earliest."""
    return timestamp + (duration_ticks(payload) or FRAME_TICKS) & 0xFFFFFFFF
