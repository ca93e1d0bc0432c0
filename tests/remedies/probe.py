#!/usr/bin/env python3
"""One question to a mail server, answered with one line and an exit status: 0 yes, 1 no.

    probe.py clear PROTOCOL HOST PORT      does it take the password in clear?
    probe.py starttls PROTOCOL HOST PORT   does STARTTLS come about, and the login inside it?
    probe.py tls PROTOCOL HOST PORT        does TLS come about from the first octet, and the login inside it?
    probe.py backend                       be a POP3, IMAP and SMTP server without TLS on 127.0.0.1, ports 10110,
                                           10143 and 10025, for proxies to have something behind them
    probe.py victim LOG                    be the same on every address and the usual ports, and log what is typed
    probe.py safe LOG CERTIFICATE KEY      be the same with STARTTLS and the ports for TLS; what is typed inside TLS
                                           is logged in LOG, what is typed outside in LOG.clear

PROTOCOL is pop3, imap or smtp. User and password are made up and the same everywhere.
"""

import base64
import re
import socket
import ssl
import sys
import threading

USER, PASSWORD = "carol", "Made-Up-7"
PLAIN = base64.b64encode(f"\0{USER}\0{PASSWORD}".encode()).decode()


class Dialogue:
    """A connection as a client."""

    def __init__(self, protocol, host, port):
        self.protocol, self.host = protocol, host
        self.socket = socket.create_connection((host, port), 20)
        self.file = self.socket.makefile("rb")

    def wrap(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.socket = context.wrap_socket(self.socket, server_hostname=self.host)
        self.file = self.socket.makefile("rb")

    def ask(self, line, tag=""):
        """The last line of the answer to a command."""
        self.socket.sendall((f"{tag} {line}" if tag else line).encode() + b"\r\n")
        return self.answer(tag)

    def answer(self, tag=""):
        while line := self.file.readline().decode("latin-1").rstrip("\r\n"):
            if self.protocol == "imap" and tag and not line.startswith(tag + " "):
                continue
            if self.protocol == "smtp" and line[3:4] == "-":
                continue
            return line
        return "closed"

    def starttls(self):
        """Whether TLS came about."""
        if self.protocol == "smtp":
            self.ask("EHLO probe.example.net")
        reply = self.ask(*{"smtp": ("STARTTLS",), "imap": ("STARTTLS", "s"), "pop3": ("STLS",)}[self.protocol])
        if not reply.startswith(("220", "s OK", "+OK")):
            return reply
        self.wrap()
        return None

    def login(self):
        """Whether the password was taken, and the answer."""
        if self.protocol == "smtp":
            self.ask("EHLO probe.example.net")
            reply = self.ask(f"AUTH PLAIN {PLAIN}")
            return reply.startswith("235"), reply
        if self.protocol == "imap":
            reply = self.ask(f"LOGIN {USER} {PASSWORD}", "l")
            return reply.startswith("l OK"), reply
        self.ask(f"USER {USER}")
        reply = self.ask(f"PASS {PASSWORD}")
        return reply.startswith("+OK"), reply


def question(what, protocol, host, port):
    dialogue = Dialogue(protocol, host, int(port))
    if what == "tls":
        dialogue.wrap()
    dialogue.answer()
    if what == "starttls" and (refusal := dialogue.starttls()):
        return False, refusal
    return dialogue.login()


class Server(threading.Thread):
    """A mail server that takes every login and holds no mail; without a context, one without TLS."""

    def __init__(self, address, port, protocol, log=None, context=None):
        super().__init__(daemon=True)
        self.protocol, self.log, self.context = protocol, log, context
        self.is_implicit = context and port in (993, 995, 465)
        self.socket = socket.create_server((address, port))

    def run(self):
        while True:
            connection, _ = self.socket.accept()
            threading.Thread(target=Session(self, connection).serve, daemon=True).start()


class Session:
    """One connection to it."""

    def __init__(self, server, connection):
        self.server, self.connection, self.is_tls = server, connection, False

    def serve(self):
        greeting = {"imap": b"* OK ready\r\n", "pop3": b"+OK ready\r\n", "smtp": b"220 mail ESMTP\r\n"}
        try:
            if self.server.is_implicit:
                self.wrap()
            file = self.connection.makefile("rwb", 0)
            file.write(greeting[self.server.protocol])
            while line := self.read(file):
                more = getattr(self, self.server.protocol)(file, line)
                if more == "wrap":
                    self.wrap()
                    file = self.connection.makefile("rwb", 0)
                elif not more:
                    break
        except OSError:
            pass
        self.connection.close()

    def wrap(self):
        self.connection = self.server.context.wrap_socket(self.connection, server_side=True)
        self.is_tls = True

    def can_wrap(self):
        return self.server.context and not self.is_tls

    def read(self, file):
        line = file.readline()
        if self.server.log:
            is_outside = self.server.context and not self.is_tls
            with open(self.server.log + (".clear" if is_outside else ""), "ab") as log:
                log.write(line)
        return line.decode("latin-1").rstrip("\r\n")

    def imap(self, file, line):
        tag, verb, rest = (line.split(" ", 2) + ["", ""])[:3]
        verb = verb.upper()
        untagged = {
            "CAPABILITY": f"* CAPABILITY IMAP4rev1 {'STARTTLS' if self.can_wrap() else 'AUTH=PLAIN'}\r\n",
            "SELECT": "* 0 EXISTS\r\n* 0 RECENT\r\n* FLAGS ()\r\n* OK [UIDVALIDITY 1]\r\n* OK [UIDNEXT 1]\r\n",
            "EXAMINE": "* 0 EXISTS\r\n* 0 RECENT\r\n* FLAGS ()\r\n* OK [UIDVALIDITY 1]\r\n* OK [UIDNEXT 1]\r\n",
            "LIST": '* LIST () "/" INBOX\r\n',
            "NAMESPACE": '* NAMESPACE (("" "/")) NIL NIL\r\n',
            "LOGOUT": "* BYE\r\n",
        }
        if verb == "AUTHENTICATE" and " " not in rest:
            file.write(b"+ \r\n")
            self.read(file)
        # Proxies pass user and password on as literals.
        while literal := re.search(r"\{(\d+)(\+?)\}$", rest):
            if not literal[2]:
                file.write(b"+ go on\r\n")
            file.read(int(literal[1]))
            rest = self.read(file)
        if verb == "STARTTLS" and self.can_wrap():
            file.write(f"{tag} OK begin\r\n".encode())
            return "wrap"
        known = verb not in ("STARTTLS", "ID")
        file.write((untagged.get(verb, "") + f"{tag} {'OK' if known else 'BAD'} {verb}\r\n").encode())
        return verb != "LOGOUT"

    def pop3(self, file, line):
        verb = line.split(" ")[0].upper()
        if verb == "STLS" and self.can_wrap():
            file.write(b"+OK begin\r\n")
            return "wrap"
        list_ = "STLS" if self.can_wrap() else "USER"
        answers = {
            "CAPA": f"+OK\r\n{list_}\r\nUIDL\r\n.\r\n",
            "STAT": "+OK 0 0\r\n",
            "LIST": "+OK\r\n.\r\n",
            "UIDL": "+OK\r\n.\r\n",
        }
        fallback = "-ERR no\r\n" if verb in ("STLS", "AUTH", "APOP") else "+OK\r\n"
        file.write(answers.get(verb, fallback).encode())
        return verb != "QUIT"

    def smtp(self, file, line):
        verb = line.split(" ")[0].upper()
        if verb == "STARTTLS" and self.can_wrap():
            file.write(b"220 begin\r\n")
            return "wrap"
        if verb == "AUTH" and re.fullmatch(r"AUTH PLAIN", line, re.IGNORECASE):
            file.write(b"334 \r\n")
            self.read(file)
        if verb == "AUTH" and re.match(r"AUTH LOGIN", line, re.IGNORECASE):
            for _ in range(2 if line.upper() == "AUTH LOGIN" else 1):
                file.write(b"334 VXNlcm5hbWU6\r\n")
                self.read(file)
        if verb == "DATA":
            file.write(b"354 go on\r\n")
            while self.read(file) not in (".", ""):
                pass
        answers = {
            "EHLO": "250-mail\r\n250-XCLIENT NAME ADDR LOGIN\r\n"
            f"250 {'STARTTLS' if self.can_wrap() else 'AUTH PLAIN LOGIN'}\r\n",
            "AUTH": "235 in\r\n",
            "XCLIENT": "220 mail ESMTP\r\n",
            "STARTTLS": "502 no\r\n",
            "QUIT": "221 bye\r\n",
        }
        file.write(answers.get(verb, "250 ok\r\n").encode())
        return verb != "QUIT"


PORTS = [("pop3", 110), ("imap", 143), ("smtp", 25), ("smtp", 587)]
TLS_PORTS = [("pop3", 995), ("imap", 993), ("smtp", 465)]


def serve(address, ports, log=None, context=None):
    for protocol, port in ports:
        Server(address, port, protocol, log, context).start()
    threading.Event().wait()


def main():
    what, *rest = sys.argv[1:]
    if what == "backend":
        serve("127.0.0.1", [("pop3", 10110), ("imap", 10143), ("smtp", 10025)])
    if what == "victim":
        serve("0.0.0.0", PORTS, rest[0])
    if what == "safe":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(rest[1], rest[2])
        serve("0.0.0.0", PORTS + TLS_PORTS, rest[0], context)
    try:
        taken, reply = question(what, *rest)
    except (OSError, ssl.SSLError) as error:
        taken, reply = False, str(error)
    print(reply)
    sys.exit(0 if taken else 1)


if __name__ == "__main__":
    main()
