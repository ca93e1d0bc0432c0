"""Records as the sensor sends them by syslog: RFC 5424, counted in octets (RFC 6587 section 3.4.1), over TCP, TLS or RELP."""

import json
import socket
import ssl

from .bed import PATIENCE, require

# Authentication and privacy, by severity of the record.
FACILITY = 10
LEVELS = {"critical": 2, "high": 3, "medium": 4, "low": 5, "info": 6}


def quoted(text):
    """RFC 5424 section 6.3.3."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("]", "\\]")


def message(line):
    """One record; nothing stands between the header and the JSON but a space, no byte order mark above all."""
    record = json.loads(line)
    event = record["event"]
    priority = FACILITY * 8 + LEVELS.get(record["barewire"].get("severity"), 6)
    parameters = {"rule": record.get("rule", {}).get("id", ""), "proto": record.get("network", {}).get("protocol", "")}
    data = "".join(f' {name}="{quoted(text)}"' for name, text in parameters.items() if text)
    header = f'<{priority}>1 {record["@timestamp"]} sensor barewire - {event["action"][:32]} [barewire@32473{data}]'
    return f"{header} {line}".encode("ascii")


def counted(lines):
    framed = (message(line) for line in lines)
    return b"".join(b"%d %s" % (len(octets), octets) for octets in framed)


def send(port, lines, context=None):
    """Over TCP, or TLS with a context."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as plain:
        if context is None:
            plain.sendall(counted(lines))
            plain.shutdown(socket.SHUT_WR)
            return
        with context.wrap_socket(plain, server_hostname="receiver.example") as encrypted:
            encrypted.sendall(counted(lines))
            # A refused certificate shows here, and only here (TLS 1.3): the handshake was over before it was looked at.
            encrypted.settimeout(0.5)
            try:
                require(encrypted.recv(1) != b"", "the receiver closed the connection")
            except TimeoutError:
                pass


def send_relp(port, lines):
    """Over RELP, a window of one: each record is answered before the next. How many were."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as plain:
        answers = plain.makefile("rb")

        def exchange(number, command, data):
            plain.sendall(b"%d %s %d" % (number, command, len(data)) + (b" " + data if data else b"") + b"\n")
            head = answers.readline(200) if command == b"close" else read_head(answers)
            return head

        opened = exchange(1, b"open", b"relp_version=0\nrelp_software=check\ncommands=syslog")
        require(opened.startswith(b"200"), f"open: {opened!r}")
        confirmed = 0
        for number, line in enumerate(lines, 2):
            confirmed += exchange(number, b"syslog", message(line)).startswith(b"200")
        exchange(len(lines) + 2, b"close", b"")
        return confirmed


def read_head(answers):
    """The data of one answer: `TXNR rsp LENGTH DATA LF`."""
    words = []
    for _ in range(3):
        word = b""
        while len(word) < 20:
            octet = answers.read(1)
            require(octet != b"", "the receiver hung up")
            if octet in (b" ", b"\n"):
                break
            word += octet
        words.append(word)
    require(words[1] == b"rsp" and words[2].isdigit(), f"no answer of RELP: {words!r}")
    data = answers.read(int(words[2]))
    answers.read(1)
    return data


def mutual_tls(folder, run):
    """An authority, a server and a sensor that have its certificates, and one that has another's; made by openssl."""

    def make(name, issuer=None, alternative=None):
        key, certificate = folder / f"{name}.key", folder / f"{name}.pem"
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days",
                   "2", "-subj", f"/CN={name}", "-keyout", key, "-out", certificate]
        if issuer:
            command += ["-CA", folder / f"{issuer}.pem", "-CAkey", folder / f"{issuer}.key",
                        "-addext", f"subjectAltName=DNS:{alternative}", "-addext", "basicConstraints=critical,CA:FALSE"]
        status, said = run(*command)
        require(status == 0, said)

    make("ca")
    make("server", "ca", "receiver.example")
    make("sensor", "ca", "sensor.example")
    make("stranger")

    def context(name):
        made = ssl.create_default_context(cafile=str(folder / "ca.pem"))
        made.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
        return made

    return context("sensor"), context("stranger")
