"""Reads a published file with one version of DuckDB: `read_warehouse.py FILE ZONE QUESTIONS`, JSON on stdout.

test_interop.py starts it once per version, with the directory of that version on PYTHONPATH.
"""

import datetime
import decimal
import hashlib
import json
import pathlib
import sys

import duckdb

# Relations up to this size are printed row by row, so that a difference is visible. Larger ones are printed only as a digest.
ROWS_SHOWN = 300


def plain(value):
    """A value as text or JSON that is the same in every version, whatever its Python type."""
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.timezone.utc).isoformat() if value.tzinfo else value.isoformat()
    if isinstance(value, float):
        return float(f"{value:.12g}")
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (datetime.date, decimal.Decimal)):
        return str(value)
    return value


def relation(name):
    return 'SELECT * FROM "' + name.replace('"', '""') + '"'


def read(connection, sql):
    """Columns, number of rows and content of a query result. The order of the rows does not matter."""
    # Older versions use fewer quotes around names inside STRUCT(…).
    columns = [
        [column, kind.replace('"', "")]
        for column, kind, *_ in connection.execute(f"DESCRIBE {sql}").fetchall()
    ]
    rows, digest, shown = 0, 0, []
    connection.execute(sql)
    while batch := connection.fetchmany(10_000):
        for row in batch:
            line = json.dumps([plain(value) for value in row], sort_keys=True)
            digest += int.from_bytes(hashlib.sha256(line.encode()).digest(), "big")
            if rows < ROWS_SHOWN:
                shown.append(line)
            rows += 1
    count = connection.execute(f"SELECT count(*) FROM ({sql})").fetchone()[0]
    return {
        "columns": columns,
        "count": count,
        "rows": rows,
        "digest": f"{digest % 2**256:064x}",
        "shown": sorted(shown) if rows <= ROWS_SHOWN else [],
    }


def main(file, zone, questions):
    # An extension fetched over the network would hide that a view needs it.
    connection = duckdb.connect(
        file,
        read_only=True,
        config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"},
    )
    connection.execute(f"SET TimeZone = '{zone}'")
    relations = connection.execute(
        "SELECT table_name, table_type FROM information_schema.tables "
        "WHERE table_catalog = current_database() AND table_schema = 'main' ORDER BY table_name"
    ).fetchall()
    answer = {name: {"kind": kind, **read(connection, relation(name))} for name, kind in relations}
    for question in sorted(pathlib.Path(questions).glob("*.sql")):
        answer[question.stem] = {"kind": "question", **read(connection, question.read_text().rstrip().rstrip(";"))}
    json.dump({"version": duckdb.__version__, "relations": answer}, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
