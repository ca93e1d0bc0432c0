"""What the checks have in common: real records, what the schema knows, programs that never outlive their check."""

import contextlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CONTRIB = ROOT / "contrib"
# What `contrib/check --install` brings.
TOOLS = ROOT / "target" / "contrib"
# How long a program may take, on a machine with other things to do, for what takes milliseconds.
PATIENCE = 60


class Failed(Exception):
    """The check was made, and what it checks is wrong."""


class Skipped(Exception):
    """The check could not be made here."""


def require(holds, what):
    """An assertion that `python3 -O` keeps."""
    if not holds:
        raise Failed(what)


# --- records ------------------------------------------------------------------------------------


def barewire():
    """The program: BAREWIRE, else the one that was built last."""
    named = os.environ.get("BAREWIRE")
    built = [ROOT / "target" / kind / "barewire" for kind in ("release", "debug")]
    found = [pathlib.Path(named)] if named else sorted((p for p in built if p.exists()), key=lambda p: p.stat().st_mtime)
    if not found:
        raise Skipped("barewire is not built: cargo build")
    return found[-1]


def replay(*arguments):
    """The lines of all kinds of records of these captures."""
    command = [barewire(), "replay", "--quiet", "--records", "findings,logins,sessions", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    # 3: no mail in it, 4: gaps, which is told in the records.
    require(done.returncode in (0, 3, 4), f"{command}: {done.stderr}")
    return done.stdout.splitlines()


def office():
    """The lines of the bundled capture."""
    return replay(ROOT / "testdata" / "office.pcap")


def told():
    """Lines that tests/corpus.rs proves to be what barewire writes: one case for each finding and rule."""
    return [line for path in sorted(ROOT.glob("testdata/cases/*/expected.ndjson")) for line in path.read_text().splitlines()]


def document_id(record):
    """What Written::document_id in src/output/written.rs gives: the receivers' files must give the same."""
    name = record["event"]["id"]
    if record["barewire"].get("count", 1) == 1:
        return name
    return name + "-" + "".join(c for c in record["barewire"]["last_seen"][:19] if c.isalnum())


def stored_once(lines):
    """Lines by their document ids. That none is there twice is proved here as well."""
    by_id = {document_id(json.loads(line)): line for line in lines}
    require(len(by_id) == len(lines), "two records share a document id")
    return by_id


def leaves(value, path=""):
    """The paths of an object's values, as Elasticsearch and Wazuh name them."""
    if not isinstance(value, dict):
        return {path}
    return {leaf for name, inner in value.items() for leaf in leaves(inner, f"{path}.{name}" if path else name)}


# --- the schema ---------------------------------------------------------------------------------


def schema_fields():
    """Each field of schema/barewire.v*.json with its JSON type; objects are `object`."""
    fields = {}
    for path in ROOT.glob("schema/barewire.v*.json"):
        schema = json.loads(path.read_text())
        gather(schema, schema["$defs"], "", fields)
    require(len(fields) > 100, "the schema was not understood")
    return fields


def gather(node, definitions, path, fields):
    if "$ref" in node:
        return gather(definitions[node["$ref"].rsplit("/", 1)[-1]], definitions, path, fields)
    for choice in ("oneOf", "anyOf", "allOf"):
        for inner in node.get(choice, []):
            gather(inner, definitions, path, fields)
    if "properties" in node:
        if path:
            fields[path] = "object"
        for name, inner in node["properties"].items():
            gather(inner, definitions, f"{path}.{name}" if path else name, fields)
    elif path and not any(key in node for key in ("oneOf", "anyOf", "allOf")):
        constant = {bool: "boolean", int: "integer"}.get(type(node.get("const")), "string")
        fields[path] = node.get("type", constant)
        if node.get("format") == "date-time":
            fields[path] = "date"
    return None


# --- programs -----------------------------------------------------------------------------------


def tool(name):
    """A program of the environment, else a skipped check."""
    path = TOOLS / "venv" / "bin" / name
    if not path.exists():
        raise Skipped(f"{name} is missing: contrib/check --install")
    return path


def program(name):
    """A program of the system, root's as well."""
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin")
    if path is None:
        raise Skipped(f"{name} is not installed")
    return path


def run(*command, **options):
    """Status and all that was said."""
    options = {"timeout": 300, "stdin": subprocess.DEVNULL, **options}
    command = [str(part) for part in command]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    return done.returncode, done.stdout


@contextlib.contextmanager
def scratch():
    """A folder that is gone afterwards, and whose path is short enough for a socket's name."""
    with tempfile.TemporaryDirectory(prefix="bw-contrib-") as folder:
        yield pathlib.Path(folder)


@contextlib.contextmanager
def running(*command, log, env=None):
    """A program for as long as it is needed; ended by its own number."""
    with open(log, "wb") as said:
        child = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=said, stderr=said,
                                 env={**os.environ, **(env or {})})
        try:
            yield child
        finally:
            child.terminate()
            try:
                child.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(what, holds, log=None):
    """Until `holds()`; `what` is a text, or a function that says it when it is too late."""
    until = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > until:
            said = log.read_text(errors="replace")[-2000:] if log and log.exists() else ""
            raise Failed(f"not within {PATIENCE} s: {what() if callable(what) else what}\n{said}")
        time.sleep(0.05)


