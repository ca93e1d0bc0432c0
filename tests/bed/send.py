"""Sends the frames of a capture on an interface: send.py IFACE FILE.pcap [FRAMES-A-SECOND]."""

import socket
import struct
import sys
import time

interface, path = sys.argv[1:3]
rate = float(sys.argv[3]) if len(sys.argv) > 3 else 20_000
with open(path, "rb") as file:
    capture = file.read()
link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
link.bind((interface, 0))
offset, sent, began = 24, 0, time.monotonic()
while offset < len(capture):
    (length,) = struct.unpack_from("<I", capture, offset + 8)
    offset += 16
    link.send(capture[offset : offset + length])
    offset += length
    sent += 1
    ahead = sent / rate - (time.monotonic() - began)
    if ahead > 0.002:
        time.sleep(ahead)
print(sent)
