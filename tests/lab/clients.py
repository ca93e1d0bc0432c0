"""Python's own mail modules as clients, and a plain dialogue for what they can't do.

    clients.py imap|pop3|smtp|lmtp|sieve|nntp HOST USER PASSWORD [KEY=VALUE...] [ACTION...]
    clients.py chat HOST PORT WORD...

    mech=NAME        COMMAND (LOGIN, USER and PASS, AUTHINFO) or a mechanism of sasl.py
    port=N           where it isn't the usual one
    tls=starttls     or implicit; try: go on in clear when it's refused; quit: end then
    version=1.2      of TLS, at most
    capa=yes         POP3: ask for capabilities first
    again=PASSWORD   a second attempt on the same connection

What is done after a login, as ACTION: fetch, idle, compress, append, send; with bare, a letter's lines end in LF alone.
The words of a chat: >TEXT sends a line (\\r and \\n may stand in it), ?TEXT waits for that text, =HEX sends
octets, +TLS turns to TLS.
The status is 0, 28 where the login was refused, and 1 for anything else.
"""

import base64
import imaplib
import poplib
import re
import smtplib
import socket
import ssl
import sys
import warnings
import zlib

import sasl

warnings.simplefilter("ignore")
REFUSED = 28
TIMEOUT_S = 12
VERSIONS = {
    "1.0": ssl.TLSVersion.TLSv1,
    "1.1": ssl.TLSVersion.TLSv1_1,
    "1.2": ssl.TLSVersion.TLSv1_2,
    "1.3": ssl.TLSVersion.TLSv1_3,
}


def tls_context(version):
    context = ssl.create_default_context(cafile="/lab/tls/ca.pem")
    context.check_hostname = False
    if version in ("1.0", "1.1"):
        # OpenSSL's level 0 is what still allows these.
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = VERSIONS[version]
    if version:
        context.maximum_version = VERSIONS[version]
    return context


class Task:
    """What the command line asks for."""

    def __init__(self, kind, host, user, password, words):
        self.service = {"pop3": "pop", "lmtp": "smtp"}.get(kind, kind)
        self.host, self.user, self.password = host, user, password
        keys = dict(word.split("=", 1) for word in words if "=" in word)
        self.actions = [word for word in words if "=" not in word]
        self.mech = keys.get("mech", "COMMAND")
        self.port = int(keys["port"]) if "port" in keys else None
        self.tls = keys.get("tls", "none")
        self.context = tls_context(keys.get("version"))
        self.asks = keys.get("capa") == "yes"
        self.passwords = [password] + ([keys["again"]] if "again" in keys else [])

    def mechanism(self, password):
        made = sasl.MECHANISMS[self.mech](self.user, password)
        made.service = self.service
        return made

    def letter(self):
        with open("/lab/src/letter.eml", "rb") as file:
            text = file.read()
        return text if "bare" in self.actions else text.replace(b"\n", b"\r\n")


def imap(task):
    if task.tls == "implicit":
        box = imaplib.IMAP4_SSL(task.host, task.port or 993, ssl_context=task.context, timeout=TIMEOUT_S)
    else:
        box = imaplib.IMAP4(task.host, task.port or 143, TIMEOUT_S)
    try:
        if task.tls in ("starttls", "try", "quit"):
            try:
                box.starttls(task.context)
            except imaplib.IMAP4.error:
                if task.tls != "try":
                    return REFUSED
        refused = True
        for password in task.passwords:
            try:
                if task.mech == "COMMAND":
                    box.login(task.user, password)
                else:
                    box.authenticate(task.mech, task.mechanism(password).step)
                refused = False
            except imaplib.IMAP4.error as error:
                print(error)
        if refused:
            return REFUSED
        box.select()
        for action in task.actions:
            {"fetch": imap_fetch, "idle": imap_idle, "compress": imap_compress, "append": imap_append}[action](box, task)
    finally:
        box.logout()
    return 0


def imap_fetch(box, task):
    print(box.fetch("1", "(BODY.PEEK[])")[0])


def imap_append(box, task):
    print(box.append("INBOX", None, None, task.letter()))


