"""What the servers themselves logged, as the truth about logins and TLS.

A parser per software reads the lines that a scenario added to the logs of a room. Servers name a mechanism
in their own way (Dovecot logs PLAIN for IMAP LOGIN) and some log no user: the scenario says what its client
was told to do, and must agree with all that the log does say.
"""

import re
from typing import NamedTuple, Optional


class Entry(NamedTuple):
    """One login as logged; None where the log is silent."""

    outcome: str
    user: Optional[str] = None
    method: Optional[str] = None
    tls: Optional[bool] = None


class Logged(NamedTuple):
    logins: list
    versions: list


ACCEPTED, REJECTED, REFUSED = "accepted", "rejected", "refused-by-policy"
PASSWORD = {"USER-PASS", "IMAP-LOGIN", "PLAIN", "LOGIN", "AUTHINFO"}


def lines(files, *names):
    for name, all_lines in files.items():
        if not names or name in names:
            yield from all_lines


def tls_name(text):
    """TLSv1, TLS1.3, TLSv1.3 -> 1.0, 1.3, 1.3"""
    found = re.search(r"(?:TLSv|TLS)(1(?:\.\d)?)", text)
    version = found.group(1)
    return version if "." in version else version + ".0"


def dovecot(files):
    logins, versions = [], []
    waiting = {}
    for line in lines(files, "dovecot.log"):
        if found := re.search(r"client in: AUTH\t(\d+)\t(\S+)\tservice=(\S+)(.*)", line):
            ident, method, _, rest = found.groups()
            waiting[ident] = (method, "\tsecured" in rest)
        elif found := re.search(r"client passdb out: (OK|FAIL)\t(\d+)(?:\tuser=([^\t]*))?(.*)", line):
            verdict, ident, user, rest = found.groups()
            method, tls = waiting.pop(ident, (None, None))
            outcome = ACCEPTED if verdict == "OK" else REJECTED
            logins.append(Entry(outcome, user, method, tls))
        elif re.search(r"-login: Info: (Login|Authenticate \S+) failed: Plaintext authentication disabled", line):
            logins.append(Entry(REFUSED, None, None, False))
        if found := re.search(r"-login: .*session=<[^>]*> (TLSv[\d.]+)", line):
            versions.append(tls_name(found.group(1)))
    return Logged(logins, versions)


def courier(files):
    logins, service = [], None
    for line in lines(files, "syslog"):
        if found := re.search(r"received auth request, service=\S+, authtype=(\S+)", line):
            service = found.group(1).upper()
            method, user = (None if service == "LOGIN" else service), None
        elif found := re.search(r"username '(.*?)'$|userdb: looking up '(.*?)'$", line):
            user = found.group(1) or found.group(2)
        elif found := re.search(r"Authenticated: .*\baddress=(.*?), fullname", line):
            logins.append(Entry(ACCEPTED, found.group(1), method))
        elif "FAIL, all modules rejected" in line or "FAIL, aborting" in line:
            logins.append(Entry(REJECTED, user, method))
    return Logged(logins, [])


def cyrus(files):
    logins, versions = [], []
    upgraded = set()
    for line in lines(files, "syslog"):
        process = re.search(r"cyrus/\S+\[\d+\]", line)
        process = process.group(0) if process else None
        if found := re.search(r"login: \S+ \[[^]]*\] (\S+) (\S+?)(\+TLS)? User logged in", line):
            user, method, tls = found.groups()
            method = None if method.lower() == "plaintext" else method
            logins.append(Entry(ACCEPTED, user, method, bool(tls) or process in upgraded))
        elif found := re.search(r"badlogin: \S+ \[[^]]*\] (\S+) (?:\(([^)]*)\))?", line):
            method, user = found.groups()
            method = None if method == "plaintext" else method
            # For APOP it is the challenge that stands there.
            if method == "APOP" or user == "-notset-":
                user = None
            logins.append(Entry(REJECTED, user, method, process in upgraded))
        elif "starttls: TLSv" in line:
            upgraded.add(process)
            versions.append(tls_name(line))
    return Logged(logins, versions)


def process_lines(files, pattern):
    """What a server's processes told the system's log: pairs that the pattern's two groups cut out of its lines."""
    for line in lines(files, "syslog"):
        if found := re.search(pattern, line):
            yield found.groups()


