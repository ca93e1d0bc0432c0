"""The Sigma rules: checked, converted for each target, and run on a store over real records."""

import functools
import ipaddress
import json
import os
import pathlib
import re
import subprocess

from .bed import CONTRIB, ROOT, TOOLS, Failed, Skipped, document_id, office, replay, require, run, scratch, store, told, tool

SIGMA = ROOT / "sigma"
RULES = SIGMA / "rules"
CORRELATED = {"esql", "splunk", "loki"}
TARGETS = {"lucene": [], "opensearch_lucene": [], "esql": [], "splunk": ["splunk"], "kusto": ["sentinel"], "loki": ["loki"]}


def check():
    """sigma check with every validator that needs no network; and one that it must not pass."""
    sigma = tool("sigma")

    def issues(folder):
        status, said = run(sigma, "check", "--fail-on-issues", "--validation-config", SIGMA / "validators.yml", folder)
        return status, said, re.search(r"Found (\d+) errors, (\d+) condition errors and (\d+) issues", said)

    status, said, found = issues(RULES)
    require(status == 0 and found and set(found.groups()) == {"0"}, said)
    with scratch() as folder:
        rule = next(RULES.glob("*.yml")).read_text()
        (folder / "broken.yml").write_text(rule.replace("condition: selection", "condition: nothing"))
        require(issues(folder)[0] != 0, "sigma check passes a broken condition")
    return f"{len(rules())} rules and {len(correlations())} correlation, 0 issues"


def rules():
    found = sorted(RULES.glob("*.yml"))
    require(len(found) >= 7, "the rules moved")
    return found


def correlations():
    return sorted(RULES.glob("correlation/*.yml"))


@functools.cache
def converted(target):
    """Each rule's query for a target by the rule's name, and the correlations' where it has such."""
    try:
        from sigma.collection import SigmaCollection
        from sigma.plugins import InstalledSigmaPlugins
        from sigma.processing.pipeline import ProcessingPipeline
    except ImportError as why:
        raise Skipped("pySigma is missing: contrib/check --install") from why
    names = ["site", *TARGETS[target]]
    pipelines = [ProcessingPipeline.from_yaml((SIGMA / "pipelines" / f"{name}.yml").read_text()) for name in names]
    backend = InstalledSigmaPlugins.autodiscover().backends[target]
    made = {}
    for path in rules() + (correlations() if target in CORRELATED else []):
        # A correlation is converted with the rules that it counts, and comes last.
        texts = rules() if path.parent.name == "correlation" else []
        collection = SigmaCollection.load_ruleset([*texts, path])
        query = backend(processing_pipeline=sum(pipelines[1:], pipelines[0])).convert(collection)[-1].strip()
        require(query and "%" not in query, f"{target}: {path.name}: a placeholder was left: {query}")
        made[path.stem] = query
    return made


def convert():
    """The commands of sigma/README.md; they give each rule for each target, and the correlation where there is such."""
    tool("sigma")
    commands = re.findall(r"^sigma (convert -t (\w+) .*)$", (SIGMA / "README.md").read_text(), re.MULTILINE)
    require({target for _, target in commands} >= set(TARGETS) - {"lucene"}, "a target is not in the README")
    for command, target in commands:
        words = [word for part in command.split() for word in (sorted(map(str, ROOT.glob(part))) if "*" in part else [part])]
        done = subprocess.run([str(tool("sigma")), *words], cwd=ROOT, capture_output=True, text=True, timeout=120)
        require(done.returncode == 0, f"{command}: {done.stderr}")
        absent = [name for name, query in converted(target).items() if query not in done.stdout]
        require(not absent, f"{command}: other queries than expected: {absent}\n{done.stdout}")
    made = sum(len(converted(target)) for target in TARGETS)
    return f"{made} queries for {', '.join(TARGETS)}"


def parsed():
    """LogQL and KQL of the rules and KQL of contrib/sentinel by their vendors' own parsers."""
    logql = list(converted("loki").values())
    kql = dict(converted("kusto"))
    kql |= {path.name: path.read_text() for path in sorted((CONTRIB / "sentinel").glob("*.kql"))}
    table = json.loads((CONTRIB / "sentinel" / "table.json").read_text())["resources"][0]["properties"]["schema"]
    node = TOOLS / "node" / "node_modules"
    if not node.exists():
        raise Skipped("the npm packages are missing: contrib/check --install")
    asked = {"table": table, "kql": list(kql.values()), "logql": logql}
    done = subprocess.run(["node", CONTRIB / "checks" / "queries.cjs"], input=json.dumps(asked), capture_output=True, text=True,
                          env={**os.environ, "NODE_PATH": str(node)}, timeout=300)
    require(done.returncode == 0, done.stderr)
    answer = json.loads(done.stdout)
    faults = {name: faults for name, faults in zip(kql, answer["kql"]) if faults}
    require(not faults, f"KQL: {faults}")
    faults = [query for query, faulty in zip(logql, answer["logql"]) if faulty]
    require(not faults, f"LogQL: {faults}")
    require(answer["broken"] == [True, True, True], f"a parser passes anything: {answer['broken']}")
    return f"{len(kql)} KQL queries without a diagnostic, {len(logql)} LogQL queries parsed; broken ones are refused"