def imap_idle(box, task):
    tag = box._new_tag()
    box.send(tag + b" IDLE\r\n")
    print(box.readline())
    box.send(b"DONE\r\n")
    while not box.readline().startswith(tag):
        pass


def imap_compress(box, task):
    imaplib.Commands["COMPRESS"] = ("AUTH", "SELECTED")
    print(box._simple_command("COMPRESS", "DEFLATE"))
    pack, unpack = zlib.compressobj(9, zlib.DEFLATED, -15), zlib.decompressobj(-15)
    plain = bytearray()

    def send(data):
        box.sock.sendall(pack.compress(data) + pack.flush(zlib.Z_SYNC_FLUSH))

    def more():
        data = box.sock.recv(4096)
        if not data:
            raise imaplib.IMAP4.abort("end of file")
        plain.extend(unpack.decompress(data))

    def readline():
        while b"\n" not in plain:
            more()
        line, _, rest = bytes(plain).partition(b"\n")
        plain[:] = rest
        return line + b"\n"

    def read(size):
        while len(plain) < size:
            more()
        part = bytes(plain[:size])
        del plain[:size]
        return part

    box.send, box.readline, box.read = send, readline, read


def pop3(task):
    if task.tls == "implicit":
        box = poplib.POP3_SSL(task.host, task.port or 995, context=task.context, timeout=TIMEOUT_S)
    else:
        box = poplib.POP3(task.host, task.port or 110, TIMEOUT_S)
    try:
        if task.asks:
            print(box.capa())
        if task.tls in ("starttls", "try", "quit"):
            try:
                box.stls(task.context)
            except poplib.error_proto as error:
                print(error)
                if task.tls != "try":
                    return REFUSED
        refused = True
        for password in task.passwords:
            try:
                pop3_login(box, task, password)
                refused = False
            except poplib.error_proto as error:
                print(error)
        if refused:
            return REFUSED
        if "fetch" in task.actions:
            print(box.retr(1)[0])
    finally:
        box.quit()
    return 0


def pop3_login(box, task, password):
    if task.mech == "COMMAND":
        box.user(task.user)
        box.pass_(password)
    elif task.mech == "APOP":
        box.apop(task.user, password)
    else:
        mechanism = task.mechanism(password)
        box._putcmd(f"AUTH {task.mech}")
        while True:
            line, _ = box._getline()
            if not line.startswith(b"+ "):
                break
            box._putline(base64.b64encode(mechanism.step(base64.b64decode(line[2:]))))
        if not line.startswith(b"+OK"):
            raise poplib.error_proto(line)


def smtp(task, kind=smtplib.SMTP):
    if task.tls == "implicit":
        hop = smtplib.SMTP_SSL(task.host, task.port or 465, "client.lab.example", timeout=TIMEOUT_S, context=task.context)
    else:
        hop = kind(task.host, task.port or 587, "client.lab.example")
    try:
        hop.ehlo()
        if task.tls in ("starttls", "try", "quit"):
            code, text = hop.docmd("STARTTLS")
            if code == 220:
                hop.sock = task.context.wrap_socket(hop.sock)
                hop.file = None
                hop.ehlo_resp = None
                hop.ehlo()
            elif task.tls != "try":
                return REFUSED
        if task.user != "-":
            refused = True
            for password in task.passwords:
                refused = smtp_login(hop, task, password) != 235 and refused
            if refused:
                return REFUSED
        if "send" in task.actions:
            hop.sendmail(f"{task.user if task.user != '-' else 'news'}@lab.example", ["bob@lab.example"], task.letter())
    finally:
        try:
            hop.quit()
        except smtplib.SMTPServerDisconnected:
            pass
    return 0


def smtp_login(hop, task, password):
    mechanism = task.mechanism(password)
    first = f" {base64.b64encode(mechanism.first).decode() or '='}" if mechanism.first is not None else ""
    code, text = hop.docmd("AUTH", task.mech + first)
    while code == 334:
        code, text = hop.docmd(base64.b64encode(mechanism.step(base64.b64decode(text))).decode())
    print(code, text)
    return code


