"""What nobody who wants an answer sends to an HTTP port: strangers.py PORT SECONDS."""

import os
import socket
import sys
import time

port, seconds = int(sys.argv[1]), float(sys.argv[2])


def connect():
    link = socket.create_connection(("127.0.0.1", port), timeout=5)
    link.settimeout(1)
    return link


def send(octets):
    """Says it, and takes what little comes back, or the end."""
    with connect() as link:
        try:
            link.sendall(octets)
            link.recv(64)
        except OSError:
            pass


def hold():
    links = []
    for number in range(100):
        link = connect()
        # Some say nothing, some begin a line, some do not take what they asked for.
        said = [b"", b"GET /metr", b"GET /metrics HTTP/1.1\r\n\r\n"][number % 3]
        try:
            link.sendall(said)
        except OSError:
            pass
        links.append(link)
    return links


ends = time.monotonic() + seconds
held = hold()
print("at it", file=sys.stderr, flush=True)
while time.monotonic() < ends:
    send(b"GET /metrics HTTP/1.1\r\nX: " + b"a" * 65536 + b"\r\n\r\n")
    send(b"\0\xff" * 32768)
    send(os.urandom(4096))
    send(b"\r\n\r\n")
    send(b"GET /../../etc/passwd HTTP/1.1\r\n\r\n")
    send(b"GET \0 HTTP/1.1\r\n\r\n")
    held = hold()
print("done", file=sys.stderr, flush=True)
