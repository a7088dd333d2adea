"""
A long recording in the windows that the model's ears keep apart.

Attention in the encoder spans windows of 40 s, and the windows of one recording know
nothing of each other. So each can be read as soon as it is complete, while the speaker
goes on: what comes out is what reading the whole recording at once gives. Knows lengths;
the samples pass through as bytes.
"""

from assistant.wire import link

SAMPLE_BYTES = 4


def num_windows(num_samples: int) -> int:
    """Return how many windows of a recording are complete, whatever follows."""
    return max(0, num_samples - link.AUDIO_OVERHANG_SAMPLES) // link.AUDIO_WINDOW_SAMPLES


def windows_end(count: int) -> int:
    """Return how many samples the first ``count`` windows take."""
    return count * link.AUDIO_WINDOW_SAMPLES + link.AUDIO_OVERHANG_SAMPLES if count else 0


def is_window(part: link.AudioPart) -> bool:
    """Return whether a part is a complete window, whatever follows."""
    before = link.AUDIO_CONTEXT_SAMPLES if part.is_continuation else 0
    return len(part.samples) == SAMPLE_BYTES * (before + windows_end(1))


def split(samples: bytes) -> list[link.AudioPart]:
    """Cut a recording, float32 at 16 kHz, into parts that read as one, windows first."""
    count = num_windows(len(samples) // SAMPLE_BYTES)
    windows = [_part(samples, n, windows_end(n + 1)) for n in range(count)]
    num_left = len(samples) // SAMPLE_BYTES - windows_end(count)
    # What is left makes a token of its own only if another mel frame fits in.
    if count and num_left < link.AUDIO_HOP_SAMPLES:
        return windows
    # To the very end: a clip that is no whole number of samples is refused by the engine.
    return [*windows, _part(samples, count, None)]


def _part(samples: bytes, number: int, stop: int | None) -> link.AudioPart:
    start = number * link.AUDIO_WINDOW_SAMPLES
    if number:
        start -= link.AUDIO_CONTEXT_SAMPLES
    end = None if stop is None else stop * SAMPLE_BYTES
    return link.AudioPart(samples[start * SAMPLE_BYTES : end], is_continuation=number > 0)
