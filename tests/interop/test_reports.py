"""Reports in other programs: JSON is checked against the published schema, Python reads CSV, Polars reads Parquet."""

import csv
import json
import os
import pathlib
import subprocess

import jsonschema
import polars
import pytest

STORE = pathlib.Path(os.environ["BOXSEAT_INTEROP_STORE"])
BINARY = os.environ["BOXSEAT_INTEROP_BINARY"]
SCHEMA = json.loads((pathlib.Path(__file__).resolve().parents[2] / "docs" / "report.schema.json").read_text())
REPORTS = ["licences", "idle", "suspended", "reclaimable", "access", "movers", "runs"]
ALL = [*[[name] for name in REPORTS], ["licences", "--by", "role"], ["licences", "--by", "group"], ["idle", "--days", "0"]]


def report(*args):
    command = [BINARY, "--store", str(STORE), "--config", os.devnull, "report", *args]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def validator():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    return jsonschema.Draft202012Validator(SCHEMA)


def columns_fit(table):
    """Checks outside the schema: every row has exactly the columns of the table, and a chart uses some of them."""
    names = [column["id"] for column in table["columns"]]
    assert len(set(names)) == len(names)
    assert all(sorted(row) == sorted(names) for row in table["rows"])
    chart = table["chart"]
    assert chart is None or set([chart["x"], *chart["series"]]) <= set(names)


@pytest.mark.parametrize("args", ALL, ids=" ".join)
def test_json_is_as_the_schema_says(args):
    told = json.loads(report(*args, "--format", "json"))
    assert [error.message for error in validator().iter_errors(told)] == []
    assert told["report"] == args[0]
    ids = [figure["id"] for section in told["sections"] for figure in section.get("figures", [])]
    assert len(set(ids)) == len(ids) and len({section["id"] for section in told["sections"]}) == len(told["sections"])
    for section in told["sections"]:
        if "table" in section:
            columns_fit(section["table"])


def test_the_schema_refuses_what_is_wrong():
    """A schema that accepts everything would prove nothing about the reports."""
    told = json.loads(report("licences", "--format", "json"))
    told["sections"][0]["figures"][0]["value"] = "many"
    assert list(validator().iter_errors(told))
    del told["night"]
    assert list(validator().iter_errors(told))


@pytest.mark.parametrize("name", REPORTS)
def test_parquet_and_csv_hold_the_same_rows(name, tmp_path):
    for ending in ("parquet", "csv"):
        report(name, "-o", str(tmp_path / f"report.{ending}"))
    frame = polars.read_parquet(tmp_path / "report.parquet")
    with open(tmp_path / "report.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == frame.height
    text = "value" if name == "licences" else frame.columns[0]
    shown = ["" if value is None else str(value) for value in frame[text].to_list()]
    assert [row[text].removeprefix("'") for row in rows] == shown
    if "monthly_cost" in frame.columns:
        assert frame.schema["monthly_cost"] == polars.Decimal(18, 4)
    if name == "licences":
        wide = frame.filter(polars.col("name") == "seats_count", polars.col("section") == "seat_states")
        assigned = frame.filter(polars.col("name") == "seats_assigned", polars.col("section") == "seats")["number"][0]
        assert wide["number"].sum() == assigned, "the states add up to the assigned seats, as numbers"
