"""Compares what barewire says of the recordings with the truth.

    check.py OUT

Runs `barewire replay` (BAREWIRE, or the one in target/) over each recording of OUT and prints what was found,
missed and invented by server software. No secret of the laboratory may stand in a record. The status is 1 on any difference that
scenarios.py does not know as a bug.
"""

import base64
import collections
import csv
import json
import os
import pathlib
import subprocess
import sys

import scenarios

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parents[1]


def program():
    if named := os.environ.get("BAREWIRE"):
        return named
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", TOP / "target"))
    built = [path for kind in ("release", "debug") if (path := target / kind / "barewire").exists()]
    return str(max(built, key=lambda path: path.stat().st_mtime)) if built else sys.exit("check: build barewire first")


def table(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def spellings(secret):
    """A secret as it is and as base64 in the middle of anything."""
    yield secret
    for shift in range(3):
        coded = base64.b64encode(b"\0" * shift + secret.encode()).decode().rstrip("=")
        # The first and the last character depend on the neighbours.
        yield coded[(0, 2, 3)[shift] : -1]


def secrets():
    words = [row.split("\t")[1] for row in (HERE / "users.tsv").read_text().splitlines()]
    return [spelling for word in [*words, scenarios.WRONG, "decoy-pw"] for spelling in spellings(word)]


def replay(barewire, recording, hidden):
    command = [barewire, "replay", "-q", "--allow-empty", "--records", "findings,logins,sessions", str(recording)]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode != 0:
        sys.exit(f"check: {recording.name}: status {run.returncode}: {run.stderr}")
    for secret in hidden:
        if secret in run.stdout or secret in run.stderr:
            sys.exit(f"check: {recording.name}: a secret was written: {secret}")
    return [json.loads(line) for line in run.stdout.splitlines()]


def login_of(record):
    login = record["barewire"]["login"]
    user = record.get("user", {}).get("name", "-")
    return record["network"]["protocol"], login["mechanism"], user, login["outcome"]


def session_of(record):
    starttls, tls = record["barewire"].get("starttls", {}), record.get("tls", {})
    return (
        record["network"]["protocol"],
        starttls.get("offer", "-"),
        "yes" if starttls.get("requested") else "no",
        starttls.get("reply", "-"),
        "yes" if tls.get("established") else "no",
        tls.get("version", "-"),
        "yes" if record["barewire"].get("implicit_tls") else "no",
    )


class Score:
    """Found, missed and invented of one kind of fact."""

    def __init__(self):
        self.true = self.found = self.missed = self.false = 0

    def compare(self, meant, seen):
        """The differences, as lines."""
        meant, seen = collections.Counter(meant), collections.Counter(seen)
        missed, false = meant - seen, seen - meant
        self.true += meant.total()
        self.found += (meant & seen).total()
        self.missed += missed.total()
        self.false += false.total()
        told = [f"  missed {' '.join(fact)}" for fact in missed.elements()]
        return told + [f"  false  {' '.join(fact)}" for fact in false.elements()]

    def __str__(self):
        return f"{self.found:5}/{self.true:<5}{self.missed:6}{self.false:6}"


def main(out):
    barewire, hidden = program(), secrets()
    truth, wanted = table(out / "truth.tsv"), table(out / "sessions.tsv")
    software = {row["scenario"]: row["software"] for row in wanted}
    logins, sessions = collections.defaultdict(Score), collections.defaultdict(Score)
    differences, known, ids = [], [], []
    for scenario, kind in software.items():
        recordings = [out / f"{scenario}.pcap"]
        if not recordings[0].exists():
            recordings = sorted(out.glob(f"{scenario}-*side.pcap"))
        if not recordings:
            sys.exit(f"check: no recording of {scenario}")
        meant_logins = [
            (row["protocol"], *row["on_wire"].split())
            for row in truth
            if row["scenario"] == scenario and row["tls"] == "clear"
        ]
        columns = ("protocol", "offer", "requested", "reply", "tls", "version", "implicit")
        meant_sessions = [tuple(row[c] for c in columns) for row in wanted if row["scenario"] == scenario]
        for recording in recordings:
            records = collections.defaultdict(list)
            for record in replay(barewire, recording, hidden):
                records[record["event"]["dataset"]].append(record)
            seen = [login_of(record) for record in records["barewire.login"]]
            told = logins[kind].compare(meant_logins, seen)
            seen = [session_of(record) for record in records["barewire.session"]]
            told += sessions[kind].compare(meant_sessions, seen)
            bugs = [row["bug"] for row in truth if row["scenario"] == scenario and row["bug"] != "-"]
            if told:
                heading = f"{recording.name}  known: {'; '.join(bugs)}" if bugs else recording.name
                (known if bugs else differences).append("\n".join([heading, *told]))
            elif bugs:
                known.append(f"{recording.name}  no longer: {'; '.join(bugs)}")
            names = sorted({record["event"]["action"] for record in records["barewire.finding"]})
            ids.append(f"{recording.stem}\t{' '.join(names) or '-'}")

    out.joinpath("findings.tsv").write_text("".join(line + "\n" for line in ids))
    print("Findings by recording")
    for line in ids:
        recording, names = line.split("\t")
        print(f"  {recording:44} {names}")
    print(f"\n{'':14}{'logins':>11} missed false{'sessions':>14} missed false")
    for kind in sorted(sessions):
        print(f"{kind:14}{logins[kind]}{'':4}{sessions[kind]}")
    total = [sum(getattr(score, name) for kind in (logins, sessions) for score in kind.values()) for name in ("missed", "false")]
    print(f"\n{len(ids)} recordings, {total[0]} missed, {total[1]} false")
    if known:
        print("\n" + "\n".join(known))
    if differences:
        print("\n" + "\n".join(differences))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
