"""Other programs read a store: several versions of DuckDB read its published file; delta-rs, Polars and Spark read its lake.

`make interop` starts this with a store that `boxseat demo` has just created, or with the store in BOXSEAT_INTEROP_STORE.
"""

import collections
import datetime
import functools
import json
import os
import pathlib
import re
import subprocess
import sys

import polars
import pytest
from deltalake import DeltaTable, QueryBuilder
from pyspark.sql import SparkSession, functions

HOME = pathlib.Path(os.environ["BOXSEAT_INTEROP_HOME"])
STORE = pathlib.Path(os.environ["BOXSEAT_INTEROP_STORE"])
WAREHOUSE = STORE / "boxseat.duckdb"
LAKE = STORE / "lake"
QUESTIONS = pathlib.Path(__file__).resolve().parents[2] / "docs" / "questions"

# The version that boxseat writes with. All other versions must return the same results.
WRITER = "1.5.6"
PROMISED = ["1.1.3", "1.4.5", "2.0.0"]
# UTC+14: a date in the session's zone instead of UTC would be the next day's for most of the day.
FAR_ZONE = "Pacific/Kiritimati"
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
VERSIONS = sorted(path.name.removeprefix("duckdb-") for path in HOME.glob("duckdb-*"))

# One complete copy per run in the lake. The warehouse has the newest.
NIGHT_TABLES = {"users", "groups", "memberships", "email_aliases"}
# Differences between a run and its base run. The warehouse has those of the runs that led to its snapshot.
CHAIN_TABLES = {"users_history", "user_changes"}
# One row per run in the lake. The warehouse has the row of the last current run of each date.
PER_NIGHT_TABLES = {"seat_usage_daily"}
# Later runs count the days again. The warehouse has the newest count of each day.
RECOUNTED_TABLES = {"activity_daily"}
# Rows that stay valid whether or not the run that wrote them is still current: runs (including abandoned ones), and actions of
# commands between the runs.
OF_EVERY_RUN = {"sync_runs", "seat_actions"}


