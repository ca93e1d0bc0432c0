#!/usr/bin/env python3
"""Records the handshakes in this folder anew: python3 make.py, with the openssl command beside it.

Both ends are OpenSSL, joined in memory: no socket, no packet, only the octets that each hands to the other. Keys and
certificates are made for the run and thrown away; names and addresses are made up. Keys and random numbers differ each
time, what the tests look at does not.
"""

import hashlib
import pathlib
import ssl
import subprocess
import tempfile

HERE = pathlib.Path(__file__).resolve().parent

# openssl req can't set the dates of what it signs, openssl ca can.
CA_CONFIG = """
[ca]
default_ca = this
[this]
database = {folder}/index
new_certs_dir = {folder}
rand_serial = yes
unique_subject = no
policy = anything
default_md = sha256
email_in_dn = yes
[anything]
countryName = optional
organizationName = optional
commonName = optional
"""

SANS = "subjectAltName=DNS:mail.example,DNS:imap.example,IP:192.0.2.25,IP:2001:db8::25"


class Maker:
    """Keys and certificates in a folder of their own."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        (self.folder / "index").write_text("")
        (self.folder / "ca.conf").write_text(CA_CONFIG.format(folder=folder))

    def openssl(self, *arguments):
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True)

    def certificate(self, name, key, subject, dates, extensions="", digest="sha256", issuer=None):
        """Writes NAME.key and NAME.pem, self-signed unless an issuer made before is named."""
        self.openssl("genpkey", *key, "-out", f"{name}.key")
        self.openssl("req", "-new", "-key", f"{name}.key", "-subj", subject, "-out", f"{name}.csr")
        (self.folder / "extensions").write_text(extensions)
        by = ["-keyfile", f"{issuer or name}.key", *(["-cert", f"{issuer}.pem"] if issuer else ["-selfsign"])]
        self.openssl(
            "ca", "-batch", "-config", "ca.conf", *by, "-in", f"{name}.csr", "-out", f"{name}.pem", "-notext",
            "-preserveDN", "-md", digest, "-startdate", dates[0], "-enddate", dates[1], "-extfile", "extensions",
        )

    def chain(self, name, *issuers):
        """The path of NAME's certificate with those of its issuers after it."""
        parts = [(self.folder / f"{part}.pem").read_text() for part in (name, *issuers)]
        (self.folder / f"{name}.chain").write_text("".join(parts))
        return self.folder / f"{name}.chain", self.folder / f"{name}.key"


def context(role, low, high, ciphers="ALL:@SECLEVEL=0", certificate=None):
    made = ssl.SSLContext(role)
    if role == ssl.PROTOCOL_TLS_CLIENT:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    made.set_ciphers(ciphers)
    made.minimum_version, made.maximum_version = low, high
    if certificate:
        made.load_cert_chain(*certificate)
    return made


class Wire:
    """Two ends and what they said to each other, flight by flight."""

    def __init__(self, client, server, host="mail.example", session=None):
        self.flights = []
        pipes = [ssl.MemoryBIO() for _ in range(4)]
        self.client = client.wrap_bio(pipes[0], pipes[1], server_hostname=host, session=session)
        self.server = server.wrap_bio(pipes[2], pipes[3], server_side=True)
        self.carriers = [("C", pipes[1], pipes[2]), ("S", pipes[3], pipes[0])]

    def carry(self, end):
        side, source, sink = self.carriers[0 if end is self.client else 1]
        octets = source.read()
        if octets:
            self.flights.append((side, octets))
            sink.write(octets)
        return bool(octets)

    def shake(self):
        """Until nothing more is said, failure included."""
        moved = True
        while moved:
            moved = False
            for end in (self.client, self.server):
                try:
                    end.do_handshake()
                except ssl.SSLError:
                    pass
                moved |= self.carry(end)

    def say(self, end, words):
        end.write(words)
        self.carry(end)
        other = self.server if end is self.client else self.client
        try:
            other.read(4096)
        except ssl.SSLWantReadError:
            pass