# --- the rules run ------------------------------------------------------------------------------


def private(address):
    """RFC 1918, RFC 4193 and loopback, told without the rule."""
    ranges = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "fc00::/7", "::1/128")
    address = ipaddress.ip_address(address)
    return any(address in network for network in map(ipaddress.ip_network, ranges) if network.version == address.version)


EXPOSED = ("cleartext-password", "cleartext-bearer-token", "crackable-auth-exchange")
PRIVILEGED = ("root", "admin", "administrator", "postmaster")
# What each rule is to find, written down once more in another language and over the records themselves.
TRUTH = {
    "barewire_accepted_cleartext_login":
        lambda f: f["rule"]["id"] == "cleartext-password" and f["event"]["outcome"] == "success",
    "barewire_starttls_stripped":
        lambda f: f["rule"]["id"] == "starttls-stripped" and f["barewire"]["confidence"] != "possible",
    "barewire_starttls_injection":
        lambda f: f["rule"]["id"] in ("starttls-command-injection", "starttls-response-injection")
        and f["barewire"]["severity"] != "info",
    "barewire_privileged_account": lambda f: f["rule"]["id"] in EXPOSED and f.get("user", {}).get("name") in PRIVILEGED,
    "barewire_bearer_token": lambda f: f["rule"]["id"] == "cleartext-bearer-token",
    "barewire_exposure_from_outside": lambda f: f["rule"]["id"] in EXPOSED and not private(f["source"]["ip"]),
    "barewire_account_exposed": lambda f: f["rule"]["id"] in EXPOSED,
}


def fixtures():
    """Real records: the bundled capture, the cases, and the corpus where there is one. The same record may be there twice."""
    lines = office() + told()
    corpus = os.environ.get("BAREWIRE_CORPUS")
    captures = sorted(pathlib.Path(corpus, "cases").glob("*.pcap*")) if corpus else []
    for capture in captures:
        lines += replay(capture)
    # A privileged account by the placeholder list, and clients outside and of IPv6: real records with other names.
    others = {"alice": "postmaster", "bob": "root", "10.77.0.2": "203.0.113.7", "10.77.0.4": "2001:db8::7"}
    for record in map(json.loads, office()):
        for end, name in (("user", "name"), ("source", "ip")):
            if end in record:
                record[end][name] = others.get(record[end][name], record[end][name])
        lines.append(json.dumps(record))
    return lines, len(captures)


def executed():
    """The single rules on a store whose index knows the schema's fields only, hits and misses counted without it."""
    lines, captures = fixtures()
    records = [json.loads(line) for line in lines]
    require(set(TRUTH) == {path.stem for path in rules()}, "a rule without a truth, or the reverse")
    told = []
    with scratch() as folder, store(folder) as kept:
        body = []
        for number, (record, line) in enumerate(zip(records, lines)):
            body += [json.dumps({"create": {"_index": "barewire", "_id": f"{number}-{document_id(record)}"}}), line]
        answer = kept.ask("POST", "/_bulk?refresh=true", "\n".join([*body, ""]).encode())
        require(not answer["errors"], "the store refuses a record")
        require(kept.count("barewire") == len(lines), "not all records are in the store")
        for name, query in converted("opensearch_lucene").items():
            truth = sum(f["event"]["dataset"] == "barewire.finding" and TRUTH[name](f) for f in records)
            require(0 < truth < len(records), f"{name}: the records hold no hit, or no miss: {truth} of {len(records)}")
            hits = kept.count("barewire", query)
            require(hits == truth, f"{name}: {hits} hits, {truth} in the records")
            told.append(f"{name.removeprefix('barewire_')} {hits}")
            misspelt = re.sub(r"\brule\.id:", "rule.idd:", query)
            require(misspelt != query and kept.count("barewire", misspelt) != truth, f"{name}: a misspelt field is not noticed")
    return f"{len(records)} records ({captures} captures of the corpus): {', '.join(told)}; each as in the records"


def correlation():
    """What the correlation counts, counted over the records: the fixture holds a client that it finds."""
    lines, _ = fixtures()
    accounts = {}
    for record in map(json.loads, lines):
        if record["event"]["dataset"] == "barewire.finding" and record["rule"]["id"] in EXPOSED and "user" in record:
            hour = record["@timestamp"][:13]
            accounts.setdefault((record["source"]["ip"], hour), set()).add(record["user"]["name"])
    found = [client for client, names in accounts.items() if len(names) >= 5]
    if not found or len(found) == len(accounts):
        raise Failed("the records hold no client with five accounts, or no other")
    return f"{len(found)} of {len(accounts)} clients and hours; converted only, no engine for it here"
