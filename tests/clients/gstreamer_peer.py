"""
GStreamer as a WHIP client: speaks a recording, shows a test picture, prints every event.

    /usr/bin/python3 gstreamer_peer.py URL PCM      PCM: 16-bit mono at 48 kHz, raw

Runs in the Python of the distribution, which has GStreamer's bindings (Debian: python3-gi,
gir1.2-gst-plugins-bad-1.0, gstreamer1.0-nice, -plugins-good and -plugins-bad). Ends after
the first response.done by deleting its call.
"""

import json
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstSdp", "1.0")
gi.require_version("GstWebRTC", "1.0")
from gi.repository import GLib, Gst, GstSdp, GstWebRTC  # noqa: E402 # versions come first

PIPELINE = (
    "webrtcbin name=peer bundle-policy=max-bundle "
    "appsrc name=microphone is-live=true format=time do-timestamp=true "
    "caps=audio/x-raw,format=S16LE,layout=interleaved,rate=48000,channels=1 ! "
    "audioconvert ! opusenc inband-fec=true ! rtpopuspay pt=111 ! "
    "application/x-rtp,media=audio,encoding-name=OPUS,payload=111 ! peer. "
    "videotestsrc is-live=true pattern=red ! "
    "video/x-raw,width=320,height=240,framerate=15/1 ! videoconvert ! "
    "vp8enc deadline=1 keyframe-max-dist=30 ! rtpvp8pay pt=96 ! "
    "application/x-rtp,media=video,encoding-name=VP8,payload=96 ! peer. "
)


PACKET_MS = 20
PACKET_BYTES = 2 * 48 * PACKET_MS


class Client:
    """One call, from the offer to its deletion."""

    def __init__(self, url: str, file: str) -> None:
        self._url = url
        self._loop = GLib.MainLoop()
        self._location = ""
        # Replies of GStreamer's promises are gone as soon as nobody refers to them.
        self._kept: list[Any] = []
        self._pipeline = Gst.parse_launch(PIPELINE)
        self._microphone = self._pipeline.get_by_name("microphone")
        self._speech = Path(file).read_bytes()
        self._is_open = False
        self._num_packets = 0
        self._began = 0.0
        self._peer = self._pipeline.get_by_name("peer")

    def run(self) -> None:
        """Call, and wait for the end."""
        self._pipeline.set_state(Gst.State.READY)
        channel = self._peer.emit("create-data-channel", "oai-events", None)
        channel.connect("on-open", self._begin)
        channel.connect("on-message-string", self._receive)
        self._kept.append(channel)
        self._peer.connect("on-negotiation-needed", self._offer)
        self._peer.connect("pad-added", self._hear)
        self._pipeline.set_state(Gst.State.PLAYING)
        self._began = time.monotonic()
        GLib.timeout_add(5, self._speak)
        self._loop.run()
        self._ask("DELETE", self._location)
        self._pipeline.set_state(Gst.State.NULL)

    def _begin(self, _: object) -> None:
        self._is_open = True

    def _speak(self) -> bool:
        # By the clock: timers come late, and speech must not. A pipeline that gets no sound
        # at all does not connect, so there is silence until it has.
        while self._num_packets * PACKET_MS < (time.monotonic() - self._began) * 1000:
            samples = b""
            if self._is_open:
                samples, self._speech = (
                    self._speech[:PACKET_BYTES],
                    self._speech[PACKET_BYTES:],
                )
            data = samples.ljust(PACKET_BYTES, b"\0")
            self._microphone.emit("push-buffer", Gst.Buffer.new_wrapped(data))
            self._num_packets += 1
        return True

    def _hear(self, _: object, pad: Any) -> None:
        # A pad that nobody takes from stops all that arrives, the events too.
        sink = Gst.ElementFactory.make("fakesink")
        sink.set_property("async", False)
        self._pipeline.add(sink)
        sink.sync_state_with_parent()
        pad.link(sink.get_static_pad("sink"))

    def _offer(self, _: object) -> None:
        if not self._kept[1:]:
            self._kept.append(promise := Gst.Promise.new_with_change_func(self._offered))
            self._peer.emit("create-offer", None, promise)

    def _offered(self, promise: Any, *_: object) -> None:
        promise.wait()
        reply = promise.get_reply()
        offer = reply.get_value("offer")
        self._kept += [promise, reply, offer]
        self._peer.emit("set-local-description", offer, Gst.Promise.new())
        # Not in the thread of GStreamer's own: it would wait for itself.
        threading.Thread(target=self._call, args=(offer.sdp.as_text(),)).start()

    def _call(self, offer: str) -> None:
        self._location, answer = self._ask("POST", "/v1/realtime/calls", offer)
        _, message = GstSdp.SDPMessage.new_from_text(answer)
        kind = GstWebRTC.WebRTCSDPType.ANSWER
        description = GstWebRTC.WebRTCSessionDescription.new(kind, message)
        self._kept.append(description)
        self._peer.emit("set-remote-description", description, Gst.Promise.new())

    def _ask(self, method: str, path: str, body: str = "") -> tuple[str, str]:
        request = urllib.request.Request(self._url + path, body.encode(), method=method)
        request.add_header("content-type", "application/sdp")
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.headers.get("location") or "", answer.read().decode()

    def _receive(self, _: object, text: str) -> None:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
        if json.loads(text)["type"] == "response.done":
            self._loop.quit()


if __name__ == "__main__":
    Gst.init(None)
    Client(*sys.argv[1:]).run()