def postfix(files):
    logins, versions = [], []
    open_now = {}
    for process, text in process_lines(files, r"postfix/(?:\S+/)?smtpd\[(\d+)\]: (.*)"):
        if text.startswith("connect from"):
            open_now[process] = {"tls": False, "failed": [], "accepted": []}
        state = open_now.get(process)
        if state is None:
            continue
        if "TLS connection established from" in text:
            state["tls"] = True
            versions.append(tls_name(text.split("from", 1)[1]))
        elif found := re.search(r"SASL (\S+) authentication failed: .*?(?:sasl_username=(\S+))?$", text):
            method, user = found.groups()
            user = user.split("@")[0] if user and user != "(unavailable)" else None
            state["failed"].append(Entry(REJECTED, user, method, state["tls"]))
        elif found := re.search(r"client=.*sasl_method=(\S+), sasl_username=([^@\s]+)", text):
            entry = Entry(ACCEPTED, found.group(2), found.group(1), state["tls"])
            if entry not in state["accepted"]:
                state["accepted"].append(entry)
        elif found := re.search(r"^disconnect from .* auth=(\d+)(?:/(\d+))?", text):
            accepted, tried = int(found.group(1)), int(found.group(2) or found.group(1))
            logins += state["failed"]
            refused = tried - accepted - len(state["failed"])
            logins += [Entry(REFUSED, tls=state["tls"])] * refused
            logins += state["accepted"] or [Entry(ACCEPTED, tls=state["tls"])] * accepted
    return Logged(logins, versions)


def exim(files):
    logins, versions = [], []
    names = {"plain": "PLAIN", "login": "LOGIN", "cram": "CRAM-MD5", "ntlm": "NTLM"}
    told = set()
    for process, text in process_lines(files, r"exim\[(\d+)\]: (.*)"):
        tls = " X=TLS" in text
        if found := re.search(r"^(\w+) authenticator failed for .*: 535 .*?(?:\(set_id=(.*)\))?$", text):
            logins.append(Entry(REJECTED, found.group(2), names[found.group(1)], None))
        elif re.search(r'SMTP protocol error in "AUTH .*not advertised', text):
            logins.append(Entry(REFUSED))
        elif (" <= " in text or "no MAIL in" in text) and process not in told:
            told.add(process)
            if tls:
                versions.append(tls_name(text.split(" X=")[1]))
            if found := re.search(r" A=(\w+):(\S+)", text):
                logins.append(Entry(ACCEPTED, found.group(2), names[found.group(1)], tls))
    return Logged(logins, versions)


def sendmail(files):
    logins, versions = [], []
    upgraded = set()
    for process, text in process_lines(files, r"\[(\d+)\]: (.*)"):
        if found := re.search(r"STARTTLS=server, relay=.*version=(\S+),", text):
            upgraded.add(process)
            versions.append(tls_name(found.group(1)))
        elif found := re.search(r"AUTH=server, .*authid=([^@,]+).*mech=([^,]+)", text):
            logins.append(Entry(ACCEPTED, found.group(1), found.group(2), process in upgraded))
        elif found := re.search(r"AUTH failure \((\S+)\): .*?(?:user=([^@,]*))?, relay=", text):
            logins.append(Entry(REJECTED, found.group(2) or None, found.group(1), process in upgraded))
    return Logged(logins, versions)


def mailutils(files):
    logins, versions = [], []
    upgraded = set()
    for process, text in process_lines(files, r"\[(\d+)\]: (.*)"):
        if text.startswith("TLS established"):
            upgraded.add(process)
            versions.append(tls_name(text))
        tls = process in upgraded
        if found := re.search(r"^(?:POP3 login: )?user `(.*?)'(?:, source| logged in \(source)", text):
            logins.append(Entry(ACCEPTED, found.group(1), None, tls))
        elif found := re.search(r"^login failed: (.*)$|^user `(.*)': authentication failed|^APOP failed for `(.*)'", text):
            logins.append(Entry(REJECTED, found.group(1) or found.group(2) or found.group(3), None, tls))
        elif text.startswith("GSASL error: "):
            logins.append(Entry(REJECTED, None, None, tls))
    return Logged(logins, versions)


def opensmtpd(files):
    logins, versions = [], []
    upgraded = set()
    for line in lines(files, "smtpd", "syslog"):
        found = re.search(r"smtpd\[\d+\]: ([0-9a-f]{16}) smtp (.*)|^([0-9a-f]{16}) smtp (.*)", line)
        if not found:
            continue
        session, text = found.group(1) or found.group(3), found.group(2) or found.group(4)
        if found := re.search(r"^tls ciphers=(TLSv[\d.]+)", text):
            upgraded.add(session)
            versions.append(tls_name(found.group(1)))
        elif found := re.search(r"^authentication user=(\S+) .*result=(\S+)", text):
            outcome = ACCEPTED if found.group(2) == "ok" else REJECTED
            logins.append(Entry(outcome, found.group(1), None, session in upgraded))
    return Logged(logins, versions)


