"""rsyslog and syslog-ng, run for real: what they store is what was sent, octet for octet."""

import contextlib
import json
import os
import ssl
import time

from . import frames
from .bed import (CONTRIB, TOOLS, Failed, Skipped, free_port, lines_of, listens, office, program, require, run,
                  running, scratch, store, stored_once, wait_for)


def moved(text, places):
    """A file of contrib/ with its paths and ports put where the check is. What is not there any more is told."""
    for old, new in places.items():
        require(old in text, f"{old} is not in the file")
        text = text.replace(old, str(new))
    return text


def same(found, sent, what):
    found = sorted(found)
    require(found == sorted(sent), f"{what}: {len(found)} lines of {len(sent)}, not the same")


def refused(port, lines, stranger):
    """Not with this certificate. Whatever of them were stored would show in what is compared afterwards."""
    try:
        frames.send(port, lines, stranger)
    except (ssl.SSLError, OSError, Failed):
        return
    raise Failed("a stranger's certificate was taken without a word")


def in_store(kept, lines):
    """The records are in the store under the sensor's own names, none twice."""
    expected = {name: json.loads(line) for name, line in stored_once(lines).items()}
    wait_for("all records are in the store", lambda: kept.count("barewire") >= len(expected))
    require(kept.all("barewire") == expected, "what the store has is not what was sent")


# --- rsyslog ------------------------------------------------------------------------------------


class Rsyslog:
    """One configuration out of several files of contrib/rsyslog, in a folder of its own."""

    def __init__(self, folder, *names, store_port="9", **places):
        program("rsyslogd")
        self.folder = folder
        self.out = folder / "received"
        self.spool = folder / "spool"
        for made in (self.out, self.spool):
            made.mkdir(exist_ok=True)
        text = moved((CONTRIB / "rsyslog" / "barewire.conf").read_text(), {
            "/var/log/barewire-received": self.out, "/var/spool/rsyslog": self.spool,
            'serverport="9200"': f'serverport="{store_port}"'})
        for name in names:
            text += moved((CONTRIB / "rsyslog" / f"{name}.conf").read_text(), places.get(name.replace("-", "_"), {}))
        self.conf = folder / "rsyslog.conf"
        self.conf.write_text(text)
        self.log = folder / "rsyslog.log"

    def check(self):
        status, said = run(program("rsyslogd"), "-N1", "-f", self.conf)
        if "could not load module" in said:
            raise Skipped("a module of rsyslog is not installed: rsyslog-openssl, -relp, -elasticsearch")
        require(status == 0, said)

    @contextlib.contextmanager
    def run(self):
        self.check()
        with running(program("rsyslogd"), "-n", "-f", self.conf, "-i", self.folder / "pid", log=self.log) as child:
            yield child

    def has(self, count):
        wait_for(lambda: f"{len(self.stored())} of {count} lines are stored", lambda: len(self.stored()) >= count, self.log)

    def stored(self):
        return lines_of(self.out / "records.ndjson")

    def unreadable(self):
        return lines_of(self.out / "unreadable.log")


def rsyslog_syntax():
    """rsyslogd -N1 for each file, and a broken one that it refuses."""
    with scratch() as folder:
        for name in ("receive-tcp", "receive-relp", "follow-file"):
            Rsyslog(folder, name).check()
        frames.mutual_tls(folder, run)
        Rsyslog(folder, "receive-tls", receive_tls={"/etc/rsyslog.d/tls": folder}).check()
        broken = Rsyslog(folder, "receive-tcp", receive_tcp={'type="imptcp"': 'type="nothing"'})
        try:
            broken.check()
        except Failed:
            return "4 files pass rsyslogd -N1, a broken one does not"
    raise Failed("rsyslogd -N1 passes anything")


