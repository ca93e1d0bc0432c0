"""The page that has each panel, what it asks, and what shows that the question is right."""

import json

from . import grafana, saved, splunk

HEAD = """# Panels, their questions, and their proofs

Written by `dashboards/generate`. Proofs are tests of `cargo test --test dashboards`; those above a table hold for all of its rows.
`rendered` is run where `BAREWIRE_RENDERED` asks for it.
"""
WRITTEN = "`the_files_are_what_the_generator_writes`"
LEADS = "`every_identifier_leads_somewhere`"
TYPED = "`types::grafanas_own_types_have_each_part_of_its_dashboards`"
FIELDS = "`every_field_is_one_of_the_schema`"
SAME = "`the_same_panel_asks_the_same_of_every_store`"
STORE = "`store::every_question_to_the_store_has_the_number_of_its_records`"
# Of each dashboard: its title here, the proof that its questions are right, and what else holds for each of its panels.
PROOFS = {
    "overview": (
        "Grafana, metrics", "`prometheus::every_question_to_prometheus_is_answered`",
        ["`every_metric_and_every_value_of_a_label_is_one_of_the_page`", TYPED, "`rendered::rendered_overview`", LEADS, WRITTEN]),
    "investigate": (
        "Grafana, records in Elasticsearch or OpenSearch", STORE, [FIELDS, TYPED, "`rendered::rendered_records`", LEADS, WRITTEN]),
    "investigate-loki": (
        "Grafana, records in Loki", "`types::grafanas_grammar_understands_each_question_to_loki`",
        [FIELDS, TYPED, "`rendered::rendered_records`", LEADS, WRITTEN, "not that Loki answers"]),
    "kibana": (
        "Kibana", SAME, [f"{STORE}, for the same queries", FIELDS, LEADS, WRITTEN, "not that Kibana opens it"]),
    "opensearch": (
        "OpenSearch Dashboards", SAME,
        [f"{STORE}, for the same queries", FIELDS, LEADS, WRITTEN, "not that OpenSearch Dashboards opens it"]),
    "splunk": (
        "Splunk", "`splunk::each_search_reads_only_fields_that_are_there`",
        ["`splunk::the_view_asks_for_the_records_that_other_dashboards_ask_for`", "`splunk::splunks_own_validator_takes_its_view`",
         "`splunk::whatever_the_view_names_is_in_it`", WRITTEN, "not that Splunk answers"]),
}


def elasticsearch_question(target):
    """A target in words: of which records, which number, by what."""
    numbers = [metric["type"] + (f"({metric['field']})" if "field" in metric else "") for metric in target["metrics"]]
    by = [("over " if bucket["type"] == "date_histogram" else "by ") + bucket["field"] for bucket in target["bucketAggs"]]
    return f"{target['query']} → {', '.join(numbers)}{' ' if by else ''}{', '.join(by)}"


def kibana_question(objects, panel):
    attributes = next(made["attributes"] for made in objects if made["id"] == panel)
    query = json.loads(attributes[saved.SEARCH_SOURCE]["searchSourceJSON"])["query"]["query"]
    if "visState" not in attributes:
        return query
    aggs = json.loads(attributes["visState"])["aggs"]
    parts = [agg["type"] + (f"({agg['params']['field']})" if "field" in agg["params"] else "") for agg in aggs]
    return f"{query} → {', '.join(parts)}"


def rows():
    """Of each dashboard its name, and its panels with what they ask."""
    for name, made in grafana.files():
        name = name.removeprefix("grafana/").removesuffix(".json")
        asking = [(panel["title"], panel["targets"][0]) for panel in made["panels"] if panel["type"] != "row"]
        yield name, [(title, target.get("expr") or elasticsearch_question(target)) for title, target in asking]
    for product in saved.PRODUCTS:
        objects = list(saved.objects(product))
        shown = [made for made in objects if made["type"] in ("visualization", "search")]
        yield product, [(made["attributes"]["title"].removeprefix("barewire: "), kibana_question(objects, made["id"])) for made in shown]
    definition = splunk.definition()
    asking = [panel for panel in definition["visualizations"].values() if "dataSources" in panel]
    yield "splunk", [(panel["title"], definition["dataSources"][panel["dataSources"]["primary"]]["options"]["query"]) for panel in asking]


def page():
    parts = [HEAD]
    for name, asked in rows():
        title, proof, others = PROOFS[name]
        parts.append(f"\n## {title}\n\n{len(asked)} panels: {'; '.join(others)}.\n\n| panel | query | proof |\n| --- | --- | --- |\n")
        # A vertical bar ends a cell, within code as well.
        parts += ["| {} | `{}` | {} |\n".format(panel, query.replace("|", "\\|"), proof) for panel, query in asked]
    return "".join(parts)
