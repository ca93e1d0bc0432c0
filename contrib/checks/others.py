"""Receivers that cannot be had here: what of their files can be run, parsed or compared without them."""

import json
import re
import subprocess
import tarfile
import xml.etree.ElementTree as xml

from .bed import (CONTRIB, ROOT, Failed, Skipped, document_id, leaves, office, program, require, run, schema_fields, scratch, told,
                  tool)


def python_package(name):
    try:
        return __import__(name)
    except ImportError as why:
        raise Skipped(f"{name} is missing: contrib/check --install{'' if name != 'vector_vrl' else ', with Python 3.12 or later'}") from why


def records():
    lines = office() + told()
    require(any(document_id(json.loads(line)) != json.loads(line)["event"]["id"] for line in lines), "no count above one")
    return lines


# --- Vector -------------------------------------------------------------------------------------


def vector():
    """Vector's own compiler and runtime of VRL over real records: the same record, and the sensor's own name for it."""
    vrl = python_package("vector_vrl")
    yaml = python_package("yaml")
    source = (CONTRIB / "vector" / "barewire.vrl").read_text()
    config = yaml.safe_load((CONTRIB / "vector" / "barewire.yaml").read_text())
    inputs = set(config["sources"]) | set(config["transforms"]) | {f"{name}.dropped" for name in config["transforms"]}
    for part in [*config["transforms"].values(), *config["sinks"].values()]:
        require(set(part["inputs"]) <= inputs, f"no such input: {part['inputs']}")
    require(vrl.validate_vrl(source).success, str(vrl.validate_vrl(source)))
    require(not vrl.validate_vrl(source.replace("parse_json!", "parse_jsn!")).success, "any program compiles")
    lines = records()
    strange = ["no record", "[]", '{"event":{"dataset":"another"}}', '{"event":{"dataset":"barewire.finding"}}']
    answers = vrl.execute_vrl(source, [json.dumps({"message": line}) for line in lines + strange])
    for line, answer in zip(lines, answers):
        record = json.loads(line)
        expected = {**record, "document_id": document_id(record)}
        # Nested values come back as text of JSON.
        found = {name: json.loads(value) if isinstance(expected.get(name), dict) else value for name, value in answer.items()}
        require(found == expected, f"not the record: {answer}")
    require(all("error" in answer for answer in answers[len(lines) :]), "what is no record goes on")
    return f"VRL compiles and keeps {len(lines)} records as they were, each under the sensor's name for it"


# --- Logstash -----------------------------------------------------------------------------------


def logstash():
    """The pipeline by a grammar of Logstash's language."""
    parser = python_package("logstash_pipeline_parser")
    text = (CONTRIB / "logstash" / "barewire.conf").read_text()
    parsed = parser.Pipeline(text).parse()
    require([section[0] for section in parsed] == ["input", "filter", "output"], f"sections: {parsed}")
    try:
        parser.Pipeline(text.replace("=>", "=", 1)).parse()
    except Exception:
        return "parsed; a broken one is refused"
    raise Failed("the parser passes anything")


# --- Filebeat, Fluent Bit -----------------------------------------------------------------------


def filebeat():
    """YAML parsed; the script run by node over real records."""
    yaml = python_package("yaml")
    folder = CONTRIB / "filebeat"
    config = yaml.safe_load((folder / "filebeat.yml").read_text())
    require(config["filebeat.inputs"][0]["type"] == "filestream", "not understood")
    kinds = re.compile(config["processors"][0]["drop_event"]["when"]["not"]["regexp"]["event.dataset"])
    lines = records()
    require(all(kinds.match(json.loads(line)["event"]["dataset"]) for line in lines), "a record is dropped")
    require(not kinds.match("another.finding"), "what is no record is kept")
    harness = """
        const lines = require("fs").readFileSync(0, "utf8").trim().split("\\n");
        console.log(JSON.stringify(lines.map((line) => {
            const record = JSON.parse(line);
            const put = {};
            process({ Get: (path) => path.split(".").reduce((at, name) => (at == null ? null : at[name]), record) ?? null,
                      Put: (path, value) => { put[path] = value; } });
            return put;
        })));"""
    script = (folder / "document-id.js").read_text()
    done = subprocess.run([program("node"), "-e", script + harness], input="\n".join(lines), capture_output=True, text=True)
    require(done.returncode == 0, done.stderr)
    expected = [{"@metadata._id": document_id(json.loads(line))} for line in lines]
    require(json.loads(done.stdout) == expected, "another name than the sensor's")
    return f"YAML parsed; the script names {len(lines)} records as the sensor does"


