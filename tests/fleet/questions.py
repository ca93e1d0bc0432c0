"""The SQL of contrib/fleet over real records, plain and compressed and as Parquet, against `barewire correlate` and what is
known of the captures.

    questions.py BAREWIRE
"""

import gzip
import json
import pathlib
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
from ask import FLEET, asked, document, equal  # noqa: E402

sys.path.insert(0, str(FLEET))
import consumer  # noqa: E402

ROOT = FLEET.parents[1]


class Message:
    """As librdkafka hands it over."""

    def __init__(self, line, headers=None):
        self.line, self.own = line, headers

    def value(self):
        return self.line

    def headers(self):
        return self.own


def correlated(barewire, files):
    done = subprocess.run([barewire, "correlate", "-q", *files], capture_output=True, text=True, check=True)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    reuse = [record["barewire"]["evidence"]["places"] for record in found if record["event"]["action"] == "credential-reuse"]
    views = [
        record["server"]["ip"]
        for record in found
        if record["event"]["action"] == "starttls-stripped" and record["barewire"]["evidence"]["kind"] == "two-views"
    ]
    return sorted(map(sorted, reuse)), sorted(views)


def records(barewire, folder):
    """Logins and sessions of the sample, whose sensor has two names, and of one connection seen on both sides of a device."""
    key = folder / "key"
    key.write_text("7a" * 32)
    key.chmod(0o600)
    files = []
    for sensor in ("tap-a", "tap-b"):
        command = [barewire, "replay", "-q", "--sensor", sensor, "--records", "logins,sessions", "--fingerprint-key", key]
        done = subprocess.run([*command, ROOT / "testdata" / "office.pcap"], capture_output=True, check=True)
        files.append(folder / f"{sensor}.ndjson.gz")
        files[-1].write_bytes(gzip.compress(done.stdout))
    # What neither counts: a secret at another server that was rejected, injected, not read for sure, or is nobody's.
    login = next(record for record in map(json.loads, lines(files[0])) if record["event"]["dataset"] == "barewire.login")
    odd = []
    for number, change in enumerate([{"outcome": "rejected"}, {"ambiguous": True}, {"context": "pre-tls-injected"}, None]):
        other = json.loads(json.dumps(login))
        other["event"]["id"] = f"AAAAAAAAAAAAAAA{'ABCD'[number]}"
        other["server"]["ip"] = f"10.99.0.{number}"
        other["barewire"]["login"].update(change or {})
        if change is None:
            del other["user"]
        odd.append(json.dumps(other) + "\n")
    files.append(folder / "odd.ndjson")
    files[-1].write_text("".join(odd))
    views = (ROOT / "testdata" / "cases" / "stripped-two-views" / "expected.ndjson").read_text().splitlines()
    sessions = [record for record in map(json.loads, views) if record["event"]["dataset"] == "barewire.session"]
    for record in sessions:
        record["observer"]["name"] = "inside" if record["client"]["ip"] == "10.0.0.7" else "outside"
    files.append(folder / "views.ndjson")
    files[-1].write_text("".join(json.dumps(record) + "\n" for record in sessions))
    return files


def lines(file):
    content = file.read_bytes()
    return (gzip.decompress(content) if file.suffix == ".gz" else content).splitlines()


class Bus:
    """Hands over its messages once, and notes what happens in which order."""

    def __init__(self, messages):
        self.messages, self.order = messages, []

    def consume(self, *_):
        self.order.append("read")
        return [self.messages.pop()] if self.messages else []

    def commit(self, asynchronous):
        assert not asynchronous
        self.order.append("committed")

    def write(self, documents):
        self.order.append(f"written {len(documents)}")


class Good(Message):
    def error(self):
        return None


