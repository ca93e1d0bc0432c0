"""A mail server that takes everything and keeps nothing.

    sink.py ADDRESS PORT
"""

import socketserver
import sys


class Sink(socketserver.StreamRequestHandler):
    def say(self, text):
        self.wfile.write(text + b"\r\n")

    def handle(self):
        self.say(b"220 sink.lab.example ESMTP")
        in_letter = False
        for line in self.rfile:
            verb = line[:4].upper()
            if in_letter:
                if line == b".\r\n":
                    in_letter = False
                    self.say(b"250 2.0.0 gone")
            elif verb == b"EHLO":
                self.say(b"250-sink.lab.example\r\n250-8BITMIME\r\n250 XCLIENT ADDR PORT HELO PROTO LOGIN")
            elif verb == b"XCLI":
                self.say(b"220 sink.lab.example ESMTP")
            elif verb == b"DATA":
                in_letter = True
                self.say(b"354 go on")
            elif verb == b"QUIT":
                return self.say(b"221 2.0.0 bye")
            else:
                self.say(b"250 2.0.0 ok")


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


Server((sys.argv[1], int(sys.argv[2])), Sink).serve_forever()
