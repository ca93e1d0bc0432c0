"""Saved objects of Kibana and of OpenSearch Dashboards."""

import json

from .panels import RECORD_PANELS, ROWS, flow, one_of

VIEW = "barewire-records"
SEARCH_SOURCE = "kibanaSavedObjectMeta"
TO_VIEW = {"id": VIEW, "name": f"{SEARCH_SOURCE}.searchSourceJSON.index", "type": "index-pattern"}


def kuery(where):
    return " and ".join(f"{field}:{one_of(values, ' or ')}" for field, values in where)


def compact(value):
    return json.dumps(value, separators=(",", ":"))


def source(where):
    asked = {"query": {"language": "kuery", "query": kuery(where)}, "filter": [], "indexRefName": TO_VIEW["name"]}
    return {"searchSourceJSON": compact(asked)}


def visualisation(panel):
    distinct = panel["distinct"]
    aggs = [{"id": "1", "enabled": True, "type": "cardinality" if distinct else "count", "schema": "metric",
             "params": {"field": distinct} if distinct else {}}]
    if panel["latest"]:
        aggs.append({"id": "2", "enabled": True, "type": "max", "schema": "metric", "params": {"field": "@timestamp"}})
    if panel["over"]:
        aggs.append({"id": "20", "enabled": True, "type": "date_histogram", "schema": "segment", "params": {
            "field": panel["over"], "interval": "auto", "useNormalizedOpenSearchInterval": True, "useNormalizedEsInterval": True,
            "drop_partials": False, "min_doc_count": 1, "extended_bounds": {}}})
    for number, field in enumerate(panel["by"], 10):
        aggs.append({"id": str(number), "enabled": True, "type": "terms", "schema": "group" if panel["over"] else "bucket", "params": {
            "field": field, "orderBy": "1", "order": "desc", "size": ROWS, "otherBucket": False, "otherBucketLabel": "Other",
            "missingBucket": False, "missingBucketLabel": "Missing"}})
    kind, params = {
        "stat": ("metric", {"addTooltip": True, "addLegend": False, "type": "metric", "metric": {
            "percentageMode": False, "useRanges": False, "colorSchema": "Green to Red", "metricColorMode": "None",
            "colorsRange": [{"from": 0, "to": 10000}], "labels": {"show": True}, "invertColors": False,
            "style": {"bgFill": "#000", "bgColor": False, "labelColor": False, "subText": "", "fontSize": 48}}}),
        "table": ("table", {"perPage": 10, "showPartialRows": False, "showMetricsAtAllLevels": False, "showTotal": False,
                            "totalFunc": "sum", "percentageCol": ""}),
        "bars": ("histogram", {
            "type": "histogram", "grid": {"categoryLines": False}, "addTooltip": True, "addLegend": True, "legendPosition": "right",
            "times": [], "addTimeMarker": False, "labels": {"show": False},
            "thresholdLine": {"show": False, "value": 10, "width": 1, "style": "full", "color": "#E7664C"},
            "categoryAxes": [{"id": "CategoryAxis-1", "type": "category", "position": "bottom", "show": True, "style": {},
                              "scale": {"type": "linear"}, "labels": {"show": True, "filter": True, "truncate": 100}, "title": {}}],
            "valueAxes": [{"id": "ValueAxis-1", "name": "LeftAxis-1", "type": "value", "position": "left", "show": True, "style": {},
                           "scale": {"type": "linear", "mode": "normal"}, "labels": {"show": True, "rotate": 0, "filter": False,
                           "truncate": 100}, "title": {"text": ""}}],
            "seriesParams": [{"show": True, "type": "histogram", "mode": "stacked", "data": {"label": panel["title"], "id": "1"},
                              "valueAxis": "ValueAxis-1", "drawLinesBetweenPoints": True, "lineWidth": 2, "showCircles": True}]}),
    }[panel["kind"]]
    return {"title": panel["title"], "type": kind, "aggs": aggs, "params": params}


# Of each product: the pattern of the indices, and how an object says for which version it was written.
PRODUCTS = {
    "kibana": ("logs-barewire.*-*", lambda kind: {
        "coreMigrationVersion": "8.8.0", "managed": False,
        "typeMigrationVersion": {"index-pattern": "8.0.0", "search": "8.0.0", "visualization": "8.5.0", "dashboard": "8.9.0"}[kind]}),
    "opensearch": ("barewire-*", lambda kind: {
        "migrationVersion": {kind: {"index-pattern": "7.6.0", "search": "7.9.3", "visualization": "7.10.0", "dashboard": "7.9.3"}[kind]}}),
}


def objects(product):
    indices, version = PRODUCTS[product]

    def made(kind, identity, attributes, references):
        return {"type": kind, "id": identity, **version(kind), "attributes": attributes, "references": references}

    yield made("index-pattern", VIEW, {"title": indices, "timeFieldName": "@timestamp"}, [])
    panels, references = [], []
    shown = [panel for panel in RECORD_PANELS if not isinstance(panel, str)]
    for number, (panel, place) in enumerate(flow(shown, 48, scale=2)):
        identity = f"barewire-{panel['key']}"
        kind = "search" if panel["kind"] == "log" else "visualization"
        head = {"title": f"barewire: {panel['title']}", "description": panel["description"]}
        if kind == "search":
            attributes = {**head, "hits": 0, "columns": panel["columns"], "sort": [["@timestamp", "desc"]], "version": 1}
        else:
            attributes = {**head, "visState": compact(visualisation(panel)), "uiStateJSON": "{}", "version": 1}
        yield made(kind, identity, {**attributes, SEARCH_SOURCE: source(panel["where"])}, [TO_VIEW])
        index = str(number)
        name = f"panel_{index}"
        panels.append({"version": "8.9.0" if product == "kibana" else "2.11.0", "type": kind, "gridData": {**place, "i": index},
                       "panelIndex": index, "embeddableConfig": {"enhancements": {}}, "title": panel["title"], "panelRefName": name})
        # Kibana puts the panel's index before the name.
        references.append({"id": identity, "name": f"{index}:{name}" if product == "kibana" else name, "type": kind})
    everything = {"query": {"language": "kuery", "query": ""}, "filter": []}
    yield made("dashboard", "barewire-records-dashboard", {
        "title": "barewire: records",
        "description": "Which accounts, servers and clients expose credentials.",
        "hits": 0, "version": 1, "timeRestore": True, "timeFrom": "now-7d", "timeTo": "now",
        "refreshInterval": {"pause": True, "value": 0},
        "optionsJSON": compact({"useMargins": True, "hidePanelTitles": False}),
        "panelsJSON": compact(panels),
        SEARCH_SOURCE: {"searchSourceJSON": compact(everything)},
    }, references)
