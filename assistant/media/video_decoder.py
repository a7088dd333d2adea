"""
Encoded camera frames to pixels: one decoder per camera, one thread, run when asked.

libav decodes; this knows what it must not be given (nothing: that ends the stream) and
that damaged frames are part of life. Bounds on sizes are checked before frames get here.
"""

from collections.abc import Sequence
from typing import Literal

import av
import numpy as np
from av.codec.context import Flags, ThreadType
from av.video.codeccontext import VideoCodecContext

from assistant.media.frames import Rgb

VideoCodec = Literal["VP8", "H264"]


class VideoDecoder:
    """Decodes one camera's frames in order."""

    def __init__(self, codec: VideoCodec) -> None:
        self._codec = codec
        self._open()

    def decode(self, frames: Sequence[bytes], max_edge: int) -> Rgb | None:
        """
        Decode frames that follow the last ones; convert only the last of them.

        Args:
            frames: Encoded, each whole; the first may be a key frame.
            max_edge: Pixels of the longer side; larger pictures are made smaller.

        Returns:
            The last frame, or None if it is too damaged; then a key frame must be next.
        """
        picture = None
        for data in frames:
            try:
                decoded = self._context.decode(av.Packet(data)) if data else []
            except (av.FFmpegError, ValueError):
                self._open()
                return None
            picture = decoded[-1] if decoded else None
        return None if picture is None else _rgb(picture, max_edge)

    def _open(self) -> None:
        context = av.CodecContext.create(self._codec.lower(), "r")
        assert isinstance(context, VideoCodecContext)
        # More threads mean frames of delay, and many calls share the machine.
        context.thread_count = 1
        context.thread_type = ThreadType.NONE
        context.flags |= Flags.low_delay
        self._context = context


def _rgb(picture: av.VideoFrame, max_edge: int) -> Rgb:
    scale = min(1.0, max_edge / max(picture.width, picture.height))
    small = picture.reformat(
        width=max(1, round(picture.width * scale)),
        height=max(1, round(picture.height * scale)),
        format="rgb24",
        threads=1,
    )
    return np.asarray(small.to_ndarray(), np.uint8)
