"""What is asked of files of records by the SQL of contrib/fleet, and whether the answer is what it must be."""

import json
import pathlib

FLEET = pathlib.Path(__file__).resolve().parents[2] / "contrib" / "fleet"


def asked(files, view, question):
    import duckdb

    connection = duckdb.connect()
    connection.execute(f"SET VARIABLE files = '{files}'")
    connection.execute((FLEET / "sql" / f"{view}.sql").read_text())
    cursor = connection.execute((FLEET / "sql" / f"{question}.sql").read_text())
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def document(name):
    return json.loads((FLEET / f"{name}.json").read_text())


def as_search(transform):
    """The search whose buckets are the documents of a transform with one group (Elasticsearch makes pages of such ones)."""
    (name, group), = transform["pivot"]["group_by"].items()
    terms = {"terms": {**group["terms"], "size": 1000}, "aggs": transform["pivot"]["aggregations"]}
    return {"size": 0, "query": transform["source"]["query"], "aggs": {name: terms}}


def equal(what, found, wanted):
    assert found == wanted, f"{what}: found {found!r}, wanted {wanted!r}"
