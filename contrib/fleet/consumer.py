#!/usr/bin/env python3
"""Records of many sensors out of Kafka, into a store that speaks Elasticsearch's bulk requests, into Parquet, or both.

    consumer.py --brokers HOST:PORT --topic barewire [--store URL] [--parquet FOLDER]

Offsets are committed once a batch is written, so a consumer that is killed has lost nothing and writes its last batch
again. The store then says of each document that it is there; Parquet has some rows twice, which the SQL beside this file
counts once. Several consumers of one group share the partitions. SIGTERM and SIGINT end it after the batch in hand.
"""

import argparse
import collections
import datetime
import json
import os
import pathlib
import signal
import sys
import time
import urllib.error
import urllib.request

import confluent_kafka
import pyarrow
import pyarrow.parquet

# Identities that are remembered: what a sensor sends again comes soon after.
REMEMBERED = 1_000_000
# Seconds between tries of a store that does not answer, at most.
PATIENCE = 30
# Columns of Parquet: the type, and where it stands in a record. The whole record is kept beside them.
COLUMNS = {
    "time": ("time", "@timestamp"),
    "start": ("time", "event.start"),
    "event_id": ("text", "event.id"),
    "dataset": ("text", "event.dataset"),
    "action": ("text", "event.action"),
    "sensor": ("text", "observer.name"),
    "severity": ("number", "event.severity"),
    "confidence": ("text", "barewire.confidence"),
    "count": ("number", "barewire.count"),
    "protocol": ("text", "network.protocol"),
    "server_ip": ("text", "server.ip"),
    "server_port": ("number", "server.port"),
    "client_ip": ("text", "client.ip"),
    "user_name": ("text", "user.name"),
    "outcome": ("text", "barewire.login.outcome"),
    "ambiguous": ("flag", "barewire.login.ambiguous"),
    "context": ("text", "barewire.login.context"),
    "fingerprint": ("text", "barewire.login.fingerprint"),
    "conversation": ("text", "barewire.conversation"),
    "offer": ("text", "barewire.starttls.offer"),
}
TYPES = {
    "time": pyarrow.timestamp("us", tz="UTC"),
    "text": pyarrow.string(),
    "number": pyarrow.int64(),
    "flag": pyarrow.bool_(),
}
SCHEMA = pyarrow.schema([
    *((name, TYPES[kind]) for name, (kind, _) in COLUMNS.items()),
    ("document_id", pyarrow.string()),
    ("record", pyarrow.string()),
])



class Stopped(Exception):
    """Told to end while a store did not take what is in hand."""


def value(record, place):
    for part in place.split("."):
        record = record.get(part) if isinstance(record, dict) else None
    return record


def typed(kind, found):
    """What is not of its type came from somebody else and stays in the record only."""
    if kind == "time" and isinstance(found, str):
        try:
            return datetime.datetime.fromisoformat(found.replace("Z", "+00:00"))
        except ValueError:
            return None
    kinds = {"text": str, "number": int, "flag": bool}
    return found if kind in kinds and type(found) is kinds[kind] else None


class Recent:
    """Identities of the last records."""

    def __init__(self, most=REMEMBERED):
        self.known, self.most = collections.OrderedDict(), most

    def is_new(self, identity):
        if identity in self.known:
            return False
        self.known[identity] = None
        if len(self.known) > self.most:
            self.known.popitem(last=False)
        return True


class Store:
    def __init__(self, url, stop):
        self.url, self.stop = url.rstrip("/"), stop
        # Not by a proxy of the environment.
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def write(self, documents):
        """Writes them, however long that takes; gives how many were there before and how many are refused."""
        known, refused, wait = 0, 0, 0.5
        while True:
            try:
                answer = self.bulk(documents) if documents else {"items": []}
            except (OSError, ValueError) as why:
                print(f"consumer: the store does not take records: {why}", file=sys.stderr, flush=True)
            else:
                statuses = [next(iter(item.values()))["status"] for item in answer["items"]]
                known += statuses.count(409)
                refused += sum(400 <= status < 500 and status not in (409, 429) for status in statuses)
                busy = [status == 429 or status >= 500 for status in statuses]
                documents = [one for one, is_busy in zip(documents, busy, strict=True) if is_busy]
                if not documents:
                    return known, refused
            if self.stop():
                raise Stopped
            time.sleep(wait)
            wait = min(wait * 2, PATIENCE)

    def bulk(self, documents):
        lines = []
        for identity, line, record in documents:
            index = str(value(record, "event.dataset")).replace(".", "-")
            lines += [json.dumps({"create": {"_index": index, "_id": identity}}).encode(), line]
        body = b"\n".join(lines) + b"\n"
        request = urllib.request.Request(
            f"{self.url}/_bulk", body, {"content-type": "application/x-ndjson"}, method="POST"
        )
        with self.opener.open(request, timeout=60) as answer:
            return json.load(answer)