def ja4(record):
    """FoxIO's fingerprint of the ClientHello in a record, which OpenSSL writes whole and without GREASE."""
    at = 5 + 4 + 2 + 32

    def vector(octets, start):
        end = start + octets + int.from_bytes(record[start : start + octets], "big")
        return record[start + octets : end], end

    def words(octets):
        return [octets[index : index + 2].hex() for index in range(0, len(octets), 2)]

    _, at = vector(1, at)
    suites, at = vector(2, at)
    _, at = vector(1, at)
    _, end = vector(2, at)
    extensions, at = {}, at + 2
    while at < end:
        content, after = vector(2, at + 2)
        extensions[record[at : at + 2].hex()] = content
        at = after
    versions = words(extensions["002b"][1:]) if "002b" in extensions else [record[9:11].hex()]
    version = {"0304": "13", "0303": "12", "0302": "11", "0301": "10"}[max(versions)]
    alpn = extensions["0010"][3 : 3 + extensions["0010"][2]].decode() if "0010" in extensions else "00"
    algorithms = words(extensions["000d"][2:]) if "000d" in extensions else []
    kinds = ",".join(sorted(kind for kind in extensions if kind not in ("0000", "0010")))
    lists = [",".join(sorted(words(suites))), "_".join([kinds, ",".join(algorithms)] if algorithms else [kinds])]
    hashes = [hashlib.sha256(one.encode()).hexdigest()[:12] for one in lists]
    known = "d" if "0000" in extensions else "i"
    counts = f"{len(words(suites)):02}{len(extensions):02}"
    return "_".join([f"t{version}{known}{counts}{alpn[0]}{alpn[-1]}", *hashes])


def write(name, about, flights, certificate=None):
    lines = [f"# {about}"]
    if flights[0][1][0] == 22:
        lines.append(f"# ja4 {ja4(flights[0][1])}")
    if certificate:
        pem = certificate[0].read_text().partition("-----END CERTIFICATE-----\n")
        lines.append("# leaf " + hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem[0] + pem[1])).hexdigest())
    for side, octets in flights:
        text = octets.hex()
        lines += [(f"{side} " if at == 0 else "  ") + text[at : at + 116] for at in range(0, len(text), 116)]
    (HERE / f"{name}.hex").write_text("\n".join(lines) + "\n")
    print(f"{name}: {sum(len(octets) for _, octets in flights)} octets")


CLIENT, SERVER = ssl.PROTOCOL_TLS_CLIENT, ssl.PROTOCOL_TLS_SERVER
V10, V11, V12, V13 = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


def exchange(name, about, client, server, seen=None, talk="C", **wire):
    """SEEN: the certificate that crosses the wire in clear."""
    made = Wire(client, server, **wire)
    made.shake()
    for side in talk:
        made.say(made.client if side == "C" else made.server, b"made-up words\r\n")
    write(name, about, made.flights, seen)


def both(version, ciphers, certificate):
    ends = context(CLIENT, version, version, ciphers), context(SERVER, version, version, ciphers, certificate)
    return *ends, certificate


def strict(version):
    made = context(CLIENT, version, version)
    made.verify_mode = ssl.CERT_REQUIRED
    return made


def older_handshakes(rsa, ecdsa, old):
    about = "TLS 1.0, ECDHE-RSA-AES256-SHA; each write is two records"
    exchange("tls10", about, *both(V10, "ALL:@SECLEVEL=0", old), talk="CS")
    exchange("tls11", "TLS 1.1, AES128-SHA: RSA key transport", *both(V11, "AES128-SHA:@SECLEVEL=0", rsa), talk="CS")
    usual = "ECDHE-RSA-AES128-GCM-SHA256:@SECLEVEL=0"
    exchange("tls12-rsa", "TLS 1.2, ECDHE-RSA-AES128-GCM-SHA256", *both(V12, usual, rsa), talk="CS")
    exchange("tls12-server-first", "TLS 1.2, as tls12-rsa, but the server speaks first", *both(V12, usual, rsa), talk="SC")
    about = "TLS 1.2, as tls12-rsa, its certificate RSA 1024 and SHA-1, expired, with its issuer's"
    exchange("tls12-chain", about, *both(V12, usual, old))
    client, server, _ = both(V12, usual, rsa)
    first = Wire(client, server)
    first.shake()
    about = "TLS 1.2, as tls12-rsa, resumed with a ticket: no Certificate"
    exchange("tls12-resumed", about, client, server, session=first.client.session)
    client, server, _ = both(V12, "ECDHE-ECDSA-CHACHA20-POLY1305", ecdsa)
    client.set_alpn_protocols(["imap"])
    server.set_alpn_protocols(["imap"])
    about = "TLS 1.2, ECDHE-ECDSA-CHACHA20-POLY1305, ALPN imap, no server name"
    exchange("tls12-ecdsa", about, client, server, ecdsa, host=None)
    about = "TLS 1.2, AECDH-AES128-SHA: nobody proves who he is"
    exchange("tls12-anon", about, *both(V12, "AECDH-AES128-SHA:@SECLEVEL=0", None))
    about = "TLS 1.2, NULL-SHA256: nothing is encrypted"
    exchange("tls12-null", about, *both(V12, "NULL-SHA256:@SECLEVEL=0", rsa), talk="CS")


