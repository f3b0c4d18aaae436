"""Other people's programs read a store: several DuckDBs its published file, delta-rs its lake.

`make interop` starts this with a store that `boxseat demo` has just made, or with the one in BOXSEAT_INTEROP_STORE.
"""

import functools
import json
import os
import pathlib
import subprocess
import sys

import pytest
from deltalake import DeltaTable, QueryBuilder

HOME = pathlib.Path(os.environ["BOXSEAT_INTEROP_HOME"])
STORE = pathlib.Path(os.environ["BOXSEAT_INTEROP_STORE"])
WAREHOUSE = STORE / "boxseat.duckdb"
LAKE = STORE / "lake"

# The version boxseat writes with; what it answers is what all others have to answer.
WRITER = "1.5.6"
PROMISED = ["1.1.3", "1.4.5", "2.0.0"]
VERSIONS = sorted(path.name.removeprefix("duckdb-") for path in HOME.glob("duckdb-*"))

# One whole copy a night in the lake; the warehouse holds the newest.
NIGHT_TABLES = {"users", "groups", "memberships", "email_aliases"}
# Rows that stand for themselves, whether or not the run that wrote them is still current: runs (the abandoned too), and
# what commands between the runs did.
OF_EVERY_RUN = {"sync_runs", "run_calls", "seat_actions"}


@functools.cache
def warehouse(version=WRITER, zone="UTC"):
    """Every table and view of the published file, as `version` reads it with `zone` as the session's time zone."""
    reader = pathlib.Path(__file__).with_name("read_warehouse.py")
    environment = {**os.environ, "PYTHONPATH": str(HOME / f"duckdb-{version}")}
    done = subprocess.run(
        [sys.executable, reader, WAREHOUSE, zone], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"DuckDB {version} could not read {WAREHOUSE}:\n{done.stderr}"
    answer = json.loads(done.stdout)
    assert answer["version"] == version
    return answer["relations"]


@functools.cache
def lake(table):
    return DeltaTable(str(LAKE / table))


def query(table, sql):
    """Rows of `sql`, in which `t` is the lake's `table`, as dictionaries."""
    batches = QueryBuilder().register("t", lake(table)).execute(sql)
    return [row for batch in batches for row in rows_of(batch)]


def rows_of(batch):
    columns = {name: batch.column(name).to_pylist() for name in batch.schema.names}
    return [dict(zip(columns, values)) for values in zip(*columns.values())]


@functools.cache
def rows_by_run(table):
    """Number of rows per run. Every column is read, so that a file delta-rs cannot decode does not pass for rows."""
    batches = QueryBuilder().register("t", lake(table)).execute("SELECT * FROM t")
    counted = {}
    for batch in batches:
        for run in batch.column("run_number").to_pylist():
            counted[run] = counted.get(run, 0) + 1
    return counted


@functools.cache
def current_runs():
    """Complete runs that no later complete run replaces, the published one last."""
    runs = query("sync_runs", "SELECT run_number, snapshot_date, replaces_run_number FROM t WHERE status = 'complete'")
    replaced = {run["replaces_run_number"] for run in runs}
    current = [run for run in runs if run["run_number"] not in replaced]
    return [run["run_number"] for run in sorted(current, key=lambda run: (run["snapshot_date"], run["run_number"]))]


def lake_tables():
    return sorted(path.parent.name for path in LAKE.glob("*/_delta_log"))


def test_the_store_is_worth_reading():
    assert set(PROMISED + [WRITER]) <= set(VERSIONS)
    assert current_runs(), "no complete run in the lake"
    assert warehouse()["users"]["count"] > 0
    assert warehouse()["login_events"]["count"] > 0


@pytest.mark.parametrize("version", VERSIONS)
def test_every_duckdb_reads_the_same(version):
    assert warehouse(version) == warehouse()


def test_count_agrees_with_what_is_read():
    for name, relation in warehouse().items():
        assert relation["count"] == relation["rows"], name


def test_the_session_zone_changes_no_answer():
    # UTC+14: a date taken in the session's zone instead of UTC would be tomorrow's most of the day.
    assert warehouse(zone="Pacific/Kiritimati") == warehouse()


@pytest.mark.parametrize("table", lake_tables())
def test_lake_and_warehouse_hold_the_same_rows(table):
    by_run = rows_by_run(table)
    if table in NIGHT_TABLES:
        in_lake = by_run.get(current_runs()[-1], 0)
    elif table in OF_EVERY_RUN:
        in_lake = sum(by_run.values())
    else:
        in_lake = sum(by_run.get(run, 0) for run in current_runs())
    names = ["login_events", "admin_events"] if table == "events" else [table]
    assert in_lake == sum(warehouse()[name]["count"] for name in names)


def test_the_run_counted_its_rows_right():
    published = current_runs()[-1]
    counted = query("run_rows", f"SELECT table_name, rows_in_lake FROM t WHERE run_number = {published}")
    assert counted, "the published run left no run_rows"
    for row in counted:
        assert rows_by_run(row["table_name"]).get(published, 0) == row["rows_in_lake"], row["table_name"]