def fluent_bit():
    """The sections parsed; the script run by a Lua over real records."""
    lupa = python_package("lupa")
    folder = CONTRIB / "fluent-bit"
    for name in ("fluent-bit.conf", "parsers.conf"):
        for line in (folder / name).read_text().splitlines():
            require(re.fullmatch(r"|#.*|\[[A-Z]+\]|    [A-Za-z_.]+ +\S.*", line), f"{name}: {line}")
    lua = lupa.LuaRuntime(unpack_returned_tuples=True)
    lua.execute((folder / "document-id.lua").read_text())
    call = lua.globals().document_id
    lines = records()
    for line in lines:
        record = json.loads(line)
        code, _, made = call("barewire", 0, lua.table_from(record, recursive=True))
        require((code, made["document_id"]) == (2, document_id(record)), f"{code}: {line}")
    for strange in ({}, {"event": "text"}, {"event": {}}, {"event": {"id": "X"}}):
        require(call("barewire", 0, lua.table_from(strange, recursive=True))[0] == -1, f"what is no record goes on: {strange}")
    return f"sections parsed; the script names {len(lines)} records as the sensor does"


# --- Wazuh --------------------------------------------------------------------------------------


def wazuh():
    """Well-formed; each field resolved in real records, and what each rule takes counted by our reading of Wazuh's."""
    xml.fromstring((CONTRIB / "wazuh" / "localfile.xml").read_text())
    rules = xml.fromstring((CONTRIB / "wazuh" / "barewire_rules.xml").read_text()).findall("rule")
    numbers = [rule.get("id") for rule in rules]
    require(len(set(numbers)) == len(numbers) and all("100800" <= number <= "100899" for number in numbers), str(numbers))
    lines = [json.loads(line) for line in records()]
    for record in lines:
        # "Arrays of objects are not supported" by its JSON decoder.
        require(not nested_objects(record), "a list of objects")
    present = set().union(*map(leaves, lines))
    for element in xml.fromstring((CONTRIB / "wazuh" / "barewire_rules.xml").read_text()).iter():
        names = [element.get("name")] if element.tag == "field" else []
        names += [element.text] if element.tag in ("same_field", "different_field") else []
        names += re.findall(r"\$\(([^)]+)\)", element.text or "")
        require(set(names) <= present, f"in no record: {set(names) - present}")
    counts = {}
    for record in lines:
        taken = deepest(rules, None, record)
        counts[taken] = counts.get(taken, 0) + 1
    silent = [n for rule in rules for n in [rule.get("id")] if n not in counts and rule.find("if_matched_sid") is None]
    require(not silent, f"no record for {silent}")
    meant = sum(record["event"]["dataset"] != "barewire.session" for record in lines)
    require(len(lines) - counts.get(None, 0) == meant, f"findings and logins left over: {counts}")
    shown = ", ".join(f"{number} {count}" for number, count in sorted(counts.items(), key=str) if number)
    return f"well-formed; of {len(lines)} records by our reading: {shown}"


def nested_objects(value):
    if isinstance(value, dict):
        return any(map(nested_objects, value.values()))
    return isinstance(value, list) and any(isinstance(item, (dict, list)) for item in value)


def deepest(rules, parent, record):
    """The rule that a record ends at: the first sibling that matches, then its children."""
    for rule in rules:
        above = rule.find("if_sid")
        if (above.text if above is not None else None) != parent or rule.find("if_matched_sid") is not None:
            continue
        if all(matches(field.text, at(record, field.get("name"))) for field in rule.findall("field")):
            return deepest(rules, rule.get("id"), record) or rule.get("id")
    return None


