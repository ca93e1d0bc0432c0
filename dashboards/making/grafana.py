"""Grafana's dashboards."""

from .panels import (COLUMNS, INVESTIGATE, INVESTIGATE_LOKI, METRIC_PANELS, OVERVIEW, RECORD_PANELS, ROWS, counted, flow,
                     one_of)


def lucene(where):
    return " AND ".join(f"{field}:{one_of(values, ' OR ')}" for field, values in where)


def label(field):
    """What Loki's `json` stage calls a field."""
    return field.replace(".", "_").replace("@", "_")


def logql_lines(where):
    filters = [f'{label(field)}="{values[0]}"' if len(values) == 1 else f'{label(field)}=~"{"|".join(values)}"' for field, values in where]
    return f'{{job="barewire"}} | json | {" | ".join(filters)}'


def logql(panel):
    by = [label(field) for field in panel["by"]]
    window = "$__auto" if panel["over"] else "$__range"
    named = "".join(f' | {name}!=""' for name in by + ([label(panel["distinct"])] if panel["distinct"] else []))
    number = f"count_over_time({logql_lines(panel['where'])}{named} [{window}])"
    if panel["distinct"]:
        number = f"count{of(by)}(sum by ({', '.join(by + [label(panel['distinct'])])}) ({number}))"
    else:
        number = f"sum{of(by)}({number})"
    return f"topk({ROWS}, {number})" if by and not panel["over"] else number


def of(by):
    return f" by ({', '.join(by)}) " if by else " "


