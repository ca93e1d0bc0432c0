"""Holds events against the packaged schema of OCSF 1.8.0, and what was spoilt in them, which must be refused."""
import copy
import json
import sys

from jsonschema import Draft202012Validator
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

schemas = OcsfJsonSchemaEmbedded(get_ocsf_schema(version="1.8.0"))
validators = {}


def validator(event):
    uid = event["class_uid"]
    if uid not in validators:
        name = schemas.lookup_class_name_from_uid(class_uid=uid)
        validators[uid] = Draft202012Validator(schemas.get_class_schema(class_name=name))
    return validators[uid]


def without(name):
    return lambda event: event.pop(name)


def put(value, *path):
    def change(event):
        for part in path[:-1]:
            event = event[part]
        event[path[-1]] = value

    return change


COMMON = [
    without("metadata"),
    without("time"),
    without("severity_id"),
    put("soon", "time"),
    put(7, "severity_id"),
    put(1, "type_uid"),
    put(True, "no_such_field"),
    put("x", "metadata", "product"),
    put(None, "message"),
]
OWN = {
    2004: [without("finding_info"), put(1, "finding_info", "uid"), put({}, "evidences"), put("T1040", "finding_info", "attacks")],
    3002: [without("user"), put({}, "user"), put("yes", "is_cleartext"), put("10.0.0.300.1", "dst_endpoint", "ip")],
    4001: [put({}, "connection_info"), put(70000, "src_endpoint", "port"), put("1", "traffic", "bytes")],
}

count = 0
mutants = 0
classes = {}
wrong = []
with open(sys.argv[1]) as records, open(sys.argv[2]) as events:
    for record, line in zip(records, events, strict=True):
        record, event = json.loads(record), json.loads(line)
        count += 1
        errors = [f"{list(e.path)}: {e.message[:200]}" for e in validator(event).iter_errors(event)]
        if errors:
            wrong.append((errors, line))
        if event["type_uid"] != event["class_uid"] * 100 + event["activity_id"]:
            wrong.append((["type_uid"], line))
        if event["metadata"]["uid"].split("-")[0] != record["event"]["id"]:
            wrong.append((["metadata.uid"], line))
        seen = classes.get(event["class_uid"], 0)
        classes[event["class_uid"]] = seen + 1
        # Spoiling a few of each class is enough to see that the schema is heeded.
        if seen < 5:
            for number, spoil in enumerate(COMMON + OWN[event["class_uid"]]):
                spoilt = copy.deepcopy(event)
                try:
                    spoil(spoilt)
                except KeyError:
                    continue
                if spoilt == event:
                    continue
                mutants += 1
                if validator(spoilt).is_valid(spoilt):
                    wrong.append(([f"mutant {number} was taken"], line))

for errors, line in wrong[:10]:
    print(errors, line)
print(f"{count} records, {mutants} mutants, {classes}, {len(wrong)} wrong")
sys.exit(bool(wrong) or mutants < 100 or set(classes) != {2004, 3002, 4001})
