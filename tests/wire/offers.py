"""Offers as browsers write them, shortened."""

CHROMIUM = """v=0
o=- 4611731400430051336 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1 2
a=extmap-allow-mixed
a=msid-semantic: WMS
m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8
c=IN IP4 0.0.0.0
a=rtcp:9 IN IP4 0.0.0.0
a=candidate:1 1 udp 2113937151 6d1e1f9e.local 51000 typ host generation 0
a=ice-ufrag:Vk5c
a=ice-pwd:hkzBVW1VHTHrhmvNTRJDKOqR
a=ice-options:trickle
a=fingerprint:sha-256 {digest}
a=setup:actpass
a=mid:0
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=sendrecv
a=msid:- 6b1a
a=rtcp-mux
a=rtcp-rsize
a=rtpmap:111 opus/48000/2
a=rtcp-fb:111 transport-cc
a=fmtp:111 minptime=10;useinbandfec=1
a=rtpmap:63 red/48000/2
a=fmtp:63 111/111
a=rtpmap:9 G722/8000
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=ssrc:1001 cname:x
m=video 9 UDP/TLS/RTP/SAVPF 96 97 103 107 116
c=IN IP4 0.0.0.0
a=ice-ufrag:Vk5c
a=ice-pwd:hkzBVW1VHTHrhmvNTRJDKOqR
a=fingerprint:sha-256 {digest}
a=setup:actpass
a=mid:1
a=sendonly
a=rtcp-mux
a=rtpmap:96 VP8/90000
a=rtcp-fb:96 goog-remb
a=rtcp-fb:96 transport-cc
a=rtcp-fb:96 ccm fir
a=rtcp-fb:96 nack
a=rtcp-fb:96 nack pli
a=rtpmap:97 rtx/90000
a=fmtp:97 apt=96
a=rtpmap:103 H264/90000
a=rtcp-fb:103 nack pli
a=fmtp:103 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f
a=rtpmap:107 H264/90000
a=fmtp:107 level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42001f
a=rtpmap:116 red/90000
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=ice-ufrag:Vk5c
a=ice-pwd:hkzBVW1VHTHrhmvNTRJDKOqR
a=fingerprint:sha-256 {digest}
a=setup:actpass
a=mid:2
a=sctp-port:5000
a=max-message-size:262144
""".format(digest=":".join(["AB"] * 32)).replace("\n", "\r\n")