def dashboard(uid, title, description, kind, panels, variables, links, target):
    source = {"type": kind, "uid": "${datasource}"}
    made = []
    for number, (panel, place) in enumerate(flow(panels, 24), 1):
        if isinstance(panel, str):
            made.append({"id": number, "type": "row", "title": panel, "collapsed": False, "gridPos": place, "panels": []})
            continue
        made.append({
            "id": number,
            "title": panel["title"],
            "description": panel["description"],
            "datasource": source,
            "gridPos": place,
            **look(panel),
            "targets": [{"refId": "A", "datasource": source, **target(panel)}],
            "links": links if panel.get("link") else [],
        })
    return {
        "id": None,
        "uid": uid,
        "title": title,
        "description": description,
        "tags": ["barewire"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "time": {"from": "now-24h" if kind == "prometheus" else "now-7d", "to": "now"},
        "refresh": "1m" if kind == "prometheus" else "",
        "timezone": "",
        "annotations": {"list": []},
        "templating": {"list": [
            {"type": "datasource", "name": "datasource", "label": "Data source", "query": kind,
             "current": {"text": "default", "value": "default"}, "options": [],
             "hide": 0, "includeAll": False, "multi": False, "refresh": 1, "regex": ""},
            *variables,
        ]},
        "links": links,
        "panels": made,
    }


# Of the columns of single records; what is not here shares the rest.
WIDTHS = {"account": 120, "client": 115, "conversation": 165, "finding": 205, "mechanism": 110, "outcome": 130, "port": 60,
          "protocol": 95, "server": 115, "severity": 75}


def override(name, **properties):
    return {"matcher": {"id": "byName", "options": name},
            "properties": [{"id": identity, "value": value} for identity, value in properties.items()]}


def look(panel):
    steps = [{"color": color, "value": value} for color, value in panel["steps"]]
    # Grafana takes a text of digits for a number: a port is not 4.19 K, a version of TLS not 1.30.
    unit = panel.get("unit", "string" if panel["kind"] in ("table", "log") else "short")
    defaults = {"unit": unit, "thresholds": {"mode": "absolute", "steps": steps}}
    kind = {"bars": "timeseries", "log": "logs" if panel.get("loki") else "table"}.get(panel["kind"], panel["kind"])
    last = {"calcs": ["lastNotNull"], "fields": "", "values": False}
    options = {
        "stat": {"reduceOptions": last, "colorMode": "value", "graphMode": "none", "textMode": "value", "justifyMode": "auto",
                 "orientation": "auto"},
        "bargauge": {"reduceOptions": last, "displayMode": "basic", "orientation": "horizontal", "showUnfilled": True,
                     "valueMode": "color", "minVizWidth": 8, "minVizHeight": 16},
        "timeseries": {"legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
                       "tooltip": {"mode": "multi", "sort": "desc"}},
        "table": {"showHeader": True, "cellHeight": "sm"},
        "logs": {"showTime": True, "wrapLogMessage": True, "enableLogDetails": True, "sortOrder": "Descending",
                 "showLabels": False, "showCommonLabels": False, "prettifyLogMessage": False, "dedupStrategy": "none"},
    }[kind]
    if kind == "stat" and "where" in panel:
        # A store has no bucket for what was not found.
        defaults["noValue"] = "0"
    if kind in ("timeseries", "bargauge"):
        # Else the least of the values is shown as nothing.
        defaults["min"] = 0
    if kind == "timeseries":
        bars = panel["kind"] == "bars"
        shown = {"mode": "dashed"} if len(steps) > 1 else {"mode": "off"}
        defaults["custom"] = {
            "drawStyle": "bars" if bars else "line", "fillOpacity": 80 if bars else 10, "showPoints": "auto",
            "stacking": {"mode": "normal" if bars else "none", "group": "A"}, "thresholdsStyle": shown,
        }
        # A rate of nothing, which is often shown, is not drawn on a scale up to a hundred.
        softly = {"pps": 1, "cps": 0.1, "ops": 0.1}.get(panel.get("unit"))
        if softly:
            defaults["custom"]["axisSoftMax"] = softly
    overrides = [override(name, color={"mode": "fixed", "fixedColor": color}) for name, color in dict(panel["colors"]).items()]
    if panel["kind"] == "table":
        # What Grafana calls the numbers of buckets; those of Loki have their name by then.
        number = "Unique Count" if panel["distinct"] else "Count"
        overrides.append(override(counted(panel) if panel.get("loki") else number, displayName=counted(panel), **{"custom.width": 85 if panel["distinct"] else 110}))
        if panel["latest"] and not panel.get("loki"):
            overrides.append(override("Max", displayName="last seen", unit="dateTimeAsIso", **{"custom.width": 155}))
    if panel["kind"] == "log" and not panel.get("loki"):
        named = [COLUMNS.get(field) for field in panel["columns"]]
        overrides.append(override("@timestamp", unit="dateTimeAsIso", **{"custom.width": 165}))
        overrides += [override(name, **{"custom.width": WIDTHS[name]}) for name in named if name in WIDTHS]
    made = {"type": kind, "options": options, "fieldConfig": {"defaults": defaults, "overrides": overrides}}
    if panel["kind"] == "table" and panel.get("loki"):
        # Loki gives a series for each row.
        made["transformations"] = [
            {"id": "labelsToFields", "options": {"mode": "columns"}},
            {"id": "merge", "options": {}},
            {"id": "sortBy", "options": {"sort": [{"field": "Value", "desc": True}]}},
            {"id": "organize", "options": {
                "excludeByName": {"Time": True}, "indexByName": {label(field): number for number, field in enumerate(panel["by"])},
                "renameByName": {"Value": counted(panel)}}},
        ]
    if panel["kind"] == "log" and not panel.get("loki"):
        shown = ["@timestamp", *panel["columns"]]
        made["transformations"] = [
            {"id": "filterFieldsByName", "options": {"include": {"names": shown}}},
            {"id": "organize", "options": {
                "excludeByName": {}, "indexByName": {field: number for number, field in enumerate(shown)},
                "renameByName": {field: COLUMNS[field] for field in panel["columns"] if field in COLUMNS}}},
        ]
    return made


def prometheus_target(panel):
    instant = panel["kind"] != "timeseries"
    return {"expr": panel["query"], "legendFormat": panel["legend"], "instant": instant, "range": not instant}


def elasticsearch_target(panel):
    asked = {"query": lucene(panel["where"]), "timeField": "@timestamp"}
    if panel["kind"] == "log":
        return {**asked, "metrics": [{"id": "1", "type": "raw_data", "settings": {"size": "200"}}], "bucketAggs": []}
    distinct = panel["distinct"]
    metrics = [{"id": "1", "type": "cardinality", "field": distinct} if distinct else {"id": "1", "type": "count"}]
    # By the metric; a count has a name of its own there.
    order = {"order": "desc", "orderBy": "1" if distinct else "_count", "min_doc_count": "1", "size": str(ROWS)}
    if panel["latest"]:
        metrics.append({"id": "2", "type": "max", "field": "@timestamp"})
    # The query editor takes no number without a bucket: a field that all records have with one value.
    by = panel["by"] or ["event.module"]
    buckets = [{"id": str(number), "type": "terms", "field": field, "settings": order} for number, field in enumerate(by, 10)]
    if panel["over"]:
        buckets.append({"id": "20", "type": "date_histogram", "field": panel["over"],
                        "settings": {"interval": "auto", "min_doc_count": "0", "trimEdges": "0"}})
    return {**asked, "metrics": metrics, "bucketAggs": buckets}


def loki_target(panel):
    if panel["kind"] == "log":
        return {"expr": logql_lines(panel["where"]), "queryType": "range", "maxLines": 200}
    if panel["over"]:
        return {"expr": logql(panel), "queryType": "range", "legendFormat": " ".join(f"{{{{{label(field)}}}}}" for field in panel["by"])}
    return {"expr": logql(panel), "queryType": "instant"}


def to(title, uid):
    return {"type": "link", "title": title, "url": f"/d/{uid}?${{__url_time_range}}", "targetBlank": False, "icon": "external link",
            "tooltip": "", "tags": [], "asDropdown": False, "includeVars": False, "keepTime": False}


def files():
    instance = {
        "type": "query", "name": "instance", "label": "Sensor", "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "query": {"query": "label_values(barewire_build_info, instance)", "refId": "sensors"},
        "refresh": 2, "regex": "", "sort": 1, "multi": True, "includeAll": True, "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]}, "options": [], "hide": 0,
    }
    narrowed = {"type": "adhoc", "name": "filter", "label": "Filter", "datasource": {"type": "elasticsearch", "uid": "${datasource}"},
                "hide": 0}
    records = [to("Records (Elasticsearch)", INVESTIGATE), to("Records (Loki)", INVESTIGATE_LOKI)]
    back = [to("Overview", OVERVIEW)]
    # Loki is asked when a line came, not when it was first seen.
    loki = [panel if isinstance(panel, str) else {**panel, "loki": True} for panel in RECORD_PANELS
            if isinstance(panel, str) or panel["over"] in (None, "@timestamp")]
    # Which leaves a place beside it.
    loki = [panel if isinstance(panel, str) or panel["key"] != "transport" else {**panel, "width": 24} for panel in loki]
    yield "grafana/overview.json", dashboard(
        OVERVIEW, "barewire: overview", "Is the sensor seeing, what is exposed, is it getting better, do records arrive?",
        "prometheus", METRIC_PANELS, [instance], records, prometheus_target)
    yield "grafana/investigate.json", dashboard(
        INVESTIGATE, "barewire: records", "Which accounts, servers and clients, out of records in Elasticsearch or OpenSearch.",
        "elasticsearch", RECORD_PANELS, [narrowed], back, elasticsearch_target)
    yield "grafana/investigate-loki.json", dashboard(
        INVESTIGATE_LOKI, "barewire: records in Loki", "Which accounts, servers and clients, out of records in Loki.",
        "loki", loki, [], back, loki_target)
