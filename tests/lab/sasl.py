"""The client's side of SASL mechanisms that Python's own mail modules don't have."""

import base64
import hashlib
import hmac
import os


class Plain:
    def __init__(self, user, password):
        self.first = f"\0{user}\0{password}".encode()

    def step(self, challenge):
        return self.first


class Login:
    first = None

    def __init__(self, user, password):
        self.answers = [user.encode(), password.encode()]

    def step(self, challenge):
        return self.answers.pop(0)


class CramMd5:
    first = None

    def __init__(self, user, password):
        self.user, self.key = user, password.encode()

    def step(self, challenge):
        return f"{self.user} {hmac.new(self.key, challenge, self.digest).hexdigest()}".encode()

    digest = "md5"


class CramSha1(CramMd5):
    digest = "sha1"


class DigestMd5:
    """RFC 2831, quality auth only."""

    first = None

    # As registered for SASL: imap, pop, smtp, sieve, nntp.
    service = "imap"

    def __init__(self, user, password):
        self.user, self.password = user, password
        self.is_done = False

    def step(self, challenge):
        if self.is_done:
            return b""
        self.is_done = True
        said = {}
        for part in challenge.decode().split(","):
            name, _, value = part.partition("=")
            said.setdefault(name.strip(), value.strip('"'))
        realm, nonce, cnonce = said.get("realm", ""), said["nonce"], base64.b64encode(os.urandom(12)).decode()

        uri = f"{self.service}/mail.lab.example"

        def md5(data):
            return hashlib.md5(data).digest()

        secret = md5(f"{self.user}:{realm}:{self.password}".encode())
        a1 = hashlib.md5(secret + f":{nonce}:{cnonce}".encode()).hexdigest()
        a2 = hashlib.md5(f"AUTHENTICATE:{uri}".encode()).hexdigest()
        response = hashlib.md5(f"{a1}:{nonce}:00000001:{cnonce}:auth:{a2}".encode()).hexdigest()
        words = [f'username="{self.user}"']
        if realm:
            words.append(f'realm="{realm}"')
        words += [f'nonce="{nonce}"', f'cnonce="{cnonce}"', "nc=00000001", "qop=auth"]
        words += [f'digest-uri="{uri}"', f"response={response}", "charset=utf-8"]
        return ",".join(words).encode()


class Scram:
    """RFC 5802 without channel binding."""

    def __init__(self, user, password):
        self.password = password.encode()
        self.bare = f"n={user},r={base64.b64encode(os.urandom(18)).decode()}"
        self.first = f"n,,{self.bare}".encode()
        self.final = False

    def step(self, challenge):
        if not challenge:
            return self.first
        if self.final:
            return b""
        self.final = True
        said = dict(part.split("=", 1) for part in challenge.decode().split(","))
        salted = hashlib.pbkdf2_hmac(self.name, self.password, base64.b64decode(said["s"]), int(said["i"]))
        client = hmac.new(salted, b"Client Key", self.name).digest()
        without_proof = f"c=biws,r={said['r']}"
        signed = f"{self.bare},{challenge.decode()},{without_proof}".encode()
        signature = hmac.new(hashlib.new(self.name, client).digest(), signed, self.name).digest()
        proof = bytes(a ^ b for a, b in zip(client, signature))
        return f"{without_proof},p={base64.b64encode(proof).decode()}".encode()


class ScramSha1(Scram):
    name = "sha1"


class ScramSha256(Scram):
    name = "sha256"


class Xoauth2:
    def __init__(self, user, token):
        self.first = f"user={user}\x01auth=Bearer {token}\x01\x01".encode()

    def step(self, challenge):
        return b"" if challenge else self.first


class OauthBearer:
    def __init__(self, user, token):
        self.first = f"n,a={user},\x01host=mail.lab.example\x01port=143\x01auth=Bearer {token}\x01\x01".encode()

    def step(self, challenge):
        return b"\x01" if challenge else self.first


class External:
    def __init__(self, user, _):
        self.first = user.encode()

    def step(self, challenge):
        return self.first


class Anonymous(External):
    pass


MECHANISMS = {
    "PLAIN": Plain,
    "LOGIN": Login,
    "CRAM-MD5": CramMd5,
    "CRAM-SHA1": CramSha1,
    "DIGEST-MD5": DigestMd5,
    "SCRAM-SHA-1": ScramSha1,
    "SCRAM-SHA-256": ScramSha256,
    "XOAUTH2": Xoauth2,
    "OAUTHBEARER": OauthBearer,
    "EXTERNAL": External,
    "ANONYMOUS": Anonymous,
}
