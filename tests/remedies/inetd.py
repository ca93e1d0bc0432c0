"""inetd.py ADDRESS PORT COMMAND...: a process for each connection, which is its standard input and output."""

import socket
import subprocess
import sys

listener = socket.create_server((sys.argv[1], int(sys.argv[2])))
while True:
    connection, _ = listener.accept()
    with connection:
        subprocess.Popen(sys.argv[3:], stdin=connection, stdout=connection)