def at(record, path):
    for name in path.split("."):
        record = record.get(name, {}) if isinstance(record, dict) else {}
    return "" if record == {} else str(record)


def matches(expression, text):
    """OS_Regex of whole words only, which is all that the rules use; a dot is a dot."""
    words = expression.split("|")
    require(all(re.fullmatch(r"\^[a-z.-]+\$", word) for word in words), f"more than whole words: {expression}")
    return text in [word[1:-1] for word in words]


# --- Splunk -------------------------------------------------------------------------------------


def splunk():
    """Splunk's own inspection; line breaks, time stamps and source types tried on real records."""
    inspect = tool("splunk-appinspect")
    lines = office() + told()
    text = (CONTRIB / "splunk" / "TA-barewire" / "default" / "transforms.conf").read_text()
    kind = re.compile(re.search(r"^REGEX = (.*)$", text, re.MULTILINE)[1])
    for line in lines:
        dataset = json.loads(line)["event"]["dataset"]
        # User names and banners are strangers' text: a quote in them is escaped, so that they cannot match.
        require(["barewire." + found for found in kind.findall(line)] == [dataset], f"another source type: {line}")
    props = (CONTRIB / "splunk" / "TA-barewire" / "default" / "props.conf").read_text()
    prefix = re.search(r"^TIME_PREFIX = (.*)$", props, re.MULTILINE)[1]
    limit = int(re.search(r"^TRUNCATE = (\d+)$", props, re.MULTILINE)[1])
    stamp = re.compile(prefix + r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
    require(all(stamp.match(line) and len(line) < limit for line in lines), "a time stamp is elsewhere, or a line too long")
    views = []
    with scratch() as folder:
        package = folder / "TA-barewire.tar.gz"
        with tarfile.open(package, "w:gz") as tar:
            tar.add(CONTRIB / "splunk" / "TA-barewire", "TA-barewire", filter=owned_by_nobody)
            # As contrib/splunk/README.md has it packed: with the dashboard.
            for view in sorted((ROOT / "dashboards" / "splunk").glob("*.xml")):
                tar.add(view, f"TA-barewire/default/data/ui/views/{view.name}", filter=owned_by_nobody)
                views.append(view.name)
        report = folder / "report.json"
        status, said = run(inspect, "inspect", package, "--mode", "precert", "--data-format", "json", "--output-file", report)
        require(report.exists(), said[-2000:])
        summary = json.loads(report.read_text())["summary"]
        faults = {name: summary[name] for name in ("error", "failure", "future_failure") if summary.get(name)}
        require(not faults, f"{faults}\n{said[-3000:]}")
    require(views, "no dashboard was packed")
    return f"appinspect: {summary['success']} successes, {summary['warning']} warnings, no failure; {len(lines)} records fit"


def owned_by_nobody(entry):
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    entry.mode = 0o755 if entry.isdir() else 0o644
    return entry


# --- Microsoft Sentinel --------------------------------------------------------------------------


def sentinel():
    """The columns of the table and of the data collection rule are the records' own names."""
    folder = CONTRIB / "sentinel"
    table = json.loads((folder / "table.json").read_text())["resources"][0]["properties"]["schema"]["columns"]
    rule = json.loads((folder / "dcr.json").read_text())["resources"][0]["properties"]
    declared = rule["streamDeclarations"]["Custom-Barewire"]["columns"]
    plain = [{"name": column["name"], "type": column["type"]} for column in table]
    require(declared == plain, "dcr.json declares other columns than table.json has")
    ours = {path.split(".")[0] for path in schema_fields()} - {"@timestamp"}
    require({column["name"] for column in plain} == ours | {"TimeGenerated"}, "the columns are not the records' fields")
    for line in told():
        record = json.loads(line)
        for column in plain:
            value = record.get(column["name"], {} if column["type"] == "dynamic" else "")
            require(isinstance(value, {"dynamic": dict, "string": str, "datetime": str}[column["type"]]), column["name"])
    return f"{len(plain)} columns, in the table and the rule alike"