def nginx(files):
    """What the service that nginx asks was told and said."""
    logins = []
    for line in lines(files, "behind"):
        if found := re.search(r"^judge user=(.*) method=(\S+) protocol=\S+ tls=(\S+) verdict=(\S+)", line):
            user, method, tls, verdict = found.groups()
            logins.append(Entry(verdict, user, method.upper(), tls == "on"))
    return Logged(logins, [])


def perdition(files):
    logins = []
    for line in lines(files, "syslog"):
        if found := re.search(r'Auth: .*client-secure=(\S+) .*authentication_id="(.*?)".*status="(\w+)', line):
            secure, user, status = found.groups()
            logins.append(Entry(ACCEPTED if status == "ok" else REJECTED, user, None, secure != "plaintext"))
    return Logged(logins, [])


def inn(files):
    logins, versions = [], []
    upgraded = set()
    for process, text in process_lines(files, r"nnrpd\[(\d+)\]: (.*)"):
        if text.startswith("starttls: TLSv"):
            upgraded.add(process)
            versions.append(tls_name(text))
        elif found := re.search(r"^\S+ user (\S+)$", text):
            logins.append(Entry(ACCEPTED, found.group(1), None, process in upgraded))
        elif text.endswith(" bad_auth"):
            logins.append(Entry(REJECTED, None, None, process in upgraded))
    return Logged(logins, versions)


def stunnel(files):
    # To Dovecot a connection from its own address is as safe as TLS.
    logins = [login._replace(tls=None) for login in dovecot(files).logins]
    versions = [tls_name(line) for line in lines(files, "stunnel") if re.search(r"TLSv[\d.]+ ciphersuite", line)]
    return Logged(logins, versions)


PARSERS = {
    "opensmtpd": opensmtpd,
    "nginx": nginx,
    "perdition": perdition,
    "inn": inn,
    "stunnel": stunnel,
    "dovecot": dovecot,
    "courier": courier,
    "cyrus": cyrus,
    "mailutils": mailutils,
    "postfix": postfix,
    "exim": exim,
    "sendmail": sendmail,
}


def fits(method, mechanism):
    if method is None or method == mechanism:
        return True
    return mechanism in PASSWORD and method in PASSWORD


def of(scenario, logged):
    """The rows of truth.tsv and what is wrong with them."""
    logins, versions = [], []
    for room in scenario.truth_rooms:
        found = PARSERS[room](logged[room])
        logins += found.logins
        versions += found.versions
    rows, trouble = [], []
    if scenario.refusals:
        refused = [login for login in logins if login.outcome == REFUSED][: scenario.refusals]
        if len(refused) != scenario.refusals:
            trouble.append(f"{scenario.refusals} refusals meant, {len(refused)} logged")
        for login in refused:
            logins.remove(login)
    from_log = [login for login in scenario.logins if login.is_logged]
    if len(from_log) != len(logins):
        trouble.append(f"{len(from_log)} logins meant, {len(logins)} logged: {logins}")
    entries = iter(logins)
    for login in scenario.logins:
        outcome, source = login.outcome, "configuration"
        if login.is_logged:
            entry = next(entries, None)
            if entry is None:
                break
            outcome, source = entry.outcome, "log"
            agree = (
                entry.outcome == login.outcome
                and fits(entry.method, login.mechanism)
                and (entry.user in (None, login.user) or not scenario.users_known)
                and entry.tls in (None, login.tls)
            )
            if not agree:
                trouble.append(f"meant {login}, logged {entry}")
        tls = "tls" if login.tls else "clear"
        on_wire = " ".join((login.seen_mechanism or login.mechanism, login.seen_user or login.user, login.seen or outcome))
        rows.append((scenario.protocol, login.mechanism, login.user, outcome, on_wire, tls, source, login.bug or "-"))
    meant = sorted(session.version for session in scenario.sessions if session.version != "-")
    if versions and scenario.versions_known and not scenario.plain_leg and sorted(versions) != meant:
        trouble.append(f"TLS versions meant {meant}, logged {versions}")
    return rows, trouble
