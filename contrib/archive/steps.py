"""What drivers of `barewire archive` have in common: what was typed, the command of each step, and how it all ends.

Nothing happens when this is imported, neither here nor on a worker.
"""

import argparse
import importlib.util
import os
import re
import subprocess
import sys

# What a driver gives itself.
OWN = {"--out", "--manifest", "--partitions", "-p", "--file", "--list"}
QUIET = {"--quiet", "-q"}
INCOMPLETE = 4


class Wrong(Exception):
    """What was typed cannot be meant; says why."""


def parser(name, about):
    """What all drivers take."""
    taken = argparse.ArgumentParser(
        prog=name,
        description=about,
        allow_abbrev=False,
        epilog="What stands after -- goes to barewire: each option to the steps that know it.",
    )
    add = taken.add_argument
    add("captures", nargs="*", metavar="URI", help="captures, in the order in which a replay would be given them")
    add("--list", metavar="FILE", help="the captures' names, one a line, where they are too many to be typed")
    add("--out", required=True, metavar="URI", help="folder of the archive's files, which all workers reach")
    add("--partitions", type=positive, default=16, metavar="N", help="as many reduces can run at once (16)")
    add("--retries", type=count, default=3, metavar="N", help="how often a step that failed is run again (3)")
    add("--barewire", default="barewire", metavar="PROGRAM", help="the program, by its name on every worker")
    return taken


def count(text):
    number = int(text)
    if number < 0:
        raise ValueError
    return number


def positive(text):
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def split(arguments):
    """A driver's words, and those after `--`."""
    at = arguments.index("--") if "--" in arguments else len(arguments)
    return arguments[:at], arguments[at + 1 :]


def listed(typed):
    """The captures, as plan will have them."""
    if bool(typed.captures) == bool(typed.list):
        raise Wrong("name captures, or a --list of them")
    if not typed.list:
        return typed.captures
    try:
        with open(typed.list, encoding="utf-8", newline="\n") as names:
            return [name for line in names if (name := line.removesuffix("\n").removesuffix("\r"))]
    except (OSError, UnicodeDecodeError) as why:
        raise Wrong(f"--list {typed.list}: {getattr(why, 'strerror', None) or why}") from None


def run(command, folder):
    """Runs a step, on a worker. What it says goes to the worker's log; the last line of one that failed is the error."""
    # A worker elsewhere may not have the folder, and needs none where all names are those of a bucket.
    folder = folder if os.path.isdir(folder) else None
    try:
        done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    except OSError as why:
        raise RuntimeError(f"{command[0]}: {why.strerror}; name the program with --barewire") from None
    said = done.stderr.decode(errors="replace").strip()
    if said:
        print(said, file=sys.stderr)
    if done.returncode != 0:
        last = said.splitlines()[-1] if said else "it said nothing"
        raise RuntimeError(f"status {done.returncode}: {last}")


class Steps:
    """The commands of an archive's steps."""

    def __init__(self, typed, options):
        self.program, self.list, self.partitions = typed.barewire, typed.list, typed.partitions
        self.captures = listed(typed)
        self.out = typed.out.rstrip("/") or "/"
        self.manifest = self.out.rstrip("/") + "/manifest.json"
        self.folder = os.getcwd()
        self.options = grouped(options)
        known = {step: self.known(step) for step in ("plan", "map", "reduce", "finish")}
        for name, _ in self.options:
            if name in OWN or name not in known["plan"] | known["finish"]:
                raise Wrong(f"{name}: neither plan nor finish takes it after --; see barewire archive plan --help")
        # Maps and reduces are quiet already.
        known["map"], known["reduce"] = known["map"] - QUIET, known["reduce"] - QUIET
        self.of = {step: self.chosen(names) for step, names in known.items()}
        self.check_finish()

    def known(self, step):
        """The options of a step, as it says itself."""
        command = [self.program, "archive", step, "--help"]
        try:
            help_text = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        except OSError as why:
            raise Wrong(f"{self.program}: {why.strerror}; name the program with --barewire") from None
        if help_text.returncode != 0:
            raise Wrong(f"{self.program}: it does not know 'archive {step}'; take a newer one")
        found = re.findall(r"^ +(?:(-\w), )?(--[a-z][a-z-]*)", help_text.stdout.decode(), re.MULTILINE)
        return {name for names in found for name in names if name}

    def chosen(self, known):
        return [word for name, words in self.options if name in known for word in words]

    def check_finish(self):
        """What finish would refuse is told before hours of work."""
        command = [self.program, "archive", "finish", "--manifest", os.devnull + "/none", *self.of["finish"]]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        if done.returncode == 2:
            raise Wrong(done.stderr.decode(errors="replace").strip().splitlines()[0].removeprefix("error: "))

    def plan(self):
        """Plans; the status."""
        given = ["--out", self.out, "--partitions", str(self.partitions), *self.of["plan"]]
        return self.here(["plan", *given, *(["--list", self.list] if self.list else ["--", *self.captures])])

    def maps(self):
        """What each map is called, and its command."""
        first = [self.program, "archive", "map", "-q", "--manifest", self.manifest, *self.of["map"]]
        return [(f"map {at} of {name}", [*first, "--file", str(at)]) for at, name in enumerate(self.captures)]

    def reduces(self):
        """What each reduce is called, and its command."""
        first = [self.program, "archive", "reduce", "-q", "--manifest", self.manifest, *self.of["reduce"]]
        return [(f"reduce {at}", [*first, "--", str(at)]) for at in range(self.partitions)]

    def finish(self):
        """Holds all steps against each other and writes the records; the status."""
        return self.here(["finish", "--manifest", self.manifest, *self.of["finish"]])

    def here(self, words):
        """Runs a step in this process's place: its output is the driver's."""
        sys.stdout.flush()
        status = subprocess.run([self.program, "archive", *words], stdin=subprocess.DEVNULL, check=False).returncode
        return status if status >= 0 else 128 - status


def grouped(options):
    """Each option with its values: a word that begins with `-` and those after it that do not."""
    groups = []
    for word in options:
        if word.startswith("-") and word != "-":
            name = word.split("=", 1)[0] if word.startswith("--") else word[:2]
            groups.append((name, [word]))
        elif groups:
            groups[-1][1].append(word)
        else:
            raise Wrong(f"{word}: captures stand before --, options after it")
    return groups


def drive(name, typed, options, package, scheduled):
    """Plans, has both kinds of steps run, and always finishes; the status.

    `scheduled`, which takes `package`, is a context that gives a function: it is given steps, runs them all, and gives what
    became of those that failed, by their names.
    """
    try:
        steps = Steps(typed, options)
        if importlib.util.find_spec(package) is None:
            raise Wrong(f"{sys.executable} has no {package}: pip install {package}")
    except Wrong as why:
        return told(name, why, 2)
    status = steps.plan()
    if status != 0:
        return status
    failed = []
    try:
        with scheduled(typed, steps.folder) as run_all:
            failed = run_all(steps.maps()) or run_all(steps.reduces())
    # Whatever it is, finish says what is missing.
    except Exception as why:
        failed = [("the scheduler", f"{type(why).__name__}: {why}")]
    if failed:
        (step, why), more = failed[0], len(failed) - 1
        told(name, f"{step} failed: {why}" + (f" (and {more} more)" if more else ""), INCOMPLETE)
    # What an earlier run has left may be whole; this run was not.
    return max(steps.finish(), INCOMPLETE if failed else 0)


def told(name, why, status):
    line = " ".join(str(why).split())
    print(f"{name}: error: {line}", file=sys.stderr, flush=True)
    return status
