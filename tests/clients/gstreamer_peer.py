"""
GStreamer as a WHIP client: speaks a recording, shows a test picture, prints every event.

    /usr/bin/python3 gstreamer_peer.py URL WAV

Runs in the Python of the distribution, which has GStreamer's bindings (Debian: python3-gi,
gir1.2-gst-plugins-bad-1.0, gstreamer1.0-nice, -plugins-good and -plugins-bad). Ends after
the first response.done by deleting its call.
"""

import json
import sys
import threading
import urllib.request
from typing import Any

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstSdp", "1.0")
gi.require_version("GstWebRTC", "1.0")
from gi.repository import GLib, Gst, GstSdp, GstWebRTC  # noqa: E402 # versions come first

PIPELINE = (
    "webrtcbin name=peer bundle-policy=max-bundle "
    "filesrc name=file ! wavparse ! audioconvert ! audioresample ! identity sync=true ! "
    "opusenc inband-fec=true ! rtpopuspay pt=111 ! "
    "application/x-rtp,media=audio,encoding-name=OPUS,payload=111 ! peer. "
    "videotestsrc is-live=true pattern=red ! "
    "video/x-raw,width=320,height=240,framerate=15/1 ! videoconvert ! "
    "vp8enc deadline=1 keyframe-max-dist=30 ! rtpvp8pay pt=96 ! "
    "application/x-rtp,media=video,encoding-name=VP8,payload=96 ! peer. "
)


class Client:
    """One call, from the offer to its deletion."""

    def __init__(self, url: str, file: str) -> None:
        self._url = url
        self._loop = GLib.MainLoop()
        self._location = ""
        # Replies of GStreamer's promises are gone as soon as nobody refers to them.
        self._kept: list[Any] = []
        self._pipeline = Gst.parse_launch(PIPELINE)
        self._pipeline.get_by_name("file").set_property("location", file)
        self._peer = self._pipeline.get_by_name("peer")

    def run(self) -> None:
        """Call, and wait for the end."""
        self._pipeline.set_state(Gst.State.READY)
        channel = self._peer.emit("create-data-channel", "oai-events", None)
        channel.connect("on-message-string", self._receive)
        self._kept.append(channel)
        self._peer.connect("on-negotiation-needed", self._offer)
        self._pipeline.set_state(Gst.State.PLAYING)
        self._loop.run()
        self._ask("DELETE", self._location)
        self._pipeline.set_state(Gst.State.NULL)

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
