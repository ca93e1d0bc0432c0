"""Runs the scenarios: records each on the wire, keeps what the servers logged, writes the truth.

    run.py rooms SET|NAME...    the rooms that these scenarios need
    run.py run SET|NAME...      called by lab.sh, which has made the networks and the rooms

The scenarios of one room run one after the other, rooms side by side.
"""

import collections
import contextlib
import fnmatch
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time

import scenarios
import truth

PATIENCE_S = 30
LAN = "lan0"


def chosen(words):
    known = scenarios.ALL
    picked = []
    for word in words:
        fitting = [
            one
            for one in known
            if word == "all" or (word == "ci" and one.ci) or fnmatch.fnmatch(one.name, word)
        ]
        if not fitting:
            sys.exit(f"lab: no scenario {word}")
        picked += [one for one in fitting if one not in picked]
    return picked


def rooms(picked):
    needed = {"clients"}
    for one in picked:
        needed.update(one.rooms)
    return sorted(needed)


class Lab:
    def __init__(self):
        self.out = pathlib.Path(os.environ["OUT"])
        self.namespaces = {
            kind: os.environ[f"{kind.upper()}_NS"] for kind in ("server", "client", "router", "inside")
        }
        table = pathlib.Path(os.environ["LAB_STATE"], "rooms.tsv").read_text()
        self.pid_of = dict(row.split() for row in table.splitlines())
        self.said = threading.Lock()

    def inside(self, room, namespace=None):
        """The words before a command that make it run in a room, on another network if one is named."""
        pid = self.pid_of[room]
        if namespace:
            net = f"--net=/var/run/netns/{self.namespaces[namespace]}"
        else:
            net = "--net"
        return ["nsenter", "-t", pid, "--mount", "--pid", "--uts", net, "--root", "--wd", "--"]

    def say(self, text):
        with self.said:
            print(text, flush=True)


class Recording:
    """One tcpdump, from when it listens until it has written all."""

    def __init__(self, lab, namespace, interface, path, expression):
        command = ["ip", "netns", "exec", lab.namespaces[namespace], "tcpdump", "-i", interface, "-Z", "root"]
        # At once, or the packets of the last block are lost when it is stopped. The buffer has one place of the
        # snapshot's size for each packet.
        command += ["--immediate-mode", "-U", "-s", "4096", "-B", "16384", "-w", str(path), expression]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        for line in self.process.stderr:
            if "listening on" in line:
                return
        raise RuntimeError(f"tcpdump did not start for {path.name}")

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        said = self.process.stderr.read()
        self.process.wait()
        dropped = re.search(r"(\d+) packets? dropped by kernel", said)
        if dropped and dropped.group(1) != "0":
            raise RuntimeError(f"the recording has losses: {said}")


def sizes(folder):
    return {path: path.stat().st_size for path in folder.iterdir() if path.is_file()}


def grown(folder, before):
    """What was added to the logs of a room, by file."""
    added = {}
    for path in sorted(folder.iterdir()):
        if path.is_file():
            with open(path, "rb") as file:
                file.seek(before.get(path, 0))
                added[path.name] = file.read().decode(errors="replace").splitlines()
    return added


def settle(lab, one):
    """Until every connection to the servers has been closed by both ends."""
    addresses = " or ".join(f"src {address} or dst {address}" for address in one.addresses)
    command = ["ip", "netns", "exec", lab.namespaces["server"], "ss", "-Htn", "state", "connected"]
    command += ["exclude", "time-wait", f"( {addresses} )"]
    for _ in range(100):
        if not subprocess.run(command, capture_output=True, text=True).stdout.strip():
            break
        time.sleep(0.05)
    time.sleep(0.05)


def perform(lab, one):
    folders = {room: lab.out / "log" / room for room in one.rooms}
    before = {room: sizes(folder) for room, folder in folders.items()}
    recordings = [
        Recording(lab, namespace, interface, lab.out / f"{one.name}{suffix}.pcap", expression)
        for namespace, interface, suffix, expression in one.views
    ]
    told = []
    try:
        for step in one.steps:
            run = subprocess.run(
                # Ended inside: what is ended out here goes on in there.
                lab.inside(step.room, step.namespace) + ["timeout", "-k", "1", "20", *step.command],
                input=step.stdin,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=PATIENCE_S,
            )
            told.append(f"$ {step}\n{run.stdout}{run.stderr}[status {run.returncode}]\n")
        settle(lab, one)
    finally:
        for recording in recordings:
            recording.stop()
        lab.out.joinpath("log", "client").mkdir(exist_ok=True)
        lab.out.joinpath("log", "client", f"{one.name}.log").write_text("\n".join(told))

    deadline = time.monotonic() + 4
    while True:
        logged = {room: grown(folders[room], before[room]) for room in one.rooms}
        rows, trouble = truth.of(one, logged)
        if not trouble or time.monotonic() > deadline:
            break
        time.sleep(0.1)
    folder = lab.out / "log" / "scenario"
    folder.mkdir(exist_ok=True)
    with open(folder / f"{one.name}.log", "w") as file:
        for room, files in logged.items():
            for name, lines in files.items():
                file.writelines(f"{room}/{name}: {line}\n" for line in lines)
    return rows, trouble


def run(picked):
    lab = Lab()
    queues = collections.defaultdict(list)
    for one in picked:
        queues[one.rooms[0]].append(one)
    done = {}

    # Scenarios that share a room share its logs.
    busy = {room: threading.Lock() for room in rooms(picked)}

    def work(queue):
        for one in queue:
            try:
                with contextlib.ExitStack() as held:
                    for room in sorted(one.rooms):
                        held.enter_context(busy[room])
                    began = time.monotonic()
                    rows, trouble = perform(lab, one)
            except Exception as error:  # The other scenarios shall still run.
                rows, trouble = [], [f"{type(error).__name__}: {error}"]
            done[one.name] = (rows, trouble)
            lab.say(f"lab: {time.monotonic() - began:5.1f} s  {one.name}" + "".join(f"\n     !! {t}" for t in trouble))

    threads = [threading.Thread(target=work, args=(queue,)) for queue in queues.values()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with open(lab.out / "truth.tsv", "w") as logins, open(lab.out / "sessions.tsv", "w") as sessions:
        logins.write("scenario\tsoftware\tprotocol\tmechanism\tuser\toutcome\ton_wire\ttls\tsource\tbug\n")
        sessions.write("scenario\tsoftware\tprotocol\toffer\trequested\treply\ttls\tversion\timplicit\n")
        for one in picked:
            for row in done[one.name][0]:
                logins.write("\t".join((one.name, one.software, *row)) + "\n")
            for session in one.sessions:
                sessions.write("\t".join((one.name, one.software, *session)) + "\n")
    broken = [name for name, (_, trouble) in done.items() if trouble]
    if broken:
        sys.exit(f"lab: {len(broken)} scenarios did not do what they say: {' '.join(sorted(broken))}")


if __name__ == "__main__":
    action, *words = sys.argv[1:]
    if action == "rooms":
        print("\n".join(rooms(chosen(words))))
    else:
        run(chosen(words))