def newer_handshakes(rsa, ecdsa):
    ends = context(CLIENT, V10, V13), context(SERVER, V10, V13, certificate=rsa)
    exchange("tls13", "TLS 1.3, the client offers 1.0 to 1.3", *ends, talk="CS")
    server = context(SERVER, V12, V13, certificate=ecdsa)
    server.set_ecdh_curve("secp384r1")
    about = "TLS 1.3, the server asks for a key share of secp384r1"
    exchange("tls13-hello-retry", about, context(CLIENT, V12, V13), server)


def failures(rsa):
    def refuse(name, about, client, low, high, seen=None):
        exchange(name, about, client, context(SERVER, low, high, certificate=rsa), seen, talk="")

    refuse("tls12-unknown-ca", "TLS 1.2, the client refuses the certificate", strict(V12), V12, V12, rsa)
    about = "TLS 1.3, the client refuses the certificate; OpenSSL says so in clear"
    refuse("tls13-unknown-ca", about, strict(V13), V13, V13)
    about = "the client offers TLS 1.1, the server wants 1.2"
    refuse("protocol-version", about, context(CLIENT, V11, V11), V12, V13)
    ecdsa_only = context(CLIENT, V12, V12, "ECDHE-ECDSA-AES128-GCM-SHA256")
    refuse("handshake-failure", "no cipher suite in common", ecdsa_only, V12, V12)


def sslv2_hello(rsa):
    """OpenSSL no longer sends SSLv2's hello (RFC 5246 appendix E.2), but it answers one that asks for TLS."""
    suites = bytes.fromhex("00002f 000035 00000a 00009c 010080 0700c0")
    body = bytes([1, 3, 3]) + len(suites).to_bytes(2, "big") + bytes([0, 0, 0, 16]) + suites + bytes(range(16))
    hello = (0x8000 | len(body)).to_bytes(2, "big") + body
    receive, send = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = context(SERVER, V10, V12, certificate=rsa).wrap_bio(receive, send, server_side=True)
    receive.write(hello)
    try:
        server.do_handshake()
    except ssl.SSLWantReadError:
        pass
    about = "a hello in SSLv2's form that asks for TLS 1.2, and OpenSSL's answer"
    write("sslv2-hello", about, [("C", hello), ("S", send.read())], rsa)


def main():
    with tempfile.TemporaryDirectory() as folder:
        maker = Maker(folder)
        bits, curve = ["-algorithm", "RSA", "-pkeyopt"], ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]
        now = ("20260101000000Z", "20360101000000Z")
        past = ("20180301120000Z", "20200301120000Z")
        maker.certificate("rsa", [*bits, "rsa_keygen_bits:2048"], "/C=DE/O=Example Mail/CN=mail.example", now, SANS)
        maker.certificate("ecdsa", curve, "/CN=mail.example", now, "subjectAltName=DNS:mail.example")
        maker.certificate("issuer", [*bits, "rsa_keygen_bits:1024"], "/O=Example Mail/CN=Example Issuing CA", past)
        maker.certificate("old", [*bits, "rsa_keygen_bits:1024"], "/CN=old.example", past, digest="sha1", issuer="issuer")
        rsa, ecdsa, old = maker.chain("rsa"), maker.chain("ecdsa"), maker.chain("old", "issuer")
        older_handshakes(rsa, ecdsa, old)
        newer_handshakes(rsa, ecdsa)
        failures(rsa)
        sslv2_hello(rsa)


if __name__ == "__main__":
    main()
