"""A system log: what is sent to a datagram socket, line by line into a file.

    syslog.py SOCKET FILE
"""

import os
import re
import socket
import sys
import time

path, log = sys.argv[1:]
receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
receiver.bind(path)
os.chmod(path, 0o666)
with open(log, "ab", buffering=0) as file:
    while True:
        record = receiver.recv(65536).rstrip(b"\0\r\n")
        # <priority>Mon DD HH:MM:SS rest
        record = re.sub(rb"^<\d+>(?:[A-Z][a-z]{2} [ \d]\d [\d:]{8} )?", b"", record)
        stamp = f"{time.time():.3f} ".encode()
        file.write(b"".join(stamp + line + b"\n" for line in record.split(b"\n")))
