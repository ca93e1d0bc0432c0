"""Reads CEF with pycef and holds each key against the field of the record that it must be."""
import datetime
import ipaddress
import json
import re
import sys

import pycef


def at(record, path):
    for part in path.split("."):
        record = record.get(part) if isinstance(record, dict) else None
    return record


def text(value):
    if value is None or value == "":
        return None
    if isinstance(value, list):
        return ",".join(value)
    if isinstance(value, bool):
        return str(value).lower()
    return "".join(c if " " <= c <= "~" else "\\u{%x}" % ord(c) for c in str(value))


def millis(value):
    if value is None:
        return None
    time = datetime.datetime.fromisoformat(value.replace("Z", "+00:00"))
    since = time - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
    return str(since // datetime.timedelta(milliseconds=1))


def address(version):
    return lambda value: value if value and ipaddress.ip_address(value).version == version else None


# Keys as ArcSight names them, or the labels of those that are numbered.
FIELDS = {
    "rt": ("@timestamp", millis),
    "start": ("event.start", millis),
    "end": ("event.end", millis),
    "externalId": ("event.id", text),
    "cat": ("event.dataset", text),
    "act": ("event.action", text),
    "outcome": ("event.outcome", text),
    "src": ("source.ip", address(4)),
    "Source IPv6 Address": ("source.ip", address(6)),
    "spt": ("source.port", text),
    "dst": ("destination.ip", address(4)),
    "Destination IPv6 Address": ("destination.ip", address(6)),
    "dpt": ("destination.port", text),
    "proto": ("network.transport", text),
    "app": ("network.protocol", text),
    "suser": ("user.name", text),
    "sntdom": ("user.domain", text),
    "cnt": ("barewire.count", text),
    "truncated": ("barewire.truncated", text),
    "reason": ("barewire.login.outcome", text),
    "mechanism": ("barewire.login.mechanism", text),
    "fingerprint": ("barewire.login.fingerprint", text),
    "communityId": ("network.community_id", text),
    "confidence": ("barewire.confidence", text),
    "starttlsOffer": ("barewire.starttls.offer", text),
    "attackTechniques": ("threat.technique.id", text),
    "packet": ("barewire.packet", text),
    "loginOrdinal": ("barewire.login.ordinal", text),
    "loginAttempts": ("barewire.login.attempts", text),
    "messagesInClear": ("barewire.messages_in_clear", text),
    "in": ("source.bytes", text),
    "out": ("destination.bytes", text),
    "dvchost": ("observer.name", text),
    "deviceInboundInterface": ("observer.ingress.interface.name", text),
    "conversation": ("barewire.conversation", text),
    "filePath": ("log.file.path", text),
    "msg": ("message", text),
}
SEVERITY = {"critical": "10", "high": "8", "medium": "5", "low": "3", "info": "1", None: "0"}
HEADER = {
    "CEFVersion": lambda record: "0",
    "DeviceVendor": lambda record: "barewire",
    "DeviceProduct": lambda record: "barewire",
    "DeviceVersion": lambda record: record["observer"]["version"],
    "DeviceEventClassID": lambda record: record["event"]["action"],
    "DeviceSeverity": lambda record: SEVERITY[at(record, "barewire.severity")],
}



def differences(record, line):
    """What an event says otherwise than its record."""
    read = pycef.parse(line)
    if read is None:
        return ["not read"]
    found = [name for name, wanted in HEADER.items() if read[name] != wanted(record)]
    # pycef finds where a value ends and leaves its escapes in it.
    read = {key: re.sub(r"\\([=\\])", r"\1", value) for key, value in read.items()}
    cut = read.get("truncated") == "true"
    for key, (path, form) in FIELDS.items():
        if read.get(key) != form(at(record, path)) and not cut:
            found.append(key)
    found += set(read) - set(FIELDS) - set(HEADER) - {"Name", "DeviceName", "Severity"}
    return found


count = 0
fields = 0
mutants = 0
wrong = []
with open(sys.argv[1]) as records, open(sys.argv[2]) as events:
    for record, line in zip(records, events, strict=True):
        record, line = json.loads(record), line.rstrip("\n")
        count += 1
        fields += sum(form(at(record, path)) is not None for path, form in FIELDS.values())
        found = differences(record, line)
        if found:
            wrong.append((found, line))
        # That each key is looked at shows in what is left out of some.
        if count % 100 == 0:
            for key, (path, form) in FIELDS.items():
                spoilt = re.sub(rf"(^|[| ]){key}=", r"\1spoilt=", line)
                if spoilt != line:
                    mutants += 1
                    if not differences(record, spoilt):
                        wrong.append((key, "may be missing", line))

for each in wrong[:10]:
    print(each)
print(f"{count} records, {fields} fields, {mutants} mutants, {len(wrong)} wrong")
sys.exit(bool(wrong) or fields < 10 * count or mutants < 100)
