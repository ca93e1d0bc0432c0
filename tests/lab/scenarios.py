"""What happens in the laboratory: who connects where with which program, and what is known of it beforehand.

A scenario names what its clients were told to do (mechanism, user) and what should become of it. The outcome in the
truth is the one the server logged; where that differs from what was meant, the scenario is broken, not barewire.
"""

import base64
import dataclasses
import hashlib
import hmac
import json
import pathlib
import shlex
import time

HERE = pathlib.Path(__file__).parent
PASSWORD_OF = dict(row.split("\t") for row in (HERE / "users.tsv").read_text().splitlines())
WRONG = "last-years-word"


@dataclasses.dataclass
class Step:
    """A command of a client."""

    command: list
    stdin: str = ""
    room: str = "clients"
    namespace: str = ""

    def __str__(self):
        return shlex.join(self.command) + (f" <<<'{self.stdin}'" if self.stdin else "")


@dataclasses.dataclass
class Login:
    """A login as it was meant."""

    mechanism: str
    user: str = "alice"
    outcome: str = "accepted"
    tls: bool = False
    # Servers don't log all that they refuse.
    is_logged: bool = True
    # What can be known from the wire, where that is less than the server knows.
    seen: str = ""
    seen_mechanism: str = ""
    seen_user: str = ""
    # What barewire is known to get wrong of it.
    bug: str = ""


@dataclasses.dataclass
class Session:
    """A connection, in the words of barewire's session record."""

    protocol: str
    offer: str
    requested: str = "no"
    reply: str = "none"
    tls: str = "no"
    version: str = "-"
    implicit: str = "no"

    def __iter__(self):
        return iter(dataclasses.astuple(self))


@dataclasses.dataclass
class Scenario:
    name: str
    software: str
    protocol: str
    address: str
    steps: list
    logins: list
    sessions: list
    ci: bool = False
    rooms: list = None
    truth_rooms: list = None
    addresses: list = None
    views: list = None
    # Refusals in the log that no login is meant by.
    refusals: int = 0
    # The recording is of the plain leg behind a TLS end: the log's TLS versions are not of its sessions.
    plain_leg: bool = False
    # The server doesn't log the TLS version of a connection without a login.
    versions_known: bool = True
    # The log names another user than the wire.
    users_known: bool = True

    def __post_init__(self):
        self.rooms = self.rooms or [self.software]
        self.truth_rooms = self.truth_rooms or self.rooms[:1]
        self.addresses = self.addresses or [self.address]
        hosts = " or ".join(f"host {address}" for address in self.addresses)
        # namespace, interface, suffix of the file, filter
        self.views = self.views or [("server", "lan0", "", f"tcp and ({hosts})")]


ALL = []


def scenario(name, address, steps, logins, sessions, **more):
    """NAME is SOFTWARE-PROTOCOL-WHAT."""
    software, protocol = name.split("-")[:2]
    protocol = {"sieve": "managesieve", "submission": "smtp"}.get(protocol, protocol)
    listed = [item if isinstance(item, list) else [item] for item in (steps, logins, sessions)]
    ALL.append(Scenario(name, software, protocol, address, *listed, **more))


# --- clients ------------------------------------------------------------------------------------


def password(user, wrong=False):
    return WRONG if wrong else PASSWORD_OF.get(user, "-")


def curl(url, *arguments, user="alice", wrong=False, **more):
    command = ["curl", "-sS", "--insecure", "--crlf", "--max-time", "15"]
    return Step([*command, "--user", f"{user}:{password(user, wrong)}", url, *arguments], **more)


def curl_send(url, *arguments, user="alice", **more):
    letter = ["--mail-from", f"{user}@lab.example", "--mail-rcpt", "bob@lab.example"]
    return curl(f"{url}/client.lab.example", *letter, "--upload-file", "/lab/src/letter.eml", *arguments, user=user, **more)


def python(kind, host, *words, user="alice", wrong=False, secret=None, **more):
    secret = password(user, wrong) if secret is None else secret
    return Step(["/usr/bin/python3", "/lab/src/clients.py", kind, host, user, secret, *words], **more)


def chat(host, port, *words):
    return Step(["/usr/bin/python3", "/lab/src/clients.py", "chat", host, str(port), *words])


def shell(script, **more):
    """In a home of its own."""
    return Step(["bash", "-c", f"umask 077; HOME=$(mktemp -d); export HOME; cd; {script}"], **more)


def fetchmail(host, protocol, *options, user="alice", wrong=False, **more):
    """Delivers to nobody: what counts is the login."""
    server = [option for option in options if option.startswith("auth ")]
    options = [option for option in options if option not in server]
    lines = f"poll {host} protocol {protocol} no dns timeout 10 {' '.join(server)}\n"
    lines += f'user "{user}" password "{password(user, wrong)}" {" ".join(options)} mda "/bin/true" fetchall keep\n'
    return shell(f"cat >.fetchmailrc; fetchmail -v -v --nosyslog --pidfile fm.pid -f .fetchmailrc", stdin=lines, **more)


def mpop(host, auth, *options, user="alice", wrong=False, **more):
    lines = f"account lab\nhost {host}\nuser {user}\npassword {password(user, wrong)}\nauth {auth}\n"
    lines += "delivery mbox /dev/null\nkeep on\nuidls_file ~/.mpop_uidls\n" + "".join(f"{o}\n" for o in options)
    return shell("cat >.mpoprc; mpop -d -C .mpoprc lab", stdin=lines, **more)


def msmtp(host, auth, *options, user="alice", wrong=False, port=587, **more):
    lines = f"account lab\nhost {host}\nport {port}\nfrom {user}@lab.example\ndomain client.lab.example\n"
    if auth:
        lines += f"auth {auth}\nuser {user}\npassword {password(user, wrong)}\n"
    lines += "".join(f"{o}\n" for o in options)
    return shell("cat >.msmtprc; msmtp -d -C .msmtprc -a lab bob@lab.example </lab/src/letter.eml", stdin=lines, **more)


def swaks(host, *options, auth=None, user="alice", wrong=False, port=587, **more):
    command = ["swaks", "--server", host, "--port", str(port), "--ehlo", "client.lab.example"]
    command += ["--from", f"{user}@lab.example", "--to", "bob@lab.example", "--data", "/lab/src/letter.eml"]
    if auth:
        command += ["--auth", auth, "--auth-user", user, "--auth-password", password(user, wrong)]
    return Step([*command, *options], **more)


def mbsync(host, mechs, *options, user="alice", wrong=False, **more):
    lines = f"IMAPAccount lab\nHost {host}\nUser {user}\nPass \"{password(user, wrong)}\"\nAuthMechs {mechs}\n"
    lines += "".join(f"{o}\n" for o in options)
    lines += "\nIMAPStore far\nAccount lab\n\nMaildirStore near\nPath ~/near/\nInbox ~/near/inbox\n"
    lines += "\nChannel lab\nFar :far:INBOX\nNear :near:inbox\nCreate Near\nSync Pull\nSyncState *\n"
    return shell("mkdir near; cat >.mbsyncrc; mbsync -D -c .mbsyncrc lab", stdin=lines, **more)


def mutt_send(url, *settings, user="alice", wrong=False, **more):
    rc = f'set smtp_url="{url}"\nset smtp_pass="{password(user, wrong)}"\nset from="{user}@lab.example"\n'
    rc += "set copy=no\nset hostname=client.lab.example\n" + "".join(f"set {s}\n" for s in settings)
    return shell("cat >.muttrc; mutt -F .muttrc -s hello bob@lab.example <.muttrc", stdin=rc, **more)


def mutt_read(url, *settings, user="alice", wrong=False, **more):
    """Mutt wants a terminal: script gives it one."""
    rc = f'set imap_pass="{password(user, wrong)}"\nset pop_pass="{password(user, wrong)}"\nset header_cache=\n'
    rc += 'push "<exit><exit><quit>y"\nset quit=yes\n' + "".join(f"set {s}\n" for s in settings)
    return shell(f"cat >.muttrc; TERM=vt100 timeout 6 script -qec 'mutt -F .muttrc -f {url}' /dev/null </dev/null", stdin=rc, **more)


