"""The mail programs of the bed that curl can't play. Standard library only.

    clients.py imap-read   FROM SERVER USER PASSWORD   LOGIN, even where the server forbids it; the first message
    clients.py imap-typo   FROM SERVER USER PASSWORD   a wrong LOGIN, then the right one, on one connection
    clients.py pop3-fetch  FROM SERVER USER PASSWORD   USER and PASS, then the first message
    clients.py sieve-login FROM SERVER USER PASSWORD   ManageSieve AUTHENTICATE PLAIN
    clients.py smtp-relay  FROM SERVER FILE            a message on port 25, as from another server

The status is 0, 28 where the server refused the login, and 1 for anything else.
"""

import base64
import imaplib
import poplib
import smtplib
import socket
import sys

REFUSED = 28
TIMEOUT_S = 10


class Imap(imaplib.IMAP4):
    """imaplib has no way to say which of our addresses a connection starts from."""

    def __init__(self, source, server):
        self.source = source
        super().__init__(server, 143, TIMEOUT_S)

    def _create_socket(self, timeout):
        return socket.create_connection((self.host, self.port), timeout, (self.source, 0))


class Pop3(poplib.POP3):
    """As for IMAP."""

    def __init__(self, source, server):
        self.source = source
        super().__init__(server, 110, TIMEOUT_S)

    def _create_socket(self, timeout):
        return socket.create_connection((self.host, self.port), timeout, (self.source, 0))


def read_first(box):
    box.select(readonly=True)
    box.fetch("1", "(BODY.PEEK[])")


def imap_read(source, server, user, password):
    box = Imap(source, server)
    try:
        box.login(user, password)
        read_first(box)
    except imaplib.IMAP4.error:
        return REFUSED
    finally:
        box.logout()
    return 0


def imap_typo(source, server, user, password):
    box = Imap(source, server)
    try:
        box.login(user, password[::-1])
        return 1
    except imaplib.IMAP4.error:
        pass
    box.login(user, password)
    read_first(box)
    box.logout()
    return 0


def pop3_fetch(source, server, user, password):
    box = Pop3(source, server)
    try:
        box.user(user)
        box.pass_(password)
        box.retr(1)
    except poplib.error_proto:
        return REFUSED
    finally:
        box.quit()
    return 0


def sieve_login(source, server, user, password):
    with socket.create_connection((server, 4190), TIMEOUT_S, (source, 0)) as connection:
        replies = connection.makefile("rb")

        def reply():
            while line := replies.readline():
                if line.split(b" ", 1)[0].strip() in (b"OK", b"NO", b"BYE"):
                    return line
            return b"BYE"

        reply()
        secret = base64.b64encode(f"\0{user}\0{password}".encode())
        connection.sendall(b'AUTHENTICATE "PLAIN" "' + secret + b'"\r\n')
        accepted = reply().startswith(b"OK")
        if accepted:
            connection.sendall(b"LISTSCRIPTS\r\n")
            reply()
        connection.sendall(b"LOGOUT\r\n")
        reply()
    return 0 if accepted else REFUSED


def smtp_relay(source, server, path):
    with open(path, "rb") as file:
        message = file.read()
    with smtplib.SMTP(
        server, 25, "mx.elsewhere.example", TIMEOUT_S, (source, 0)
    ) as hop:
        hop.sendmail("course@elsewhere.example", ["bob@office.example"], message)
    return 0


CLIENTS = {
    "imap-read": imap_read,
    "imap-typo": imap_typo,
    "pop3-fetch": pop3_fetch,
    "sieve-login": sieve_login,
    "smtp-relay": smtp_relay,
}

if __name__ == "__main__":
    sys.exit(CLIENTS[sys.argv[1]](*sys.argv[2:]))