def rsyslog_tcp():
    """TCP to the file and to the store; sent twice, and what is no record apart."""
    lines = office()
    with scratch() as folder, store(folder) as kept:
        port = free_port()
        log = Rsyslog(folder, "receive-tcp", store_port=kept.url.rsplit(":", 1)[-1], receive_tcp={"10514": port})
        with log.run():
            wait_for("rsyslogd listens", lambda: listens(port), log.log)
            frames.send(port, lines)
            log.has(len(lines))
            same(log.stored(), lines, "stored")
            in_store(kept, lines)
            frames.send(port, lines)
            log.has(2 * len(lines))
            strange = '{"event":{"dataset":"another","action":"x"},"barewire":{},"@timestamp":"2026-11-29T00:00:00Z"}'
            frames.send(port, [strange])
            wait_for("what is no record is put aside", lambda: log.unreadable() == [strange], log.log)
            time.sleep(1)
            require(kept.count("barewire") == len(lines), "a resend is stored twice")
        require(not lines_of(log.out / "refused.json"), f"the store refused: {lines_of(log.out / 'refused.json')[:1]}")
    return f"{len(lines)} records stored = sent, octet for octet; in the store once, though sent twice"


def rsyslog_away():
    """The store is away, and rsyslogd is killed, or told to end, meanwhile: what it had taken is delivered later."""
    lines = office()
    require(outlived(lines, kill=True) == len(lines), "records were lost with a rsyslogd that was killed")
    # rsyslog's own fault (its issue 5364): the batch that it has in hand is neither delivered nor put back.
    kept = outlived(lines, kill=False)
    require(kept >= len(lines) - 1, f"more than the batch of one in hand was lost: {len(lines) - kept}")
    return f"of {len(lines)} records 0 are lost when it is killed, {len(lines) - kept} when it is told to end (known fault)"


def outlived(lines, kill):
    """How many records come to a store that was away, after rsyslogd has ended once."""
    with scratch() as folder:
        port, store_port = free_port(), free_port()
        log = Rsyslog(folder, "receive-tcp", store_port=store_port, receive_tcp={"10514": port})
        with log.run() as child:
            wait_for("rsyslogd listens", lambda: listens(port), log.log)
            frames.send(port, lines)
            log.has(len(lines))
            wait_for("the queue is on disk", lambda: any(log.spool.iterdir()), log.log)
            time.sleep(1)
            if kill:
                child.kill()
                child.wait()
        same(log.stored(), lines, "stored in the file")
        with store(folder) as kept:
            again = Rsyslog(folder, "receive-tcp", store_port=kept.url.rsplit(":", 1)[-1], receive_tcp={"10514": free_port()})
            with again.run():
                least = len(lines) if kill else len(lines) - 1
                wait_for("the queue is delivered", lambda: kept.count("barewire") >= least, again.log)
                time.sleep(1)
                return len(kept.all("barewire"))


def rsyslog_tls():
    """TLS with the sensor's certificate; a stranger's is refused, and nothing of it stored."""
    program("openssl")
    lines = office()
    with scratch() as folder:
        sensor, stranger = frames.mutual_tls(folder, run)
        port = free_port()
        log = Rsyslog(folder, "receive-tls", receive_tls={"/etc/rsyslog.d/tls": folder, "6514": port})
        with log.run():
            wait_for("rsyslogd listens", lambda: listens(port), log.log)
            refused(port, lines[:3], stranger)
            frames.send(port, lines, sensor)
            log.has(len(lines))
            same(log.stored(), lines, "stored")
    return f"{len(lines)} records stored = sent over TLS; a stranger's certificate is refused"


def rsyslog_relp():
    """RELP: each record is answered, and stored."""
    lines = office()
    with scratch() as folder:
        port = free_port()
        log = Rsyslog(folder, "receive-relp", receive_relp={"2514": port})
        with log.run():
            wait_for("rsyslogd listens", lambda: listens(port), log.log)
            confirmed = frames.send_relp(port, lines)
            require(confirmed == len(lines), f"{confirmed} of {len(lines)} records were confirmed")
            log.has(len(lines))
            same(log.stored(), lines, "stored")
    return f"{len(lines)} records confirmed and stored = sent"


