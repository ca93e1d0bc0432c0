"""Names of fields in all files that are shipped: each exists in schema/barewire.v*.json."""

import re

from .bed import ROOT, require, schema_fields

NAME = r"[@a-z_0-9]+(?:\.[@a-z_0-9]+)*"
# How each kind of file names a field, and what there is not of the record but made beside it.
WRITTEN = {
    "contrib/rsyslog/*.conf": [r"\$!([a-z_]+(?:![a-z_]+)*)"],
    "contrib/syslog-ng/*.conf": [rf"\.json\.({NAME})"],
    "contrib/vector/*.vrl": [rf"(?<![\w.)])\.({NAME})"],
    "contrib/logstash/*.conf": [r"(?<!\w)((?:\[[a-z_]+\]){2,})"],
    "contrib/filebeat/*.yml": [rf"^\s+(event\.{NAME}): "],
    "contrib/filebeat/*.js": [rf'Get\("({NAME})"\)'],
    "contrib/fluent-bit/*.lua": [r'((?:record|event|own)\["[a-z_]+"\])'],
    "contrib/fluent-bit/*.conf": [r"Time_Key +(\S+)"],
    "contrib/wazuh/*.xml": [rf'<field name="({NAME})"', rf"_field>({NAME})<", rf"\$\(({NAME})\)"],
    "contrib/splunk/TA-barewire/default/props.conf": [rf'"({NAME})" AS', rf"'({NAME})'=="],
    "contrib/splunk/TA-barewire/default/eventtypes.conf": [rf'"({NAME})"!?='],
    "contrib/splunk/TA-barewire/default/transforms.conf": [r'REGEX = "([a-z]+)":'],
    "contrib/sentinel/*.kql": [
        rf"(?<![\w.\"])((?:event|rule|user|source|destination|barewire)\.{NAME})",
        r"(barewire\['[a-z_]+'\])",
    ],
    "contrib/fleet/sql/ndjson.sql": [rf"""'\$\."?({NAME})"?'"""],
    "contrib/fleet/reuse.json": [rf'"field": "({NAME})"', rf'"term": {{ "({NAME})"'],
    "contrib/fleet/consumer.py": [rf'\("(?:time|text|number|flag)", "({NAME})"\)'],
    "sigma/rules/**/*.yml": [
        rf"^        ({NAME}\.{NAME})(?:\|\w+)*:",
        rf"^        - ({NAME}\.{NAME})$",
        r"^        field: (\S+)",
    ],
    "sigma/pipelines/*.yml": [rf"^      ({NAME}\.{NAME}): ", rf"tostring\(({NAME})\)"],
}
OWN = {"document_id"}


def plain(name):
    """A field's dotted name out of the ways of writing it."""
    name = re.sub(r"^own\[", "barewire[", name.removeprefix("record"))
    return ".".join(re.findall(r"[@a-z_0-9]+", name))


def used(text, patterns):
    found = {plain(name) for pattern in patterns for name in re.findall(pattern, text, re.MULTILINE)}
    return {name for name in found if name not in OWN}


def uncommented(text):
    return "\n".join(line for line in text.splitlines() if not re.match(r"\s*(#|//|--(?!-))", line))


def names():
    known = set(schema_fields())
    # A transform of Splunk's looks at the text of the record.
    known |= {"dataset"}
    count = 0
    for pattern, ways in WRITTEN.items():
        paths = sorted(ROOT.glob(pattern))
        require(paths, f"{pattern}: no such file")
        everything = set()
        for path in paths:
            found = used(uncommented(path.read_text()), ways)
            unknown = found - known
            require(not unknown, f"{path.relative_to(ROOT)}: not in the schema: {', '.join(sorted(unknown))}")
            everything |= found
        require(everything, f"{pattern}: no field was found in it")
        misspelt(paths, ways, known, pattern)
        count += len(everything)
    return f"{count} names in {len(WRITTEN)} kinds of files are all in the schema; a misspelt one in each is not"


def misspelt(paths, ways, known, pattern):
    """The check notices what it is there for."""
    for path in paths:
        text = uncommented(path.read_text())
        for way in ways:
            found = re.search(way, text, re.MULTILINE)
            if found and plain(found[1]) not in OWN:
                wrong = re.sub(r"([a-z_]+)(\W*)$", r"\1x\2", found[1])
                text = text[: found.start(1)] + wrong + text[found.end(1) :]
                require(used(text, ways) - known, f"{pattern}: a misspelt name passes: {wrong}")
                return
    raise AssertionError(pattern)