@functools.cache
def warehouse(version=WRITER, zone="UTC"):
    """Every table, view and example query of the published file, as `version` reads them with `zone` as the session's time zone."""
    reader = pathlib.Path(__file__).with_name("read_warehouse.py")
    environment = {**os.environ, "PYTHONPATH": str(HOME / f"duckdb-{version}")}
    done = subprocess.run(
        [sys.executable, reader, WAREHOUSE, zone, QUESTIONS], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"DuckDB {version} could not read {WAREHOUSE}:\n{done.stderr}"
    answer = json.loads(done.stdout)
    assert answer["version"] == version
    return answer["relations"]


@functools.cache
def lake(table):
    return DeltaTable(str(LAKE / table))


def query(table, sql):
    """Rows of `sql` as dictionaries. In `sql`, `t` is the `table` of the lake."""
    batches = QueryBuilder().register("t", lake(table)).execute(sql)
    return [row for batch in batches for row in rows_of(batch)]


def rows_of(batch):
    columns = {name: batch.column(name).to_pylist() for name in batch.schema.names}
    return [dict(zip(columns, values)) for values in zip(*columns.values())]


@functools.cache
def rows_by_run(table):
    """Number of rows per run. Every column is read, so that a file that delta-rs cannot decode does not count."""
    batches = QueryBuilder().register("t", lake(table)).execute("SELECT * FROM t")
    counted = {}
    for batch in batches:
        for run in batch.column("run_number").to_pylist():
            counted[run] = counted.get(run, 0) + 1
    return counted


@functools.cache
def replaced_runs():
    rows = query("sync_runs", "SELECT replaces_run_number FROM t WHERE status = 'complete'")
    return {row["replaces_run_number"] for row in rows}


@functools.cache
def current_runs():
    """Complete runs that no later complete run replaces; the published one comes last."""
    runs = query("sync_runs", "SELECT run_number, snapshot_date FROM t WHERE status = 'complete'")
    current = [run for run in runs if run["run_number"] not in replaced_runs()]
    return [run["run_number"] for run in sorted(current, key=lambda run: (run["snapshot_date"], run["run_number"]))]


@functools.cache
def nights():
    """The current run with the highest number of each date."""
    runs = query("sync_runs", "SELECT run_number, snapshot_date FROM t WHERE status = 'complete'")
    current = sorted((run for run in runs if run["run_number"] in current_runs()), key=lambda run: run["run_number"])
    return {run["snapshot_date"]: run["run_number"] for run in current}


@functools.cache
def chain():
    """The published run, its base run, the base run of that, and so on, replaced or not."""
    runs = query("sync_runs", "SELECT run_number, base_run_number FROM t")
    bases = {run["run_number"]: run["base_run_number"] for run in runs}
    numbers = [current_runs()[-1]]
    while bases[numbers[-1]] is not None:
        numbers.append(bases[numbers[-1]])
    return numbers


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


@pytest.mark.parametrize("question", sorted(path.name for path in QUESTIONS.glob("*.sql")))
def test_the_duckdb_command_line_answers_as_the_page_says(question):
    cli = pathlib.Path(sys.executable).with_name("duckdb")
    with open(QUESTIONS / question, encoding="utf-8") as sql:
        done = subprocess.run(
            [cli, "-readonly", "-json", "boxseat.duckdb"], stdin=sql, cwd=STORE, capture_output=True, text=True, check=False
        )
    assert done.returncode == 0, done.stderr
    # The command line prints nothing if there are no rows.
    rows = json.loads(done.stdout) if done.stdout.strip() else []
    assert len(rows) == warehouse()[question.removesuffix(".sql")]["count"]


def page_examples():
    page = (QUESTIONS.parents[1] / "README.md").read_text(encoding="utf-8")
    return re.findall(r"```python\n(.*?)```", page, re.DOTALL)


@pytest.mark.parametrize("number", range(3))
def test_the_python_on_the_page_runs_as_it_stands(number):
    assert len(page_examples()) == 3
    example = page_examples()[number]
    path = [os.environ["PYTHONPATH"], str(HOME / f"duckdb-{WRITER}")]
    done = subprocess.run(
        [sys.executable, "-c", example],
        cwd=STORE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path), "SPARK_LOCAL_IP": "127.0.0.1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_the_session_zone_changes_no_answer():
    assert warehouse(zone=FAR_ZONE) == warehouse()


@pytest.mark.parametrize("table", lake_tables())
def test_lake_and_warehouse_hold_the_same_rows(table):
    by_run = rows_by_run(table)
    if table in NIGHT_TABLES:
        in_lake = by_run.get(current_runs()[-1], 0)
    elif table == "run_calls":
        # A replay has the calls of the run that it replaces. The calls of failed runs count, too.
        in_lake = sum(rows for run, rows in by_run.items() if run not in replaced_runs())
    elif table in CHAIN_TABLES:
        in_lake = sum(by_run.get(run, 0) for run in chain())
    elif table in PER_NIGHT_TABLES:
        in_lake = sum(by_run.get(run, 0) for run in nights().values())
    elif table in RECOUNTED_TABLES:
        assert warehouse()[table]["count"] <= sum(by_run.get(run, 0) for run in current_runs())
        return
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


@pytest.mark.parametrize("table", lake_tables())
def test_polars_reads_the_lake(table):
    scan = polars.scan_delta(str(LAKE / table))
    assert set(scan.collect_schema().names()) == columns(table)
    counted = collections.Counter()
    for batch in scan.collect_batches():
        counted.update(batch["run_number"].to_list())
    assert counted == rows_by_run(table)


@pytest.fixture(scope="module")
def spark(tmp_path_factory):
    scratch = tmp_path_factory.mktemp("spark")
    session = (
        SparkSession.builder.master("local[2]")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.memory", "1g")
        .config("spark.local.dir", str(scratch))
        .config("spark.log.level", "ERROR")
        .config("spark.sql.session.timeZone", FAR_ZONE)
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.sql.warehouse.dir", str(scratch / "warehouse"))
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .getOrCreate()
    )
    yield session
    session.stop()


@pytest.mark.parametrize("table", lake_tables())
def test_spark_reads_the_files_of_the_lake(spark, table):
    """As plain Parquet, without Delta: for programs that only know which files are current."""
    files = lake(table).file_uris()
    if not files:
        assert not rows_by_run(table)
        return
    frame = spark.read.parquet(*files)
    assert columns(table) - set(frame.columns) == set(lake(table).metadata().partition_columns)
    # Every column is decoded. A count alone would read only one.
    frame.write.format("noop").mode("overwrite").save()
    counted = {row[0]: row[1] for row in frame.groupBy("run_number").count().collect()}
    assert counted == rows_by_run(table)

    instants = [name for name, kind in frame.dtypes if kind == "timestamp"]
    assert set(instants) == {name for name in frame.columns if name.endswith("_at") or name == "valid_from"}
    for name in instants:
        ends = frame.select(functions.unix_micros(functions.min(name)), functions.unix_micros(functions.max(name)))
        assert tuple(ends.first()) == ends_of(table, name), name


def columns(table):
    return {field.name for field in lake(table).schema().fields}


def ends_of(table, name):
    """The first and the last instant of a column, in microseconds."""
    (row,) = query(table, f'SELECT min("{name}") AS low, max("{name}") AS high FROM t')
    return tuple(at and (at - EPOCH) // datetime.timedelta(microseconds=1) for at in (row["low"], row["high"]))