def rsyslog_file():
    """imfile over five rotations by rename, as the sensor's own --rotate-size does them."""
    lines = office()
    with scratch() as folder:
        followed = folder / "findings.ndjson"
        followed.touch()
        log = Rsyslog(folder, "follow-file", follow_file={"/var/log/barewire/findings.ndjson": followed,
                                                          "/var/spool/rsyslog": folder / "spool"})
        with log.run():
            wrote = []
            for turn in range(6):
                with open(followed, "ab", buffering=0) as file:
                    for line in lines:
                        # Numbered, so that a loss or a double shows.
                        line = line.replace('"schema":1', f'"schema":1,"turn":{turn}', 1)
                        file.write(line.encode() + b"\n")
                        wrote.append(line)
                # Time to notice: who rotates thrice before the follower looks has made two files that it never knew.
                time.sleep(0.5)
                if turn < 5:
                    os.rename(followed, f"{followed}.20261129T01450{turn}.000000Z")
            log.has(len(wrote))
            same(log.stored(), wrote, "followed")
    return f"{len(wrote)} records over 5 rotations by rename: none lost, none twice"


# --- syslog-ng ----------------------------------------------------------------------------------


class SyslogNg:
    """Installed, or unpacked beside rsyslog, which Debian does not have installed together."""

    def __init__(self, folder, places):
        beside = TOOLS / "syslog-ng"
        self.env = {}
        self.program = None
        if (beside / "usr/sbin/syslog-ng").exists():
            paths = [beside / "usr/lib/syslog-ng", beside / "usr/lib/x86_64-linux-gnu", beside / "lib/x86_64-linux-gnu"]
            self.env = {"LD_LIBRARY_PATH": ":".join(map(str, paths))}
            self.program = [beside / "usr/sbin/syslog-ng", f"--module-path={beside}/usr/lib/syslog-ng/3.38"]
        else:
            self.program = [program("syslog-ng")]
        self.folder = folder
        self.out = folder / "received"
        self.out.mkdir(exist_ok=True)
        (folder / "queue").mkdir(exist_ok=True)
        text = moved((CONTRIB / "syslog-ng" / "barewire.conf").read_text(), {
            "/var/log/barewire-received": self.out, "/var/lib/syslog-ng": folder / "queue", "/etc/syslog-ng/tls": folder,
            **places})
        self.conf = folder / "syslog-ng.conf"
        self.conf.write_text(text)
        self.log = folder / "syslog-ng.log"

    def check(self):
        status, said = run(*self.program, "-s", "-f", self.conf, env={**os.environ, **self.env})
        require(status == 0, said)

    def run(self):
        self.check()
        own = ["-R", self.folder / "persist", "-c", self.folder / "ctl", "--pidfile", self.folder / "ng.pid"]
        return running(*self.program, "-F", "--no-caps", "-f", self.conf, *own, log=self.log, env=self.env)


def syslog_ng():
    """TCP and TLS to the file and the store."""
    program("openssl")
    lines = office()
    with scratch() as folder:
        sensor, stranger = frames.mutual_tls(folder, run)
        with store(folder) as kept:
            tcp, tls = free_port(), free_port()
            log = SyslogNg(folder, {"10514": tcp, "6514)": f"{tls})", "http://127.0.0.1:9200": kept.url})
            with log.run():
                wait_for("syslog-ng listens", lambda: listens(tcp) and listens(tls), log.log)
                frames.send(tcp, lines)
                stored = log.out / "records.ndjson"
                wait_for("all lines are stored", lambda: len(lines_of(stored)) >= len(lines), log.log)
                same(lines_of(stored), lines, "stored")
                in_store(kept, lines)
                refused(tls, lines[:3], stranger)
                frames.send(tls, lines, sensor)
                wait_for("the same over TLS", lambda: len(lines_of(stored)) >= 2 * len(lines), log.log)
                same(lines_of(stored), lines + lines, "stored")
                strange = '{"event":{"dataset":"another","action":"x"},"barewire":{},"@timestamp":"2026-11-29T00:00:00Z"}'
                frames.send(tcp, [strange])
                aside = log.out / "unreadable.log"
                wait_for("what is no record is put aside", lambda: lines_of(aside) == [strange], log.log)
                time.sleep(2)
                require(kept.count("barewire") == len(lines), "a resend is stored twice")
        broken = SyslogNg(folder, {"json-parser(": "jason-parser("})
        try:
            broken.check()
        except Failed:
            return f"{len(lines)} records stored = sent over TCP and TLS; in the store once, though sent twice"
    raise Failed("syslog-ng -s passes anything")