def offsets():
    """They are committed once records are written, and not where a store does not take them."""
    line = b'{"event":{"id":"A","dataset":"barewire.login"}}'
    bus = Bus([Good(line)])
    counts = consumer.consume(bus, [bus], lambda: not bus.messages and len(bus.order) > 2, 10, 0)
    equal("order", bus.order, ["read", "written 1", "committed"])
    equal("counted", (counts["messages"], counts["written"]), (1, 1))
    bus, began = Bus([Good(line)]), []
    # Nobody listens there; it is told to end while it tries.
    store = consumer.Store("http://127.0.0.1:1", lambda: True)
    try:
        consumer.consume(bus, [store], lambda: began.append(1) or len(began) > 1, 10, 0)
        raise AssertionError("it went on")
    except consumer.Stopped:
        equal("order without a store", bus.order, ["read"])


def transform():
    """It asks what the query asks, by what a transform can do."""
    asks, keeps = document("reuse"), document("transform")
    equal("query", keeps["source"]["query"], asks["query"])
    own, wanted = keeps["pivot"]["aggregations"], asks["aggs"]["secrets"]["aggs"]
    equal("aggregations", {name: own[name] for name in own if name != "last"}, wanted)
    equal("group", keeps["pivot"]["group_by"]["secret"]["terms"]["field"], asks["aggs"]["secrets"]["terms"]["field"])
    able = {"bucket_selector", "cardinality", "max", "terms"}
    assert {kind for one in own.values() for kind in one} <= able, own


def main(barewire):
    offsets()
    transform()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        files = records(barewire, folder)
        reuse, views = correlated(barewire, files)
        assert len(reuse) == 3 and len(views) == 1, (reuse, views)
        # As they come out of a topic: some twice, and what is no record among them.
        messages = [Message(line) for file in files for line in lines(file)]
        odd = [Message(line) for line in (None, b"", b"[1]", b"{}", b"\xff", b"{\n}", b'{"event": 7}')]
        documents, repeated, foreign = consumer.read(messages + odd + messages[:5], consumer.Recent())
        equal("what is no record", foreign, len(odd))
        equal("what came twice", (len(documents), repeated), (66, 5))
        # Parquet as it is after a consumer was killed: everything twice.
        for _ in range(2):
            consumer.Parquet(folder / "parquet").write(
                [(message.line.decode(), message.line, json.loads(message.line)) for message in messages]
            )
        for view, pattern in (("ndjson", folder / "*.ndjson*"), ("parquet", folder / "parquet" / "*.parquet")):
            counts = {row["dataset"]: row["records"] for row in asked(pattern, view, "counts")}
            equal(f"counts in {view}", counts, {"barewire.login": 17, "barewire.session": 19})
            rows = asked(pattern, view, "reuse")
            equal(f"reuse in {view}", sorted(row["places"] for row in rows), reuse)
            assert all(row["sensors"] == ["tap-a", "tap-b"] for row in rows), rows
            rows = asked(pattern, view, "stripped")
            equal(f"stripped in {view}", [row["server_ip"] for row in rows], views)
            equal(f"who saw it in {view}", (rows[0]["offered_at"], rows[0]["missing_at"]), (["outside"], ["inside"]))
            own = {row["sensor"]: row["of_its_own"] for row in asked(pattern, view, "sensors")}
            equal(f"sensors in {view}", own, {"tap-a": 4, "tap-b": 0, "inside": 1, "outside": 1})
            script = f'(echo "SET VARIABLE files = \'{pattern}\';"; cat {view}.sql reuse.sql) | "$0" -csv -noheader'
            shell = ["bash", "-c", script, pathlib.Path(sys.prefix) / "bin" / "duckdb"]
            done = subprocess.run(shell, cwd=FLEET / "sql", capture_output=True, text=True)
            assert done.stdout.count("fp1:") == len(reuse), f"{view} by the shell: {done.stdout}{done.stderr}"
        print(f"{len(documents)} records, {len(reuse)} secrets in several places, {len(views)} connection stripped")


if __name__ == "__main__":
    main(sys.argv[1])