class Parquet:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)

    def write(self, documents):
        rows = [
            {name: typed(kind, value(record, place)) for name, (kind, place) in COLUMNS.items()}
            | {"document_id": identity, "record": line.decode("ascii", "replace")}
            for identity, line, record in documents
        ]
        if not rows:
            return
        # A name that readers look for is there once the file is whole.
        name = f"{time.time_ns()}-{os.getpid()}.parquet"
        part = self.folder / f"{name}.part"
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows, SCHEMA), part, compression="zstd")
        part.rename(self.folder / name)


def identity(message, record):
    """As the sensor says it, or as other senders of records have it: the same whenever a record is sent."""
    for name, content in message.headers() or []:
        if name == "id":
            return content.decode("ascii", "replace")
    return value(record, "event.id")


def read(messages, recent):
    """Those that are records and new, each with its identity, and how many are not."""
    documents, repeated, foreign = [], 0, 0
    for message in messages:
        line = message.value() or b""
        try:
            record = json.loads(line)
            known = identity(message, record)
        except (ValueError, AttributeError):
            known = None
        if not isinstance(known, str) or b"\n" in line:
            foreign += 1
        # What another sensor saw as well is a row of its own, for who saw it is asked, too; a store keeps the first.
        elif recent.is_new((known, value(record, "observer.name"))):
            documents.append((known, line, record))
        else:
            repeated += 1
    return documents, repeated, foreign


def consume(consumer, outputs, stop, batch, wait):
    """Until `stop()`; gives what was counted."""
    counts, recent = collections.Counter(), Recent()
    while not stop():
        messages = consumer.consume(batch, wait)
        for message in messages:
            # A topic that is not there yet, a broker that is away: told, and tried again by the client itself.
            if message.error():
                print(f"consumer: {message.error()}", file=sys.stderr, flush=True)
        messages = [message for message in messages if not message.error()]
        if not messages:
            continue
        documents, repeated, foreign = read(messages, recent)
        for output in outputs:
            known, refused = output.write(documents) or (0, 0)
            counts.update(known=known, refused=refused)
        consumer.commit(asynchronous=False)
        counts.update(messages=len(messages), written=len(documents), repeated=repeated, foreign=foreign)
    return counts


def arguments(given):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--brokers", required=True, metavar="HOST:PORT,...")
    parser.add_argument("--topic", required=True)
    parser.add_argument("--group", default="barewire")
    parser.add_argument("--store", metavar="URL", help="where bulk requests go, such as http://127.0.0.1:9200")
    parser.add_argument("--parquet", metavar="FOLDER", help="where files of columns go")
    parser.add_argument("--batch", type=int, default=1000, help="records at once")
    parser.add_argument("--wait", type=float, default=2, help="seconds that a batch waits to be full")
    parser.add_argument("--kafka", action="append", default=[], metavar="KEY=VALUE", help="settings of librdkafka")
    options = parser.parse_args(given)
    if not options.store and not options.parquet:
        parser.error("name --store, --parquet or both")
    return options


def main(given=None):
    options = arguments(given)
    ended = []
    outputs = [Parquet(options.parquet)] if options.parquet else []
    if options.store:
        outputs.append(Store(options.store, lambda: ended))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.append(True))
    consumer = confluent_kafka.Consumer({
        "bootstrap.servers": options.brokers,
        "group.id": options.group,
        "auto.offset.reset": "earliest",
        # Committed by hand, once written.
        "enable.auto.commit": False,
        **dict(setting.split("=", 1) for setting in options.kafka),
    })
    consumer.subscribe([options.topic])
    print("consumer: reading", file=sys.stderr, flush=True)
    try:
        counts = consume(consumer, outputs, lambda: ended, options.batch, options.wait)
    except Stopped:
        print("consumer: ended before the last batch was written; it is read again", file=sys.stderr, flush=True)
        return 1
    finally:
        consumer.close()
    names = ("messages", "written", "repeated", "known", "refused", "foreign")
    print("consumer: " + ", ".join(f"{counts[name]} {name}" for name in names), file=sys.stderr, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
