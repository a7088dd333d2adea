"""
PURE: a camera's encoded frames, kept in case somebody wants to see one.

What is kept can always be decoded: it begins with a key frame, or where the decoder has
got to. Decoding what nobody asked for costs most of a call's computing time, keeping it
costs memory:

* A key frame makes everything before it superfluous, but the last ``KEPT_S`` are kept for
  whoever asks what was there a moment ago.
* Beyond ``MAX_FRAMES``, ``MAX_BYTES`` or ``MAX_S`` the oldest frames up to the next key
  frame are dropped; if there is none, all of them, and only a key frame helps.
* ``wants_refresh`` says, long before that, that a key frame would make it cheaper.
"""

from collections import deque

from assistant.media.frame_assembly import EncodedFrame

KEPT_S = 1.0
MAX_FRAMES = 600
MAX_BYTES = 8 * 2**20
MAX_S = 30.0
REFRESH_FRAMES = 120
"""Decoding so many small ones takes a tenth of a second (640x480, one thread)."""
REFRESH_BYTES = MAX_BYTES // 2


class FrameRing:
    """Frames that are not decoded, oldest first."""

    def __init__(self) -> None:
        self.frames: deque[EncodedFrame] = deque()
        self.num_bytes = 0
        self.num_dropped = 0
        """Frames that nobody can see any more, because of a bound."""
        self.needs_key = True
        """What comes cannot be decoded before the next key frame."""
        self._keys: deque[EncodedFrame] = deque()
        """The key frames in the ring but for its first frame."""
        self._num_since_key = 0
        self._bytes_since_key = 0

    @property
    def wants_refresh(self) -> bool:
        num_frames = min(len(self.frames), self._num_since_key)
        num_bytes = min(self.num_bytes, self._bytes_since_key)
        return num_frames >= REFRESH_FRAMES or num_bytes >= REFRESH_BYTES

    def add(self, frame: EncodedFrame) -> bool:
        """Keep a frame that follows the one before; say whether it can ever be decoded."""
        if not frame.is_key and self.needs_key:
            return False
        if frame.is_key:
            self.needs_key = False
            self._num_since_key = self._bytes_since_key = 0
            if self.frames:
                self._keys.append(frame)
        self.frames.append(frame)
        self.num_bytes += len(frame.data)
        self._num_since_key += 1
        self._bytes_since_key += len(frame.data)
        while self._keys and self._keys[0].arrived <= frame.arrived - KEPT_S:
            self._drop_to_key()
        while self._is_over():
            self.num_dropped += self._drop_to_key()
        return True

    def take(self, index: int) -> list[EncodedFrame]:
        """Remove the frames up to ``index``; return those it takes to decode that one."""
        taken = [self._remove() for _ in range(index + 1)]
        first = max((at for at, frame in enumerate(taken) if frame.is_key), default=0)
        return taken[first:]

    def clear(self) -> None:
        """Drop everything; only a key frame helps then."""
        while self.frames:
            self.num_dropped += self._drop_to_key()
        self.needs_key = True

    def _drop_to_key(self) -> int:
        """Drop frames until a key frame is the first, or none is left; return how many."""
        num_before = len(self.frames)
        key = self._keys[0] if self._keys else None
        while self.frames and self.frames[0] is not key:
            self._remove()
        if not self.frames:
            self.needs_key = True
        elif self._keys:
            self._keys.popleft()
        return num_before - len(self.frames)

    def _remove(self) -> EncodedFrame:
        frame = self.frames.popleft()
        self.num_bytes -= len(frame.data)
        if self._keys and self._keys[0] is frame:
            self._keys.popleft()
        return frame

    def _is_over(self) -> bool:
        return bool(self.frames) and (
            len(self.frames) > MAX_FRAMES
            or self.num_bytes > MAX_BYTES
            or self.frames[-1].arrived - self.frames[0].arrived > MAX_S
        )