def bearer(user, key="lab-bearer-key"):
    """A signed token that Dovecot can check by itself."""

    def b64(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=")

    now = int(time.time())
    claims = {"sub": user, "iat": now - 60, "nbf": now - 60, "exp": now + 3600}
    parts = [b64(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims)]
    signed = b".".join(parts)
    return (signed + b"." + b64(hmac.digest(key.encode(), signed, hashlib.sha256))).decode()


# --- sessions -----------------------------------------------------------------------------------


def clear(protocol, offer="unknown"):
    return Session(protocol, offer)


def upgraded(protocol, version="1.3", offer="offered"):
    return Session(protocol, offer, "yes", "accepted", "yes", version)


def refused(protocol, offer="offered"):
    return Session(protocol, offer, "yes", "refused")


def implicit(protocol, version="1.3"):
    return Session(protocol, "unknown", tls="yes", version=version, implicit="yes")


def tls(mechanism, user="alice", outcome="accepted", **more):
    return Login(mechanism, user, outcome, tls=True, **more)


BOTH = ((False, "accepted", ""), (True, "rejected", "-wrong"))


def each(mechanisms, in_ci=()):
    """Every mechanism with the right password and with a wrong one."""
    for mechanism in mechanisms:
        for wrong, outcome, ending in BOTH:
            yield mechanism, wrong, outcome, f"{mechanism.lower()}{ending}", mechanism in in_ci


# --- Dovecot ------------------------------------------------------------------------------------

DOVECOT, DOVECOT_BARE, DOVECOT_STRICT = "10.78.0.10", "10.78.0.11", "10.78.0.12"

for mech, wrong, outcome, ending, ci in each(("PLAIN", "LOGIN", "CRAM-MD5"), ("PLAIN", "CRAM-MD5")):
    auth = ("--login-options", f"AUTH={mech}")
    scenario(f"dovecot-imap-curl-{ending}", DOVECOT, curl(f"imap://{DOVECOT}/INBOX;UID=1", *auth, wrong=wrong),
             Login(mech, outcome=outcome), clear("imap", "offered"), ci=ci)
    scenario(f"dovecot-pop3-curl-{ending}", DOVECOT, curl(f"pop3://{DOVECOT}/1", *auth, wrong=wrong),
             Login(mech, outcome=outcome), clear("pop3", "offered"), ci=ci and not wrong)
    scenario(f"dovecot-submission-curl-{ending}", DOVECOT, curl_send(f"smtp://{DOVECOT}:587", *auth, wrong=wrong),
             Login(mech, outcome=outcome), clear("smtp", "offered"))
for mech, wrong, outcome, ending, ci in each(("DIGEST-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256"), ("SCRAM-SHA-256",)):
    scenario(f"dovecot-imap-python-{ending}", DOVECOT, python("imap", DOVECOT, f"mech={mech}", wrong=wrong),
             Login(mech, outcome=outcome), clear("imap", "offered"), ci=ci)
    scenario(f"dovecot-pop3-python-{ending}", DOVECOT, python("pop3", DOVECOT, f"mech={mech}", wrong=wrong),
             Login(mech, outcome=outcome), clear("pop3"))
    scenario(f"dovecot-sieve-python-{ending}", DOVECOT, python("sieve", DOVECOT, f"mech={mech}", wrong=wrong),
             Login(mech, outcome=outcome), clear("managesieve", "offered"))
for mech in ("XOAUTH2", "OAUTHBEARER"):
    for key, outcome, ending in (("lab-bearer-key", "accepted", ""), ("stolen-key", "rejected", "-wrong")):
        scenario(f"dovecot-imap-python-{mech.lower()}{ending}", DOVECOT,
                 python("imap", DOVECOT, f"mech={mech}", secret=bearer("alice", key)),
                 Login(mech, outcome=outcome), clear("imap", "offered"), ci=mech == "XOAUTH2")
scenario("dovecot-imap-python-anonymous", DOVECOT, python("imap", DOVECOT, "mech=ANONYMOUS", user="trace"),
         Login("ANONYMOUS", "dave", seen_user="-"), clear("imap", "offered"))
for wrong, outcome, ending in BOTH:
    scenario(f"dovecot-imap-imaplib-login{ending}", DOVECOT, python("imap", DOVECOT, "fetch", user="carol", wrong=wrong),
             Login("IMAP-LOGIN", "carol", outcome), clear("imap", "offered"), ci=True)
    scenario(f"dovecot-pop3-poplib-user{ending}", DOVECOT, python("pop3", DOVECOT, "fetch", user="carol", wrong=wrong),
             Login("USER-PASS", "carol", outcome), clear("pop3"), ci=True)
    scenario(f"dovecot-pop3-apop{ending}", DOVECOT, python("pop3", DOVECOT, "mech=APOP", "fetch", wrong=wrong),
             Login("APOP", outcome=outcome), clear("pop3"), ci=True)
    scenario(f"dovecot-sieve-python-plain{ending}", DOVECOT, python("sieve", DOVECOT, "mech=PLAIN", wrong=wrong),
             Login("PLAIN", outcome=outcome), clear("managesieve", "offered"), ci=True)
scenario("dovecot-imap-retry", DOVECOT, python("imap", DOVECOT, f"again={password('bob')}", user="bob", wrong=True),
         [Login("IMAP-LOGIN", "bob", "rejected"), Login("IMAP-LOGIN", "bob")], clear("imap", "offered"), ci=True)
scenario("dovecot-pop3-retry", DOVECOT, python("pop3", DOVECOT, f"again={password('bob')}", user="bob", wrong=True),
         [Login("USER-PASS", "bob", "rejected"), Login("USER-PASS", "bob")], clear("pop3"))
for action in ("idle", "compress", "append"):
    then = ("compress", "fetch") if action == "compress" else (action,)
    scenario(f"dovecot-imap-{action}", DOVECOT, python("imap", DOVECOT, *then),
             Login("IMAP-LOGIN"), clear("imap", "offered"), ci=True)
word = password("alice")


def B64(text):
    return base64.b64encode(text.encode()).decode()


PLAIN_BLOB = base64.b64encode(f"\0alice\0{word}".encode()).decode()
scenario("dovecot-imap-literal", DOVECOT,
         chat(DOVECOT, 143, "?* OK", ">x1 LOGIN {5}", "?+", f">alice {{{len(word)}}}", "?+", f">{word}", "?x1 OK", ">x2 LOGOUT", "?x2 OK"),
         Login("IMAP-LOGIN"), clear("imap", "offered"), ci=True)
scenario("dovecot-imap-literal-plus", DOVECOT,
         chat(DOVECOT, 143, "?* OK", f">x1 LOGIN {{5+}}\\r\\nalice {{{len(word)}+}}\\r\\n{word}\\r\\nx2 LOGOUT", "?x2 OK"),
         Login("IMAP-LOGIN"), clear("imap", "offered"), ci=True)
scenario("dovecot-pop3-pipelined", DOVECOT,
         chat(DOVECOT, 110, "?+OK", f">USER alice\\r\\nPASS {word}\\r\\nSTAT\\r\\nRETR 1\\r\\nQUIT", "?Logging out"),
         Login("USER-PASS"), clear("pop3"), ci=True)
for version in ("1.0", "1.1", "1.2", "1.3"):
    scenario(f"dovecot-imap-starttls-{version}", DOVECOT, python("imap", DOVECOT, "tls=starttls", f"version={version}"),
             tls("IMAP-LOGIN"), upgraded("imap", version), ci=True)
scenario("dovecot-pop3-stls", DOVECOT, curl(f"pop3://{DOVECOT}/1", "--ssl-reqd", "--login-options", "AUTH=PLAIN"), tls("PLAIN"), upgraded("pop3"), ci=True)
scenario("dovecot-sieve-starttls", DOVECOT, python("sieve", DOVECOT, "tls=starttls", "mech=PLAIN"),
         tls("PLAIN"), upgraded("managesieve"), ci=True)
scenario("dovecot-submission-starttls", DOVECOT, swaks(DOVECOT, "--tls", auth="PLAIN"),
         tls("PLAIN"), upgraded("smtp"))
for version in ("1.0", "1.3"):
    scenario(f"dovecot-imap-implicit-{version}", DOVECOT, python("imap", DOVECOT, "tls=implicit", f"version={version}"),
             tls("IMAP-LOGIN"), implicit("imap", version), ci=version == "1.3")
scenario("dovecot-imap-not-offered", DOVECOT_BARE, python("imap", DOVECOT_BARE), Login("IMAP-LOGIN"),
         clear("imap", "not-offered"), ci=True)
scenario("dovecot-imap-try", DOVECOT_BARE, chat(DOVECOT_BARE, 143, "?* OK", ">a STARTTLS", "?a ", f">b LOGIN alice {word}", "?b OK", ">c LOGOUT", "?c OK"),
         Login("IMAP-LOGIN"), refused("imap", "not-offered"), ci=True)
scenario("dovecot-pop3-try", DOVECOT_BARE, python("pop3", DOVECOT_BARE, "capa=yes"),
         Login("USER-PASS"), clear("pop3", "not-offered"))
scenario("dovecot-pop3-gives-up", DOVECOT_BARE, chat(DOVECOT_BARE, 110, "?+OK", ">STLS", "?-ERR", ">QUIT", "?+OK"),
         [], refused("pop3", "unknown"))
REFUSED = {"outcome": "refused-by-policy"}
# Refused in the words of a wrong password: without a code, the wire can't tell the two apart.
UNTOLD = {**REFUSED, "seen": "rejected"}
# The client obeys: the server refuses the command before the secret is sent.
scenario("dovecot-imap-forbidden-obeyed", DOVECOT_STRICT, python("imap", DOVECOT_STRICT, "mech=PLAIN"), [], clear("imap", "offered"), refusals=1)
scenario("dovecot-pop3-forbidden-obeyed", DOVECOT_STRICT, python("pop3", DOVECOT_STRICT), [], clear("pop3"), refusals=1)
scenario("dovecot-imap-forbidden", DOVECOT_STRICT, python("imap", DOVECOT_STRICT), Login("IMAP-LOGIN", **REFUSED), clear("imap", "offered"), ci=True)
scenario("dovecot-imap-forbidden-plain", DOVECOT_STRICT, chat(DOVECOT_STRICT, 143, "?* OK", f">a AUTHENTICATE PLAIN {PLAIN_BLOB}", "?a NO", ">b LOGOUT", "?b OK"),
         Login("PLAIN", **REFUSED), clear("imap", "offered"), ci=True)
scenario("dovecot-pop3-forbidden", DOVECOT_STRICT, chat(DOVECOT_STRICT, 110, "?+OK", f">USER alice\\r\\nPASS {word}", "?-ERR", "?-ERR", ">QUIT", "?+OK"),
         Login("USER-PASS", **UNTOLD), clear("pop3"), refusals=1, ci=True)
scenario("dovecot-pop3-forbidden-plain", DOVECOT_STRICT, chat(DOVECOT_STRICT, 110, "?+OK", f">AUTH PLAIN {PLAIN_BLOB}", "?-ERR", ">QUIT", "?+OK"),
         Login("PLAIN", **UNTOLD), clear("pop3"))
scenario("dovecot-sieve-forbidden", DOVECOT_STRICT, python("sieve", DOVECOT_STRICT, "mech=PLAIN"), Login("PLAIN", **UNTOLD), clear("managesieve", "offered"))
scenario("dovecot-submission-forbidden", DOVECOT_STRICT, python("smtp", DOVECOT_STRICT, "mech=PLAIN"), Login("PLAIN", **REFUSED),
         clear("smtp", "offered"))
scenario("dovecot-lmtp-swaks", DOVECOT, swaks(DOVECOT, "--protocol", "LMTP", port=24), [], clear("lmtp", "offered"), ci=True)
# Programs of users.
for proto, options, mech in (("pop3", ("auth password",), "USER-PASS"), ("pop3", ("auth cram-md5",), "CRAM-MD5"), ("apop", (), "APOP"),
                             ("imap", ("auth password",), "IMAP-LOGIN"), ("imap", ("auth cram-md5",), "CRAM-MD5")):
    for wrong, outcome, ending in BOTH:
        real = "pop3" if proto == "apop" else proto
        scenario(f"dovecot-{real}-fetchmail-{mech.lower()}{ending}", DOVECOT,
                 fetchmail(DOVECOT, proto, *options, "sslproto ''", wrong=wrong),
                 Login(mech, outcome=outcome), clear(real, "offered" if real == "imap" or mech == "CRAM-MD5" else "unknown"), ci=mech in ("USER-PASS", "IMAP-LOGIN") and not wrong)
scenario("dovecot-pop3-fetchmail-stls", DOVECOT, fetchmail(DOVECOT, "pop3", "auth password", "no sslcertck"), tls("USER-PASS"), upgraded("pop3"))
scenario("dovecot-imap-fetchmail-starttls", DOVECOT, fetchmail(DOVECOT, "imap", "auth password", "no sslcertck"), tls("IMAP-LOGIN"), upgraded("imap"))
scenario("dovecot-pop3-fetchmail-bare", DOVECOT_BARE, fetchmail(DOVECOT_BARE, "pop3", "auth password", "no sslcertck"),
         Login("USER-PASS"), clear("pop3", "not-offered"))
for mech in ("user", "plain", "login", "cram-md5", "scram-sha-1", "scram-sha-256"):
    for wrong, outcome, ending in BOTH:
        name = "USER-PASS" if mech == "user" else mech.upper()
        scenario(f"dovecot-pop3-mpop-{mech}{ending}", DOVECOT, mpop(DOVECOT, mech, "tls off", wrong=wrong),
                 Login(name, outcome=outcome), clear("pop3", "offered"))
scenario("dovecot-pop3-mpop-stls", DOVECOT, mpop(DOVECOT, "plain", "tls on", "tls_starttls on", "tls_certcheck off"),
         tls("PLAIN"), upgraded("pop3"))
for mech in ("LOGIN", "PLAIN", "CRAM-MD5", "DIGEST-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256"):
    for wrong, outcome, ending in BOTH:
        name = "IMAP-LOGIN" if mech == "LOGIN" else mech
        scenario(f"dovecot-imap-mbsync-{mech.lower()}{ending}", DOVECOT, mbsync(DOVECOT, mech, "SSLType None", wrong=wrong),
                 Login(name, outcome=outcome), clear("imap", "offered"))
scenario("dovecot-imap-mbsync-starttls", DOVECOT, mbsync(DOVECOT, "PLAIN", "SSLType STARTTLS", "CertificateFile /lab/tls/cert.pem"),
         tls("PLAIN"), upgraded("imap"))
for mech in ("plain", "login", "cram-md5", "scram-sha-1", "scram-sha-256"):
    scenario(f"dovecot-submission-msmtp-{mech}", DOVECOT, msmtp(DOVECOT, mech, "tls off"),
             Login(mech.upper()), clear("smtp", "offered"))
for mech in ("PLAIN", "LOGIN", "CRAM-MD5", "DIGEST-MD5"):
    for wrong, outcome, ending in BOTH:
        scenario(f"dovecot-submission-swaks-{mech.lower()}{ending}", DOVECOT, swaks(DOVECOT, auth=mech, wrong=wrong),
                 Login(mech, outcome=outcome), clear("smtp", "offered"))
scenario("dovecot-submission-mutt", DOVECOT, mutt_send(f"smtp://alice@{DOVECOT}:587/", "ssl_starttls=no", "ssl_force_tls=no", "smtp_authenticators=plain"),
         Login("PLAIN"), clear("smtp", "offered"))
scenario("dovecot-imap-mutt", DOVECOT, mutt_read(f"imap://alice@{DOVECOT}/INBOX", "ssl_starttls=no", "ssl_force_tls=no", "imap_authenticators=login"),
         Login("LOGIN"), clear("imap", "offered"))

# --- Courier ------------------------------------------------------------------------------------

COURIER, COURIER_BARE, COURIER_BROKEN, COURIER_STRICT = (f"10.78.0.{n}" for n in (20, 21, 22, 23))
CERT_MISSING = Session("imap", "offered", "yes", "accepted"), Session("pop3", "offered", "yes", "accepted")

for wrong, outcome, ending in BOTH:
    scenario(f"courier-pop3-poplib-user{ending}", COURIER, python("pop3", COURIER, "fetch", user="carol", wrong=wrong),
             Login("USER-PASS", "carol", outcome), clear("pop3"), ci=not wrong)
    scenario(f"courier-imap-imaplib-login{ending}", COURIER, python("imap", COURIER, "fetch", user="carol", wrong=wrong),
             Login("IMAP-LOGIN", "carol", outcome), clear("imap", "offered"), ci=not wrong)
    for mech in ("PLAIN", "LOGIN", "CRAM-MD5", "CRAM-SHA1"):
        scenario(f"courier-pop3-python-{mech.lower()}{ending}", COURIER, python("pop3", COURIER, f"mech={mech}", "capa=yes", wrong=wrong),
                 Login(mech, outcome=outcome), clear("pop3", "offered"), ci=mech == "CRAM-MD5")
        if mech != "LOGIN":
            scenario(f"courier-imap-python-{mech.lower()}{ending}", COURIER, python("imap", COURIER, f"mech={mech}", wrong=wrong),
                     Login(mech, outcome=outcome), clear("imap", "offered"), ci=mech == "PLAIN" and not wrong)
    scenario(f"courier-imap-curl{ending}", COURIER, curl(f"imap://{COURIER}/INBOX;UID=1", "--login-options", "AUTH=PLAIN", wrong=wrong),
             Login("PLAIN", outcome=outcome), clear("imap", "offered"))
scenario("courier-pop3-stls", COURIER, curl(f"pop3://{COURIER}/1", "--ssl-reqd", "--tls-max", "1.2", "--login-options", "AUTH=PLAIN"),
         tls("PLAIN"), upgraded("pop3", "1.2"), ci=True)
scenario("courier-imap-starttls", COURIER, python("imap", COURIER, "tls=starttls"), tls("IMAP-LOGIN"), upgraded("imap"), ci=True)
scenario("courier-imap-not-offered", COURIER_BARE, python("imap", COURIER_BARE), Login("IMAP-LOGIN"), clear("imap", "not-offered"), ci=True)
scenario("courier-pop3-not-offered", COURIER_BARE, mpop(COURIER_BARE, "user", "tls off"), Login("USER-PASS"), clear("pop3", "not-offered"))
scenario("courier-imap-no-certificate", COURIER_BROKEN, python("imap", COURIER_BROKEN, "tls=quit"), [], CERT_MISSING[0])
scenario("courier-pop3-no-certificate", COURIER_BROKEN, python("pop3", COURIER_BROKEN, "tls=quit", "capa=yes"), [], CERT_MISSING[1])
scenario("courier-imap-forbidden", COURIER_STRICT, python("imap", COURIER_STRICT),
         Login("IMAP-LOGIN", **UNTOLD, is_logged=False), clear("imap", "offered"))
scenario("courier-pop3-forbidden-obeyed", COURIER_STRICT, python("pop3", COURIER_STRICT, "capa=yes"), [], clear("pop3", "offered"))
scenario("courier-pop3-forbidden", COURIER_STRICT, chat(COURIER_STRICT, 110, "?+OK", f">USER alice\\r\\nPASS {word}", "?-ERR", "?-ERR", ">QUIT", "?+OK"),
         Login("USER-PASS", **UNTOLD, is_logged=False), clear("pop3"))
scenario("courier-pop3-fetchmail", COURIER, fetchmail(COURIER, "pop3", "auth password", "sslproto ''"), Login("USER-PASS"), clear("pop3"))
scenario("courier-imap-fetchmail-starttls", COURIER, fetchmail(COURIER, "imap", "no sslcertck"), tls("CRAM-MD5"), upgraded("imap"))
scenario("courier-imap-idle", COURIER, python("imap", COURIER, "idle"), Login("IMAP-LOGIN"), clear("imap", "offered"))

# --- Cyrus --------------------------------------------------------------------------------------

CYRUS, CYRUS_BARE, CYRUS_STRICT = (f"10.78.0.{n}" for n in (30, 31, 32))

for wrong, outcome, ending in BOTH:
    scenario(f"cyrus-imap-imaplib-login{ending}", CYRUS, python("imap", CYRUS, user="carol", wrong=wrong),
             Login("IMAP-LOGIN", "carol", outcome), clear("imap", "offered"), ci=True)
    scenario(f"cyrus-pop3-poplib-user{ending}", CYRUS, python("pop3", CYRUS, user="carol", wrong=wrong),
             Login("USER-PASS", "carol", outcome), clear("pop3"), ci=not wrong)
    scenario(f"cyrus-pop3-apop{ending}", CYRUS, python("pop3", CYRUS, "mech=APOP", wrong=wrong),
             Login("APOP", outcome=outcome), clear("pop3"), ci=not wrong)
    scenario(f"cyrus-nntp-user{ending}", CYRUS, python("nntp", CYRUS, "capa=yes", wrong=wrong),
             Login("AUTHINFO", outcome=outcome), clear("nntp", "offered"), ci=not wrong)
    scenario(f"cyrus-nntp-plain{ending}", CYRUS, python("nntp", CYRUS, "capa=yes", "mech=PLAIN", wrong=wrong),
             Login("PLAIN", outcome=outcome), clear("nntp", "offered"))
    for mech in ("PLAIN", "LOGIN", "CRAM-MD5", "DIGEST-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256"):
        low = mech.lower()
        scenario(f"cyrus-imap-python-{low}{ending}", CYRUS, python("imap", CYRUS, f"mech={mech}", wrong=wrong),
                 Login(mech, outcome=outcome), clear("imap", "offered"), ci=mech in ("DIGEST-MD5", "SCRAM-SHA-1") and not wrong)
        scenario(f"cyrus-sieve-python-{low}{ending}", CYRUS, python("sieve", CYRUS, f"mech={mech}", wrong=wrong),
                 Login(mech, outcome=outcome), clear("managesieve", "offered"))
        scenario(f"cyrus-pop3-python-{low}{ending}", CYRUS, python("pop3", CYRUS, f"mech={mech}", wrong=wrong),
                 Login(mech, outcome=outcome), clear("pop3"))
    for proto, path in (("imap", "INBOX"), ("pop3", "")):
        scenario(f"cyrus-{proto}-curl-ntlm{ending}", CYRUS, curl(f"{proto}://{CYRUS}/{path}", "--login-options", "AUTH=NTLM", wrong=wrong),
                 Login("NTLM", outcome=outcome), clear(proto, "offered"), ci=proto == "imap")
        scenario(f"cyrus-{proto}-curl-digest{ending}", CYRUS, curl(f"{proto}://{CYRUS}/{path}", "--login-options", "AUTH=DIGEST-MD5", wrong=wrong),
                 Login("DIGEST-MD5", outcome=outcome), clear(proto, "offered"))
scenario("cyrus-imap-starttls", CYRUS, python("imap", CYRUS, "tls=starttls"), tls("IMAP-LOGIN"), upgraded("imap"), ci=True)
scenario("cyrus-imap-starttls-1.0", CYRUS, python("imap", CYRUS, "tls=starttls", "version=1.0"), tls("IMAP-LOGIN"), upgraded("imap", "1.0"))
scenario("cyrus-imap-implicit", CYRUS, python("imap", CYRUS, "tls=implicit", "version=1.2"), tls("IMAP-LOGIN"), implicit("imap", "1.2"))
scenario("cyrus-pop3-stls", CYRUS, python("pop3", CYRUS, "tls=starttls", "capa=yes"), tls("USER-PASS"), upgraded("pop3"), ci=True)
scenario("cyrus-sieve-starttls", CYRUS, python("sieve", CYRUS, "tls=starttls", "mech=PLAIN"), tls("PLAIN"), upgraded("managesieve"))
scenario("cyrus-nntp-starttls", CYRUS, python("nntp", CYRUS, "tls=starttls", "capa=yes"), tls("AUTHINFO"), upgraded("nntp"))
scenario("cyrus-imap-not-offered", CYRUS_BARE, python("imap", CYRUS_BARE), Login("IMAP-LOGIN"), clear("imap", "not-offered"), ci=True)
scenario("cyrus-imap-starttls-bare", CYRUS_BARE, chat(CYRUS_BARE, 143, "?* OK", ">a STARTTLS", "?a ", f">b LOGIN alice {word}", "?b OK", ">c LOGOUT", "?c OK"),
         Login("IMAP-LOGIN"), refused("imap", "not-offered"))
scenario("cyrus-imap-forbidden", CYRUS_STRICT, python("imap", CYRUS_STRICT),
         Login("IMAP-LOGIN", **UNTOLD, is_logged=False), clear("imap", "offered"))
scenario("cyrus-pop3-forbidden-obeyed", CYRUS_STRICT, python("pop3", CYRUS_STRICT, "capa=yes"), [], clear("pop3", "offered"))
scenario("cyrus-pop3-forbidden", CYRUS_STRICT, chat(CYRUS_STRICT, 110, "?+OK", f">USER alice\\r\\nPASS {word}", "?-ERR", "?-ERR", ">QUIT", "?+OK"),
         Login("USER-PASS", **UNTOLD, is_logged=False), clear("pop3"))
scenario("cyrus-imap-idle", CYRUS, python("imap", CYRUS, "idle"), Login("IMAP-LOGIN"), clear("imap", "offered"))
scenario("cyrus-imap-append", CYRUS, python("imap", CYRUS, "append", "fetch"), Login("IMAP-LOGIN"), clear("imap", "offered"), ci=True)
scenario("cyrus-imap-compress", CYRUS, python("imap", CYRUS, "compress", "fetch"), Login("IMAP-LOGIN"), clear("imap", "offered"))
scenario("cyrus-lmtp-swaks", CYRUS, swaks(CYRUS, "--protocol", "LMTP", port=24), [], clear("lmtp", "not-offered"))
scenario("cyrus-imap-mbsync", CYRUS, mbsync(CYRUS, "*", "SSLType None"), Login("SCRAM-SHA-256"), clear("imap", "offered"))
scenario("cyrus-imap-fetchmail", CYRUS, fetchmail(CYRUS, "imap", "auth password", "sslproto ''"), Login("IMAP-LOGIN"), clear("imap", "offered"))

# --- Mailutils ----------------------------------------------------------------------------------

MAILUTILS, MAILUTILS_BARE, MAILUTILS_STRICT = (f"10.78.0.{n}" for n in (40, 41, 42))

for wrong, outcome, ending in BOTH:
    scenario(f"mailutils-pop3-poplib-user{ending}", MAILUTILS, python("pop3", MAILUTILS, "fetch", user="carol", wrong=wrong),
             Login("USER-PASS", "carol", outcome), clear("pop3"))
    scenario(f"mailutils-pop3-apop{ending}", MAILUTILS, python("pop3", MAILUTILS, "mech=APOP", "capa=yes", wrong=wrong),
             Login("APOP", outcome=outcome), clear("pop3", "offered"))
    scenario(f"mailutils-imap-imaplib-login{ending}", MAILUTILS, python("imap", MAILUTILS, "fetch", user="carol", wrong=wrong),
             Login("IMAP-LOGIN", "carol", outcome), clear("imap", "offered"))
    for mech in ("CRAM-MD5", "DIGEST-MD5", "SCRAM-SHA-1", "PLAIN"):
        scenario(f"mailutils-imap-python-{mech.lower()}{ending}", MAILUTILS, python("imap", MAILUTILS, f"mech={mech}", wrong=wrong),
                 Login(mech, outcome=outcome), clear("imap", "offered"))
scenario("mailutils-pop3-stls", MAILUTILS, python("pop3", MAILUTILS, "tls=starttls", "capa=yes"), tls("USER-PASS"), upgraded("pop3"))
scenario("mailutils-imap-starttls", MAILUTILS, python("imap", MAILUTILS, "tls=starttls"), tls("IMAP-LOGIN"), upgraded("imap"))
scenario("mailutils-imap-not-offered", MAILUTILS_BARE, python("imap", MAILUTILS_BARE), Login("IMAP-LOGIN"), clear("imap", "not-offered"))
scenario("mailutils-pop3-not-offered", MAILUTILS_BARE, python("pop3", MAILUTILS_BARE, "capa=yes"), Login("USER-PASS"), clear("pop3", "not-offered"))
scenario("mailutils-imap-forbidden", MAILUTILS_STRICT, python("imap", MAILUTILS_STRICT),
         Login("IMAP-LOGIN", **UNTOLD, is_logged=False), clear("imap", "offered"))
scenario("mailutils-pop3-forbidden-obeyed", MAILUTILS_STRICT, python("pop3", MAILUTILS_STRICT, "capa=yes"), [], clear("pop3", "offered"))
scenario("mailutils-pop3-forbidden", MAILUTILS_STRICT, chat(MAILUTILS_STRICT, 110, "?+OK", f">USER alice\\r\\nPASS {word}", "?-ERR", "?-ERR", ">QUIT", "?+OK"),
         Login("USER-PASS", **UNTOLD, is_logged=False), clear("pop3"))

# --- SMTP servers -------------------------------------------------------------------------------


def submission(software, host, mechanisms, in_ci=()):
    """What all of them share."""
    for wrong, outcome, ending in BOTH:
        for mech in mechanisms:
            scenario(f"{software}-smtp-python-{mech.lower()}{ending}", host, python("smtp", host, f"mech={mech}", "send", wrong=wrong),
                     Login(mech, outcome=outcome), clear("smtp", "offered"), ci=mech in in_ci)
        for mech in ("PLAIN", "LOGIN", "CRAM-MD5", *(["NTLM"] if "NTLM" in NTLM_OF[software] else [])):
            scenario(f"{software}-smtp-curl-{mech.lower()}{ending}", host, curl_send(f"smtp://{host}:587", "--login-options", f"AUTH={mech}", wrong=wrong),
                     Login(mech, outcome=outcome), clear("smtp", "offered"), ci=mech == "NTLM" and software == "postfix")
    scenario(f"{software}-smtp-starttls", host, python("smtp", host, "mech=PLAIN", "tls=starttls", "send"), tls("PLAIN"), upgraded("smtp"), ci=bool(in_ci))
    scenario(f"{software}-smtp-starttls-1.0", host, python("smtp", host, "mech=PLAIN", "tls=starttls", "version=1.0", "send"),
             tls("PLAIN"), upgraded("smtp", "1.0"))
    scenario(f"{software}-smtp-starttls-1.2", host, curl_send(f"smtp://{host}:587", "--ssl-reqd", "--tls-max", "1.2", "--login-options", "AUTH=LOGIN"),
             tls("LOGIN"), upgraded("smtp", "1.2"))
    scenario(f"{software}-smtp-msmtp", host, msmtp(host, "plain", "tls off"), Login("PLAIN"), clear("smtp", "offered"))
    scenario(f"{software}-smtp-msmtp-starttls", host, msmtp(host, "plain", "tls on", "tls_starttls on", "tls_certcheck off"),
             tls("PLAIN"), upgraded("smtp"))
    scenario(f"{software}-smtp-swaks", host, swaks(host, auth="LOGIN"), Login("LOGIN"), clear("smtp", "offered"))
    scenario(f"{software}-smtp-mutt", host, mutt_send(f"smtp://alice@{host}:587/", "ssl_starttls=no", "ssl_force_tls=no", "smtp_authenticators=plain"),
             Login("PLAIN"), clear("smtp", "offered"))
    scenario(f"{software}-smtp-bare-lf", host, python("smtp", host, "mech=PLAIN", "send", "bare"), Login("PLAIN"), clear("smtp", "offered"))
    scenario(f"{software}-smtp-transfer", host, python("smtp", host, "port=25", "send", user="-", secret="-"), [], clear("smtp", "offered"),
             ci=bool(in_ci))


NTLM_OF = {"postfix": ["NTLM"], "exim": ["NTLM"], "sendmail": ["NTLM"]}
POSTFIX, POSTFIX_BARE, POSTFIX_BROKEN, POSTFIX_STRICT = (f"10.78.0.{n}" for n in (50, 51, 52, 53))
submission("postfix", POSTFIX, ("PLAIN", "LOGIN", "CRAM-MD5", "DIGEST-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256"), ("PLAIN", "LOGIN", "SCRAM-SHA-256"))
EXIM, EXIM_BARE, EXIM_BROKEN, EXIM_STRICT = (f"10.78.0.{n}" for n in (60, 61, 62, 63))
submission("exim", EXIM, ("PLAIN", "LOGIN", "CRAM-MD5"), ("PLAIN", "CRAM-MD5"))
SENDMAIL, SENDMAIL_BARE = "10.78.0.70", "10.78.0.71"
submission("sendmail", SENDMAIL, ("PLAIN", "LOGIN", "CRAM-MD5", "DIGEST-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256"))

for software, bare, in_ci in (("postfix", POSTFIX_BARE, True), ("exim", EXIM_BARE, True), ("sendmail", SENDMAIL_BARE, False)):
    scenario(f"{software}-smtp-not-offered", bare, swaks(bare, auth="PLAIN"), Login("PLAIN"), clear("smtp", "not-offered"), ci=in_ci)
    scenario(f"{software}-smtp-try", bare, python("smtp", bare, "mech=PLAIN", "tls=try", "send"), Login("PLAIN"), refused("smtp", "not-offered"))
for software, broken, in_ci in (("postfix", POSTFIX_BROKEN, True), ("exim", EXIM_BROKEN, True)):
    scenario(f"{software}-smtp-refused", broken, swaks(broken, "--tls-optional", auth="PLAIN"), Login("PLAIN"), refused("smtp"), ci=in_ci)
    scenario(f"{software}-smtp-gives-up", broken, msmtp(broken, "plain", "tls on", "tls_starttls on", "tls_certcheck off"), [], refused("smtp"), ci=in_ci)
for software, strict, in_ci in (("postfix", POSTFIX_STRICT, True), ("exim", EXIM_STRICT, True)):
    scenario(f"{software}-smtp-forbidden", strict, python("smtp", strict, "mech=PLAIN"),
             Login("PLAIN", **REFUSED), clear("smtp", "offered"), ci=in_ci)
for software, host in (("postfix", POSTFIX), ("exim", EXIM)):
    scenario(f"{software}-smtp-implicit", host, python("smtp", host, "tls=implicit", "mech=PLAIN", "send"), tls("PLAIN"), implicit("smtp"))

# --- other servers ------------------------------------------------------------------------------

OPENSMTPD, OPENSMTPD_BARE = "10.78.0.80", "10.78.0.81"
# This version can't use its key with OpenSSL 3: each handshake fails on the server's side.
BROKEN_TLS = Session("smtp", "offered", "yes", "accepted", "no", "1.3")
scenario("opensmtpd-smtp-handshake-fails", OPENSMTPD, swaks(OPENSMTPD, "--tls", auth="PLAIN"), [], BROKEN_TLS)
scenario("opensmtpd-smtp-forbidden", OPENSMTPD, python("smtp", OPENSMTPD, "mech=PLAIN"),
         Login("PLAIN", **REFUSED, is_logged=False), clear("smtp", "offered"))
scenario("opensmtpd-smtp-transfer", OPENSMTPD_BARE, python("smtp", OPENSMTPD_BARE, "port=25", "send", user="-", secret="-"),
         [], clear("smtp", "not-offered"))

NGINX, NGINX_STRICT = "10.78.0.90", "10.78.0.91"
for wrong, outcome, ending in BOTH:
    scenario(f"nginx-imap-imaplib-login{ending}", NGINX, python("imap", NGINX, wrong=wrong), Login("IMAP-LOGIN", outcome=outcome), clear("imap", "offered"))
    scenario(f"nginx-pop3-poplib-user{ending}", NGINX, python("pop3", NGINX, "capa=yes", user="carol", wrong=wrong),
             Login("USER-PASS", "carol", outcome), clear("pop3", "offered"))
    scenario(f"nginx-pop3-apop{ending}", NGINX, python("pop3", NGINX, "mech=APOP", wrong=wrong), Login("APOP", outcome=outcome), clear("pop3"))
    for mech in ("PLAIN", "LOGIN", "CRAM-MD5"):
        for kind in ("imap", "smtp"):
            scenario(f"nginx-{kind}-python-{mech.lower()}{ending}", NGINX, python(kind, NGINX, f"mech={mech}", wrong=wrong),
                     Login(mech, outcome=outcome), clear(kind, "offered"))
scenario("nginx-imap-starttls", NGINX, python("imap", NGINX, "tls=starttls", "version=1.2"), tls("IMAP-LOGIN"), upgraded("imap", "1.2"))
scenario("nginx-pop3-stls", NGINX, python("pop3", NGINX, "tls=starttls", "capa=yes"), tls("USER-PASS"), upgraded("pop3"))
scenario("nginx-smtp-starttls", NGINX, swaks(NGINX, "--tls", auth="PLAIN"), tls("PLAIN"), upgraded("smtp"))
# nginx answers BAD.
scenario("nginx-imap-forbidden", NGINX_STRICT, python("imap", NGINX_STRICT), Login("IMAP-LOGIN", **REFUSED, seen="cancelled", is_logged=False), clear("imap", "offered"))
scenario("nginx-pop3-forbidden", NGINX_STRICT, chat(NGINX_STRICT, 110, "?+OK", f">USER alice\\r\\nPASS {word}", "?-ERR", "?-ERR", ">QUIT", "?+OK"),
         Login("USER-PASS", **UNTOLD, is_logged=False), clear("pop3"))

PERDITION = "10.78.0.100"
BEHIND_PERDITION = {"rooms": ["perdition", "dovecot"]}
for wrong, outcome, ending in BOTH:
    scenario(f"perdition-imap-imaplib-login{ending}", PERDITION, python("imap", PERDITION, wrong=wrong),
             Login("IMAP-LOGIN", outcome=outcome), clear("imap", "offered"), **BEHIND_PERDITION)
    scenario(f"perdition-pop3-poplib-user{ending}", PERDITION, python("pop3", PERDITION, "capa=yes", wrong=wrong),
             Login("USER-PASS", outcome=outcome), clear("pop3", "offered"), **BEHIND_PERDITION)
scenario("perdition-imap-starttls", PERDITION, python("imap", PERDITION, "tls=starttls"), tls("IMAP-LOGIN"), upgraded("imap"), **BEHIND_PERDITION)
scenario("perdition-pop3-stls", PERDITION, python("pop3", PERDITION, "tls=starttls", "capa=yes"), tls("USER-PASS"), upgraded("pop3"), **BEHIND_PERDITION)

INN = "10.78.0.110"
for wrong, outcome, ending in BOTH:
    scenario(f"inn-nntp-user{ending}", INN, python("nntp", INN, "capa=yes", wrong=wrong), Login("AUTHINFO", outcome=outcome), clear("nntp", "offered"))
    scenario(f"inn-nntp-plain{ending}", INN, python("nntp", INN, "capa=yes", "mech=PLAIN", wrong=wrong), Login("PLAIN", outcome=outcome), clear("nntp", "offered"))
scenario("inn-nntp-starttls", INN, python("nntp", INN, "capa=yes", "tls=starttls"), tls("AUTHINFO"), upgraded("nntp"))

# --- stunnel in front, NAT between, PREAUTH -----------------------------------------------------

STUNNEL, BEHIND_STUNNEL = "10.78.0.120", "127.0.0.120"
scenario("stunnel-pop3-tls-leg", STUNNEL, curl(f"pop3s://{STUNNEL}/1"), tls("PLAIN"), implicit("pop3"))
scenario("stunnel-pop3-plain-leg", STUNNEL, curl(f"pop3s://{STUNNEL}/1"), Login("PLAIN"), clear("pop3", "not-offered"),
         views=[("server", "lo", "", f"tcp and host {BEHIND_STUNNEL}")], addresses=[STUNNEL, BEHIND_STUNNEL], plain_leg=True)
scenario("stunnel-pop3-plain-leg-user", STUNNEL, python("pop3", STUNNEL, "tls=implicit", user="bob", wrong=True), Login("USER-PASS", "bob", "rejected"),
         clear("pop3"), views=[("server", "lo", "", f"tcp and host {BEHIND_STUNNEL}")], addresses=[STUNNEL, BEHIND_STUNNEL], plain_leg=True)

NAT = {"rooms": ["dovecot", "router"], "views": [
    ("router", "inside0", "-inside", f"tcp and host {DOVECOT}"), ("router", "wan0", "-outside", f"tcp and host {DOVECOT}")]}
scenario("nat-pop3-user", DOVECOT, python("pop3", DOVECOT, "fetch", user="carol", namespace="inside"), Login("USER-PASS", "carol"), clear("pop3"), **NAT)
scenario("nat-imap-both", DOVECOT, [python("imap", DOVECOT, user="bob", wrong=True, namespace="inside"), python("imap", DOVECOT, "tls=starttls", namespace="inside")],
         [Login("IMAP-LOGIN", "bob", "rejected"), tls("IMAP-LOGIN")], [clear("imap", "offered"), upgraded("imap")], **NAT)
scenario("dovecot-imap-preauth", "10.78.0.13", chat("10.78.0.13", 143, "?* PREAUTH", ">a SELECT INBOX", "?a OK", ">b FETCH 1 BODY.PEEK[]", "?b OK", ">c LOGOUT", "?c OK"),
         [], clear("imap", "not-offered"))

# --- between mail servers -----------------------------------------------------------------------


def relay(way, host, tries=1):
    """One letter from Postfix on the client's side, until its queue is empty or all tries have failed."""
    script = f"sendmail -i -f {way}.{host.split('.')[-1]}@elsewhere.example bob@lab.example </lab/src/letter.eml; "
    wait = "for i in $(seq 100); do sleep 0.1; postqueue -j | grep -q '\"queue_name\": \"\\(active\\|incoming\\|maildrop\\)' || break; done; "
    script += wait + (tries - 1) * f"sleep 2; postqueue -f; {wait}" + "postqueue -p; postsuper -d ALL"
    return Step(["bash", "-c", script], room="sender-postfix")


def exim_relay(way, host):
    script = f"exim4 -i -odf -f {way}.{host.split('.')[-1]}@elsewhere.example bob@lab.example </lab/src/letter.eml"
    return Step(["bash", "-c", f"{script}; exim4 -bp"], room="sender-exim")


for software, host, bare, in_ci in (("postfix", POSTFIX, POSTFIX_BARE, False), ("exim", EXIM, EXIM_BARE, True), ("sendmail", SENDMAIL, None, False),
                                    ("opensmtpd", OPENSMTPD, OPENSMTPD_BARE, False)):
    both = {"rooms": [software, "sender-postfix"]}
    scenario(f"{software}-smtp-relay-clear", host, relay("clear", host), [], clear("smtp", "offered"), ci=in_ci, **both)
    if software != "opensmtpd":
        scenario(f"{software}-smtp-relay-starttls", host, relay("may", host), [], upgraded("smtp"), ci=in_ci, **both)
    if bare:
        scenario(f"{software}-smtp-relay-not-offered", bare, relay("may", bare), [], clear("smtp", "not-offered"), **both)
        scenario(f"{software}-smtp-relay-must", bare, relay("must", bare), [], clear("smtp", "not-offered"), **both)
for software, broken in (("postfix", POSTFIX_BROKEN), ("exim", EXIM_BROKEN)):
    scenario(f"{software}-smtp-relay-refused", broken, relay("may", broken), [], [refused("smtp")], rooms=[software, "sender-postfix"])
# Postfix goes on in clear when the handshake fails once more with a letter that has waited.
scenario("opensmtpd-smtp-relay-falls-back", OPENSMTPD, relay("may", OPENSMTPD, tries=2), [], [BROKEN_TLS, BROKEN_TLS, clear("smtp", "offered")],
         rooms=["opensmtpd", "sender-postfix"])

# Mail servers that log in at others.
for mech, way in (("PLAIN", "plain"), ("LOGIN", "login"), ("CRAM-MD5", "cram"), ("DIGEST-MD5", "digest")):
    for software, host in (("postfix", POSTFIX), ("sendmail", SENDMAIL)) if way == "digest" else (("postfix", POSTFIX), ("exim", EXIM), ("sendmail", SENDMAIL)):
        scenario(f"{software}-smtp-smarthost-postfix-{way}", host, relay(way, host), Login(mech), clear("smtp", "offered"), rooms=[software, "sender-postfix"])
        if way != "digest":
            scenario(f"{software}-smtp-smarthost-exim-{way}", host, exim_relay(way, host), Login(mech), clear("smtp", "offered"),
                     rooms=[software, "sender-exim"])
for software, host in (("postfix", POSTFIX), ("exim", EXIM), ("sendmail", SENDMAIL)):
    # Twice: with the second Exim doesn't wait for the greeting where it has learnt to.
    scenario(f"{software}-smtp-relay-exim-clear", host, [exim_relay("clear", host), exim_relay("clear", host)], [],
             [clear("smtp", "offered")] * 2, rooms=[software, "sender-exim"])
    scenario(f"{software}-smtp-relay-exim-starttls", host, exim_relay("may", host), [], upgraded("smtp"), rooms=[software, "sender-exim"])

# --- odd dialogues ------------------------------------------------------------------------------

EHLO = (">EHLO client.lab.example", "?250 ")
for software, host in (("postfix", POSTFIX), ("exim", EXIM), ("sendmail", SENDMAIL)):
    scenario(f"{software}-smtp-injected", host, chat(host, 587, "?220", *EHLO, ">STARTTLS\\r\\nNOOP", "?220", "+TLS", *EHLO, ">QUIT", "?221"),
             [], upgraded("smtp"), versions_known=False)
    scenario(f"{software}-smtp-plain-continued", host, chat(host, 587, "?220", *EHLO, ">AUTH PLAIN", "?334", f">{PLAIN_BLOB}", "?235", ">QUIT", "?221"),
             Login("PLAIN"), clear("smtp", "offered"))
    scenario(f"{software}-smtp-login-initial", host,
             chat(host, 587, "?220", *EHLO, f">AUTH LOGIN {B64('alice')}", "?334", f">{B64(word)}", "?235", ">QUIT", "?221"),
             Login("LOGIN"), clear("smtp", "offered"))
    scenario(f"{software}-smtp-cancelled", host,
             chat(host, 587, "?220", *EHLO, ">AUTH LOGIN", "?334", f">{B64('alice')}", "?334", ">*", "?501", f">AUTH PLAIN {PLAIN_BLOB}", "?235", ">QUIT", "?221"),
             Login("PLAIN"), clear("smtp", "offered"), refusals=1 if software == "postfix" else 0)
    scenario(f"{software}-smtp-helo", host, chat(host, 587, "?220", ">HELO client.lab.example", "?250", ">MAIL FROM:<alice@lab.example>", "?250", ">QUIT", "?221"),
             [], clear("smtp"))
    scenario(f"{software}-smtp-guessing", host,
             chat(host, 587, "?220", *EHLO, *(w for n in range(3) for w in (f">AUTH PLAIN {B64(chr(0) + 'bob' + chr(0) + f'guess{n}')}", "?535")), ">QUIT", "?"),
             [Login("PLAIN", "bob", "rejected")] * 3, clear("smtp", "offered"))
scenario("postfix-smtp-postscreen", "10.78.0.54", python("smtp", "10.78.0.54", "port=25", "send", user="-", secret="-"), [], clear("smtp", "offered"))
scenario("postfix-smtp-proxied", "10.78.0.54",
         chat("10.78.0.54", 587, ">PROXY TCP4 192.0.2.7 10.78.0.54 56324 587", "?220", *EHLO, f">AUTH PLAIN {PLAIN_BLOB}", "?235", ">QUIT", "?221"),
         Login("PLAIN"), clear("smtp", "offered"))
scenario("dovecot-imap-proxied", DOVECOT,
         chat(DOVECOT, 1143, f">PROXY TCP4 192.0.2.7 {DOVECOT} 56324 143", "?* OK", f">a LOGIN alice {word}", "?a OK", ">b LOGOUT", "?b OK"),
         Login("IMAP-LOGIN"), clear("imap", "offered"))
scenario("dovecot-pop3-proxied", DOVECOT,
         chat(DOVECOT, 1110, f">PROXY TCP4 192.0.2.7 {DOVECOT} 56324 110", "?+OK", ">USER alice", "?+OK", f">PASS {word}", "?+OK", ">QUIT", "?+OK"),
         Login("USER-PASS"), clear("pop3"))
V2 = "0d0a0d0a000d0a515549540a" + "2111000c" + "c0000207" + "0a4e000a" + "dc04" + "008f"
scenario("dovecot-imap-proxied-v2", DOVECOT, chat(DOVECOT, 1143, f"={V2}", "?* OK", f">a LOGIN alice {word}", "?a OK", ">b LOGOUT", "?b OK"),
         Login("IMAP-LOGIN"), clear("imap", "offered"))
# Dovecot ends a connection that has more after STARTTLS.
scenario("dovecot-imap-injected", DOVECOT, chat(DOVECOT, 143, "?* OK", ">a STARTTLS\\r\\nb NOOP", "?a OK", "+TLS"), [], Session("imap", "offered", "yes", "accepted"))
scenario("dovecot-imap-literal-refused", DOVECOT, chat(DOVECOT, 143, "?* OK", ">a LOGIN {999999}", "?BYE"), [], clear("imap", "offered"))
scenario("dovecot-imap-pipelined", DOVECOT,
         chat(DOVECOT, 143, "?* OK", f">a LOGIN bob wrong\\r\\nb LOGIN alice {word}\\r\\nc SELECT INBOX\\r\\nd LOGOUT", "?d OK"),
         [Login("IMAP-LOGIN", "bob", "rejected"), Login("IMAP-LOGIN")], clear("imap", "offered"))
scenario("dovecot-imap-cancelled", DOVECOT,
         chat(DOVECOT, 143, "?* OK", ">a AUTHENTICATE PLAIN", "?+", ">*", "?a ", f">b LOGIN alice \"{word}\"", "?b OK", ">c LOGOUT", "?c OK"),
         Login("IMAP-LOGIN"), clear("imap", "offered"))
scenario("dovecot-imap-acting", DOVECOT,
         chat(DOVECOT, 143, "?* OK", f">a AUTHENTICATE PLAIN {B64('bob' + chr(0) + 'alice' + chr(0) + word)}", "?a ", ">c LOGOUT", "?c OK"),
         Login("PLAIN", "alice", "rejected"), clear("imap", "offered"), users_known=False)
scenario("dovecot-pop3-one-word-wrong", DOVECOT,
         chat(DOVECOT, 110, "?+OK", f">PASS {word}", "?-ERR", ">USER alice", "?+OK", f">PASS {word}", "?+OK", ">QUIT", "?+OK"),
         [Login("USER-PASS", "-", "rejected", is_logged=False), Login("USER-PASS")], clear("pop3"))
scenario("dovecot-imap-quoted", DOVECOT,
         chat(DOVECOT, 143, "?* OK", '>a LOGIN "alice" "a \\"b\\\\ c"', "?a NO", ">b LOGOUT", "?b OK"), Login("IMAP-LOGIN", "alice", "rejected"), clear("imap", "offered"))

# --- more programs ------------------------------------------------------------------------------


def more(script, stdin=""):
    step = shell(script, stdin=stdin)
    step.room = "more-clients"
    return step


def also(name, address, step, logins, sessions, **kept):
    scenario(name, address, step, logins, sessions, rooms=[name.split("-")[0], "more-clients"], **kept)


def s_nail(url, auth, *settings):
    names = "".join(f" -S {setting}" for setting in (f"v15-compat=yes", f"smtp-auth={auth}", *settings))
    return more(f"s-nail -n -v -S mta='{url}' -S from=alice@lab.example -S hostname=client.lab.example{names} -s hello bob@lab.example", "hello\n")


for mech in ("plain", "login", "cram-md5"):
    for software, host in (("postfix", POSTFIX), ("exim", EXIM)):
        also(f"{software}-smtp-snail-{mech}", host, s_nail(f"smtp://alice:{word}@{host}:587", mech), Login(mech.upper()), clear("smtp", "offered"))
also("dovecot-imap-snail", DOVECOT, more(f"s-nail -n -S v15-compat=yes -S imap-auth=login -f imap://alice:{word}@{DOVECOT}/INBOX </dev/null"),
     Login("IMAP-LOGIN"), clear("imap", "offered"))
also("dovecot-pop3-snail", DOVECOT, more(f"s-nail -n -S v15-compat=yes -S pop3-no-apop -f pop3://alice:{word}@{DOVECOT} </dev/null"),
     Login("USER-PASS"), clear("pop3"))
GETMAIL = "[retriever]\ntype = {kind}\nserver = {host}\nusername = alice\npassword = {word}\n[destination]\ntype = Mboxrd\npath = ~/box\n[options]\nread_all = true\n"
GET = "mkdir -m 700 g; touch box; cat >g/getmailrc; timeout 8 getmail --getmaildir=$HOME/g"
also("dovecot-pop3-getmail", DOVECOT, more(GET, GETMAIL.format(kind="SimplePOP3Retriever", host=DOVECOT, word=word)), Login("USER-PASS"), clear("pop3"))
also("dovecot-imap-getmail", DOVECOT, more(GET, GETMAIL.format(kind="SimpleIMAPRetriever", host=DOVECOT, word=word)), Login("IMAP-LOGIN"), clear("imap", "offered"))
also("courier-imap-getmail", COURIER, more(GET, GETMAIL.format(kind="SimpleIMAPRetriever", host=COURIER, word=word)), Login("IMAP-LOGIN"), clear("imap", "offered"))
OFFLINEIMAP = ("[general]\naccounts = lab\nui = basic\n[Account lab]\nlocalrepository = near\nremoterepository = far\n[Repository near]\ntype = Maildir\n"
               "localfolders = ~/near\n[Repository far]\ntype = IMAP\nremotehost = {host}\nremoteuser = alice\nremotepass = {word}\nssl = no\nstarttls = {tls}\n"
               "auth_mechanisms = {mechs}\nsslcacertfile = /lab/tls/ca.pem\ncert_fingerprint =\n")
also("dovecot-imap-offlineimap", DOVECOT, more("cat >rc; offlineimap -o -c rc", OFFLINEIMAP.format(host=DOVECOT, word=word, tls="no", mechs="CRAM-MD5")),
     Login("CRAM-MD5"), clear("imap", "offered"))
also("cyrus-imap-offlineimap", CYRUS, more("cat >rc; offlineimap -o -c rc", OFFLINEIMAP.format(host=CYRUS, word=word, tls="no", mechs="PLAIN")),
     Login("PLAIN"), clear("imap", "offered"))
also("dovecot-sieve-sieveconnect", DOVECOT,
     more(f"timeout 6 sieve-connect --nosrv --server {DOVECOT} --port 4190 --user alice --passwordfd 0 --notlsverify --list", word + "\n"),
     tls("DIGEST-MD5"), upgraded("managesieve"))
also("dovecot-imap-neomutt", DOVECOT,
     more(f"cat >rc; TERM=vt100 timeout 6 script -qec 'neomutt -F rc -f imap://alice@{DOVECOT}/INBOX' /dev/null </dev/null",
          f'set imap_pass="{word}"\nset ssl_starttls=no\nset ssl_force_tls=no\nset imap_authenticators=plain\npush "<exit><exit><quit>y"\n'),
     Login("PLAIN"), clear("imap", "offered"))
also("mailutils-pop3-movemail", MAILUTILS, more(f"movemail --preserve 'pop://alice:{word}@{MAILUTILS}' box"), tls("APOP"), upgraded("pop3"))
also("dovecot-imap-frm", DOVECOT, more(f"frm.mailutils 'imap://alice:{word}@{DOVECOT}'"), tls("IMAP-LOGIN"), upgraded("imap"))
also("cyrus-nntp-suck", CYRUS, more(f"touch sucknewsrc; suck {CYRUS} -hl client.lab.example -u -U alice -P {word} -A -bp -dd . -dm . -dt ."), Login("AUTHINFO"), clear("nntp"))

# What they say of themselves.
for software, host in (("dovecot", DOVECOT), ("courier", COURIER), ("cyrus", CYRUS), ("mailutils", MAILUTILS), ("nginx", NGINX), ("perdition", PERDITION)):
    both = BEHIND_PERDITION if software == "perdition" else {}
    scenario(f"{software}-imap-id", host,
             chat(host, 143, "?* OK", ">a CAPABILITY", "?a ", '>b ID ("name" "laboratory" "version" "1")', "?b ", ">c LOGOUT", "?c OK"),
             [], clear("imap", "offered"), **both)
    scenario(f"{software}-pop3-capa", host, chat(host, 110, "?+OK", ">CAPA", "?+OK", "?.", ">QUIT", "?+OK"), [], clear("pop3", "offered"), **both)