def listens(port):
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def lines_of(path):
    return path.read_text().splitlines() if path.exists() else []


# --- a store ------------------------------------------------------------------------------------


class Store:
    """A young stand-in for OpenSearch (osmem-server, a Python package): it judges bulk requests, ids and queries, no security and no
    data streams."""

    def __init__(self, port):
        self.url = f"http://127.0.0.1:{port}"

    def ask(self, method, path, body=None):
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        kind = "application/x-ndjson" if "_bulk" in path else "application/json"
        request = urllib.request.Request(self.url + path, body, {"Content-Type": kind}, method=method)
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return json.loads(answer.read() or b"null")

    def index(self, name):
        """With every field of the schema and no other: a misspelt one is not found."""
        properties = {}
        kinds = {"date": "date_nanos", "integer": "long", "number": "double", "boolean": "boolean"}
        for path, kind in schema_fields().items():
            if kind == "object":
                continue
            *outer, leaf = path.split(".")
            place = properties
            for part in outer:
                place = place.setdefault(part, {"properties": {}})["properties"]
            kind = kinds.get(kind, "keyword")
            place[leaf] = {"type": "ip" if leaf == "ip" else kind}
        self.ask("PUT", f"/{name}", {"mappings": {"dynamic": False, "properties": properties}})

    def count(self, name, query="*"):
        self.ask("POST", f"/{name}/_refresh")
        return self.ask("GET", f"/{name}/_count", {"query": {"query_string": {"query": query}}})["count"]

    def all(self, name):
        self.ask("POST", f"/{name}/_refresh")
        hits = self.ask("GET", f"/{name}/_search", {"size": 10000, "query": {"match_all": {}}})["hits"]["hits"]
        return {hit["_id"]: hit["_source"] for hit in hits}


@contextlib.contextmanager
def store(folder):
    """The store on a free port, with an index `barewire`."""
    found = list((TOOLS / "venv").glob("lib/python*/site-packages/osmem_server/bin/osmem-server"))
    if not found:
        raise Skipped("osmem-server is missing: contrib/check --install")
    port = free_port()
    log = folder / "store.log"
    # Not ended with a standard input that it has not; with its parent.
    with running(found[0], "-addr", f"127.0.0.1:{port}", "-no-stdin-watch", "-parent-pid", os.getpid(), log=log):
        wait_for("the store listens", lambda: listens(port), log)
        made = Store(port)
        made.index("barewire")
        yield made
