"""
How long to wait in a pause before the user may have finished, and before they have.

Knows one speaker's earlier pauses and how final the present one sounds; knows no
positions, and nothing of speech. All durations are milliseconds of silence to the ear.

    silence   ├──────────┼──────────┼─────────────────┼──────────────────┤
              0        soft       least    usual     longest            veto

* A speaker who paused for long and went on will do so again: the usual silence is the
  longest known pause and a little, never less than ``least_ms`` nor more than
  ``longest_ms``. From turn to turn pauses are forgotten by and by.
* Where the words sound final, ``HASTE`` of the least is enough; where they do not, the
  end is held off up to ``veto_ms``.
* The soft end waits longer than the longest known pause, too: the same pause again fools
  nobody. It comes ``SOFT_MARGIN_MS`` before the hard end at the latest, and at most
  ``SOFT_LEAD_MS`` before it, however patient a client wants us to be.
"""

SOFT_MARGIN_MS = 100
"""What a SoftEnd must leave before the HardEnd, to be of use: a first token takes less."""
SOFT_LEAD_MS = 1000
"""How long before the HardEnd a SoftEnd is early enough: what is answered in longer
pauses is mostly taken back."""
PAUSE_DECAY = 0.8
"""What is left of the longest pause after a turn: four turns forget all but a third."""
PAUSE_MARGIN = 1.05
"""A speaker's next pause may be this much longer than the longest known one."""
ATTENTION_MS = 32
"""By how much a soft end waits longer than a pause that is known: one window."""
FINAL, OPEN = 0.8, 0.2
"""From where up a pause sounds final, and from where down it does not."""
HASTE = 0.6
"""Share of the least silence that is enough where the words sound final."""


class Patience:
    """What is known of one speaker."""

    def __init__(self) -> None:
        self._longest_pause_ms = 0.0
        self._finality: float | None = None

    def learn(self, pause_ms: float) -> None:
        """The speaker was silent for so long, and went on."""
        self._finality = None
        self._longest_pause_ms = max(self._longest_pause_ms, pause_ms)

    def turn_over(self) -> None:
        """Forget a little."""
        self._longest_pause_ms *= PAUSE_DECAY

    def pause(self) -> None:
        """Another pause is to come, of which nobody has said yet how final it sounds."""
        self._finality = None

    def receive_finality(self, finality: float) -> None:
        """Take how final the present pause sounds, in [0, 1]."""
        self._finality = finality

    def hard_ms(self, least_ms: int, longest_ms: int, veto_ms: int) -> float:
        """Return what must pass before the user has finished; adapts above the least."""
        if longest_ms <= least_ms:
            return least_ms
        habit_ms = min(self._longest_pause_ms * PAUSE_MARGIN, longest_ms)
        usual_ms = max(least_ms, habit_ms)
        if self._finality is None or OPEN < self._finality < FINAL:
            return usual_ms
        if self._finality >= FINAL:
            return HASTE * least_ms
        return max(usual_ms, veto_ms)

    def soft_ms(self, soonest_ms: int, hard_ms: float) -> float:
        """Return what must pass before the user may have finished."""
        longer_ms = self._longest_pause_ms + ATTENTION_MS
        return max(
            soonest_ms, hard_ms - SOFT_LEAD_MS, min(longer_ms, hard_ms - SOFT_MARGIN_MS)
        )
