"""A small mail server and its clients, for real connections with made-up accounts.

    mail.py serve ADDRESS                  POP3 at 110, IMAP at 143, submission at 587, until it is ended
    mail.py talk ADDRESS LOGINS.json       the logins of a list, one after the other
"""

import imaplib
import json
import poplib
import smtplib
import socketserver
import sys
import threading

IMAP_GREETING = b"* OK [CAPABILITY IMAP4rev1] mail.site.example ready\r\n"


class Pop3(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(b"+OK mail.site.example ready\r\n")
        for line in self.rfile:
            verb = line.split()[0].upper() if line.split() else b""
            self.wfile.write(b"+OK\r\n" if verb in (b"USER", b"PASS", b"QUIT") else b"-ERR\r\n")
            if verb == b"QUIT":
                return


class Imap(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(IMAP_GREETING)
        for line in self.rfile:
            tag, verb = (line.split() + [b"", b""])[:2]
            if verb.upper() == b"LOGOUT":
                self.wfile.write(b"* BYE\r\n" + tag + b" OK done\r\n")
                return
            if verb.upper() == b"CAPABILITY":
                self.wfile.write(b"* CAPABILITY IMAP4rev1\r\n")
            self.wfile.write(tag + b" OK done\r\n")


class Smtp(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(b"220 mail.site.example ESMTP\r\n")
        for line in self.rfile:
            verb = line.split()[0].upper() if line.split() else b""
            if verb == b"EHLO":
                self.wfile.write(b"250-mail.site.example\r\n250 AUTH PLAIN\r\n")
            elif verb == b"AUTH":
                self.wfile.write(b"235 2.7.0 accepted\r\n")
            elif verb == b"QUIT":
                self.wfile.write(b"221 bye\r\n")
                return
            else:
                self.wfile.write(b"250 done\r\n")


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


def serve(address):
    servers = [Server((address, port), kind) for port, kind in ((110, Pop3), (143, Imap), (587, Smtp))]
    threads = [threading.Thread(target=server.serve_forever) for server in servers]
    for thread in threads:
        thread.start()
    print("serving", flush=True)
    for thread in threads:
        thread.join()


def pop3(server, user, password):
    box = poplib.POP3(server, timeout=20)
    box.user(user)
    box.pass_(password)
    box.quit()


def imap(server, user, password):
    box = imaplib.IMAP4(server, timeout=20)
    box.login(user, password)
    box.logout()


def smtp(server, user, password):
    with smtplib.SMTP(server, 587, "client.site.example", timeout=20) as box:
        box.ehlo()
        box.login(user, password, initial_response_ok=True)


CLIENTS = {"pop3": pop3, "imap": imap, "smtp": smtp}


def talk(server, path):
    with open(path) as file:
        for protocol, user, password in json.load(file):
            CLIENTS[protocol](server, user, password)


if __name__ == "__main__":
    {"serve": serve, "talk": talk}[sys.argv[1]](*sys.argv[2:])
