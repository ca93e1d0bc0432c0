"""A view of Splunk's Dashboard Studio for the add-on in contrib/splunk."""

import json

from .panels import BLUE, COLUMNS, GREEN, PLAIN, RECORD_PANELS, RED, ROWS, SESSIONS, counted, flow, record

# Where the add-on says in the source type what the records say in these fields.
SOURCETYPES = {"event.dataset": "barewire:{}", "event.module": "barewire:*"}
SHADES = {GREEN: "#118832", RED: "#D41F1F", BLUE: "#006D9C", "dark-red": "#8A1010", "orange": "#D97A0D", "yellow": "#E0B400",
          "gray": "#7F8790"}
# How records write times.
STAMP = "%Y-%m-%dT%H:%M:%S.%6N%Z"

# A share takes arithmetic, which the other stores of records leave to the metrics.
SHARE = record(
    "share", "share", "Mail connections without TLS, percent", "Share of the mail connections that stayed in clear, by protocol, of "
    "those of which that is known. A migration brings the line to 0. Empty without records of sessions.",
    SESSIONS + [("tls.established", ["*"])], by=["network.protocol"], over="@timestamp", width=24, height=8,
)


def panels():
    for panel in RECORD_PANELS:
        yield panel
        if not isinstance(panel, str) and panel["key"] == "protection":
            yield SHARE


def condition(field, values):
    if field in SOURCETYPES:
        field, values = "sourcetype", [SOURCETYPES[field].format(value.removeprefix("barewire.")) for value in values]
    quoted = [f'"{value}"' for value in values]
    return f"{field}={quoted[0]}" if len(quoted) == 1 else f"{field} IN ({', '.join(quoted)})"


def found(where):
    return " ".join(['index="$index$"', *(condition(field, values) for field, values in where)])


def renamed(fields):
    return ", ".join(f"{field} AS {COLUMNS[field]}" for field in fields if field in COLUMNS)


def spl(panel):
    asked, by = found(panel["where"]), [*panel["by"], *(["host"] if panel["host"] else [])]
    number = f"dc({panel['distinct']})" if panel["distinct"] else "count"
    if panel["kind"] == "stat":
        return f"{asked} | stats {number} AS number"
    if panel["kind"] == "log":
        columns = panel["columns"]
        return f"{asked} | head 200 | table _time, {', '.join(columns)} | rename {renamed(columns)}"
    if panel["kind"] == "share":
        return f"{asked} | eval clear=if('tls.established'==\"false\", 100, 0) | timechart limit={ROWS} avg(clear) BY {by[0]}"
    if panel["over"]:
        moved = "" if panel["over"] == "@timestamp" else f" | eval _time=strptime('{panel['over']}', \"{STAMP}\")"
        return f"{asked}{moved} | timechart limit={ROWS} {number} BY {by[0]}"
    what = counted(panel)
    latest, told = (", max(_time) AS last_seen", ' | eval last_seen=strftime(last_seen, "%F %T")') if panel["latest"] else ("", "")
    return f"{asked} | stats {number} AS {what}{latest} BY {', '.join(by)} | sort {ROWS} -{what}{told} | rename {renamed(by)}"


def behind(panel):
    """The records behind a panel, and behind the row of a table that was clicked. `|s` quotes what a stranger chose."""
    fields = [*panel["by"], *(["host"] if panel["host"] else [])] if panel["kind"] == "table" else []
    if panel["kind"] == "log":
        fields = ["barewire.conversation"] if "barewire.conversation" in panel["columns"] else ["network.community_id"]
    row = [f"{field}=$row.{COLUMNS.get(field, field)}.value|s$" for field in fields]
    return " ".join([found(panel["where"]), *row])


def visualisation(panel):
    quiet = {"xAxisTitleVisibility": "hide", "yAxisTitleVisibility": "hide", "legendDisplay": "bottom"}
    kind, options = {
        "stat": ("splunk.singlevalue", {"majorColor": "> majorValue | rangeValue(limits)"}),
        "table": ("splunk.table", {"count": 10}),
        "log": ("splunk.table", {"count": 20}),
        "bars": ("splunk.column", {"stackMode": "stacked", **quiet}),
        "share": ("splunk.line", {"yAxisMin": 0, "yAxisMax": 100, **quiet}),
    }[panel["kind"]]
    if panel["colors"]:
        options["seriesColorsByField"] = {name: SHADES[color] for name, color in panel["colors"].items()}
    made = {
        "type": kind,
        "title": panel["title"],
        "description": panel["description"],
        "dataSources": {"primary": f"ds_{panel['key']}"},
        "options": options,
        "eventHandlers": [{"type": "drilldown.linkToSearch", "options": {
            "type": "custom", "query": behind(panel), "earliest": "$global_time.earliest$", "latest": "$global_time.latest$",
            "newTab": True}}],
    }
    if panel["kind"] == "stat":
        steps = panel["steps"] or PLAIN
        ends = [value for _, value in steps[1:]]
        made["context"] = {"limits": [
            {"value": SHADES[color], **({} if value is None else {"from": value}), **({"to": end} if end is not None else {})}
            for (color, value), end in zip(steps, [*ends, None])]}
    return made


def definition():
    shown, sources, structure = {}, {}, []
    below = 0
    for number, (panel, place) in enumerate(flow(panels(), 24)):
        position = {"x": place["x"] * 60, "y": place["y"] * 40, "w": place["w"] * 60, "h": place["h"] * 40}
        below = max(below, position["y"] + position["h"])
        if isinstance(panel, str):
            key = f"head_{number}"
            shown[key] = {"type": "splunk.markdown", "options": {"markdown": f"### {panel}"}}
        else:
            key = f"viz_{panel['key']}"
            shown[key] = visualisation(panel)
            sources[f"ds_{panel['key']}"] = {"type": "ds.search", "name": panel["title"], "options": {"query": spl(panel)}}
        structure.append({"item": key, "type": "block", "position": position})
    times = {"earliest": "$global_time.earliest$", "latest": "$global_time.latest$"}
    return {
        "title": TITLE,
        "description": DESCRIPTION,
        "dataSources": sources,
        "visualizations": shown,
        "inputs": {
            "input_time": {"type": "input.timerange", "title": "Time", "options": {"token": "global_time", "defaultValue": "-7d@d,now"}},
            "input_index": {"type": "input.text", "title": "Index", "options": {"token": "index", "defaultValue": "*"}},
        },
        "defaults": {"dataSources": {"ds.search": {"options": {"queryParameters": times}}}},
        "layout": {
            "type": "absolute",
            "options": {"width": 1440, "height": below, "display": "auto"},
            "globalInputs": ["input_time", "input_index"],
            "structure": structure,
        },
    }


TITLE = "barewire: records"
DESCRIPTION = "Which accounts, servers and clients expose credentials, and whether the sensor sees."


def view():
    return f"""<dashboard version="2" theme="light">
    <label>{TITLE}</label>
    <description>{DESCRIPTION}</description>
    <definition><![CDATA[
{json.dumps(definition(), indent=2)}
    ]]></definition>
</dashboard>
"""