def lmtp(task):
    return smtp(task, smtplib.LMTP)


class Lines:
    """A connection and its lines."""

    def __init__(self, host, port):
        self.socket = socket.create_connection((host, port), TIMEOUT_S)
        self.replies = self.socket.makefile("rb")

    def send(self, text):
        self.socket.sendall(text if isinstance(text, bytes) else text.encode() + b"\r\n")

    def line(self):
        line = self.replies.readline()
        print(line.decode(errors="replace").rstrip())
        return line

    def to_tls(self, context):
        self.socket = context.wrap_socket(self.socket)
        self.replies = self.socket.makefile("rb")


def sieve(task):
    peer = Lines(task.host, task.port or 4190)

    def reply():
        while line := peer.line():
            if line.split(b" ", 1)[0].strip() in (b"OK", b"NO", b"BYE"):
                return line
        return b"BYE"

    reply()
    if task.tls in ("starttls", "try", "quit"):
        peer.send("STARTTLS")
        if reply().startswith(b"OK"):
            peer.to_tls(task.context)
            reply()
        elif task.tls != "try":
            return REFUSED
    mechanism = task.mechanism(task.password)
    first = f' "{base64.b64encode(mechanism.first).decode()}"' if mechanism.first is not None else ""
    peer.send(f'AUTHENTICATE "{task.mech}"{first}')
    while True:
        line = peer.line()
        if found := re.match(rb"\{(\d+)\+?\}\r\n", line):
            challenge = peer.replies.read(int(found[1]))
            peer.replies.readline()
        elif line.startswith(b'"'):
            challenge = line.strip().strip(b'"')
        else:
            break
        peer.send(f'"{base64.b64encode(mechanism.step(base64.b64decode(challenge))).decode()}"')
    if line.startswith(b"OK"):
        peer.send("LISTSCRIPTS")
        reply()
    peer.send("LOGOUT")
    reply()
    return 0 if line.startswith(b"OK") else REFUSED


def nntp(task):
    peer = Lines(task.host, task.port or 119)
    peer.line()
    if task.asks:
        peer.send("CAPABILITIES")
        while peer.line() not in (b".\r\n", b""):
            pass
    if task.tls == "starttls":
        peer.send("STARTTLS")
        if not peer.line().startswith(b"382"):
            return REFUSED
        peer.to_tls(task.context)
    if task.mech == "COMMAND":
        peer.send(f"AUTHINFO USER {task.user}")
        line = peer.line()
        if line.startswith(b"381"):
            peer.send(f"AUTHINFO PASS {task.password}")
            line = peer.line()
    else:
        mechanism = task.mechanism(task.password)
        first = f" {base64.b64encode(mechanism.first).decode()}" if mechanism.first is not None else ""
        peer.send(f"AUTHINFO SASL {task.mech}{first}")
        line = peer.line()
        while line.startswith(b"383"):
            challenge = line.split()[1].rstrip(b"\r\n")
            challenge = b"" if challenge == b"=" else base64.b64decode(challenge)
            peer.send(base64.b64encode(mechanism.step(challenge)).decode())
            line = peer.line()
    peer.send("QUIT")
    peer.line()
    return 0 if line.startswith(b"28") else REFUSED


def chat(host, port, words):
    peer = Lines(host, int(port))
    for word in words:
        kind, text = word[0], word[1:]
        if kind == ">":
            peer.send(text.replace("\\r", "\r").replace("\\n", "\n"))
        elif kind == "=":
            peer.send(bytes.fromhex(text))
        elif kind == "?":
            while text.encode() not in (line := peer.line()):
                if not line:
                    return 1
        elif word == "+TLS":
            peer.to_tls(tls_context(None))
    return 0


if __name__ == "__main__":
    kind, *arguments = sys.argv[1:]
    if kind == "chat":
        sys.exit(chat(arguments[0], arguments[1], arguments[2:]))
    host, user, password, *words = arguments
    played = {"imap": imap, "pop3": pop3, "smtp": smtp, "lmtp": lmtp, "sieve": sieve, "nntp": nntp}
    sys.exit(played[kind](Task(kind, host, user, password, words)))
