"""The same first run with dlt: the calls that boxseat makes, loaded as Parquet. `boxseat-bench dlt` starts it.

    python dlt_job.py JOB.json    JOB.json has the addresses, the requests and the settings of dlt

It prints one JSON object: seconds inside the pipeline (without Python's start), rows per table, versions.

Chosen for speed: requests through one keep-alive session per thread, bodies parsed by orjson, many users per deferred
item, resources in parallel, no compression between the steps, nested values kept as JSON columns instead of child
tables, Parquet files for the loader, plain appends (no merge), no telemetry.
"""

import json
import os
import sys
import threading
import time

BEGIN = time.perf_counter()
JOB = json.load(open(sys.argv[1]))
for key, value in {
    "EXTRACT__WORKERS": JOB["extract_workers"],
    "EXTRACT__MAX_PARALLEL_ITEMS": JOB["extract_workers"] * 2,
    "NORMALIZE__WORKERS": JOB["normalize_workers"],
    "LOAD__WORKERS": 2,
    "DATA_WRITER__DISABLE_COMPRESSION": "true",
    "DATA_WRITER__BUFFER_MAX_ITEMS": 50_000,
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    "RUNTIME__LOG_LEVEL": "ERROR",
    "DLT_DATA_DIR": os.path.join(JOB["directory"], "dlt"),
    "DLT_PROJECT_DIR": JOB["directory"],
}.items():
    os.environ[key] = str(value)

import dlt  # noqa: E402  (settings first)
import orjson  # noqa: E402
import requests  # noqa: E402

API = JOB["api_url"]
LIMIT = 1000
USERS_PER_ITEM = 32
LOCAL = threading.local()
TOKEN = None


def get(path, **params):
    """One call, as JSON; None for a 404."""
    session = getattr(LOCAL, "session", None)
    if session is None:
        session = LOCAL.session = requests.Session()
        session.trust_env = False
        session.headers["Authorization"] = f"Bearer {TOKEN}"
    answer = session.get(API + path, params=params, timeout=60)
    if answer.status_code == 404:
        return None
    answer.raise_for_status()
    return orjson.loads(answer.content)


def sign_in():
    form = {
        "grant_type": "client_credentials",
        "client_id": JOB["client_id"],
        "client_secret": JOB["client_secret"],
        "box_subject_type": "enterprise",
        "box_subject_id": JOB["enterprise_id"],
    }
    answer = requests.post(JOB["token_url"], data=form, timeout=60)
    answer.raise_for_status()
    return answer.json()["access_token"]


def offset_pages(path, **params):
    """Pages by offset, which moves by the limit and not by the rows received."""
    offset = 0
    while (page := get(path, limit=LIMIT, offset=offset, **params)) is not None:
        yield page["entries"]
        offset += LIMIT
        if offset >= page["total_count"] or offset > 10_000:
            return


def event_pages(since, until):
    """One slice of the window, until the position stays or an empty page names none."""
    asked = {
        "stream_type": "admin_logs",
        "event_type": ",".join(JOB["event_types"]),
        "created_after": since,
        "created_before": until,
        "limit": 500,
    }
    sent = None
    while True:
        page = get("/events", **asked, **({} if sent is None else {"stream_position": sent}))
        yield page["entries"]
        position = str(page.get("next_stream_position") or "0")
        if position == sent or (position == "0" and not page["entries"]):
            return
        sent = position


@dlt.source(max_table_nesting=0)
def enterprise():
    @dlt.resource(write_disposition="append")
    def users():
        marker = None
        while True:
            page = get(
                "/users",
                usemarker="true",
                limit=LIMIT,
                user_type="managed",
                fields=JOB["user_fields"],
                **({} if marker is None else {"marker": marker}),
            )
            yield page["entries"]
            marker = page.get("next_marker")
            if not marker:
                return

    @dlt.transformer(data_from=users, write_disposition="append")
    def email_aliases(page):
        @dlt.defer
        def fetch(ids):
            rows = []
            for user_id in ids:
                found = get(f"/users/{user_id}/email_aliases")
                rows += [{**alias, "user_id": user_id} for alias in (found or {"entries": []})["entries"]]
            return rows

        # A page can repeat the last row of the previous page.
        ids = [str(user["id"]) for user in page if seen(str(user["id"]))]
        for start in range(0, len(ids), USERS_PER_ITEM):
            yield fetch(ids[start : start + USERS_PER_ITEM])

    known = set()

    def seen(user_id):
        new = user_id not in known
        known.add(user_id)
        return new

    @dlt.resource(write_disposition="append", parallelized=True)
    def groups():
        yield from offset_pages("/groups", fields=JOB["group_fields"])

    @dlt.transformer(data_from=groups, write_disposition="append")
    def memberships(page):
        @dlt.defer
        def fetch(group_id):
            return [row for rows in offset_pages(f"/groups/{group_id}/memberships") for row in rows]

        for group in page:
            if group.get("group_type") != "all_users_group":
                yield fetch(str(group["id"]))

    @dlt.resource(selected=False)
    def slices():
        yield from JOB["slices"]

    @dlt.transformer(data_from=slices, write_disposition="append")
    def events(span):
        @dlt.defer
        def fetch(since, until):
            return [row for rows in event_pages(since, until) for row in rows]

        yield fetch(*span)

    return users, email_aliases, groups, memberships, events


def main():
    global TOKEN
    ready = time.perf_counter()
    TOKEN = sign_in()
    get("/users/me", fields=JOB["user_fields"])
    if JOB["destination"] == "duckdb":
        destination = dlt.destinations.duckdb(os.path.join(JOB["directory"], "night.duckdb"))
    else:
        destination = dlt.destinations.filesystem("file://" + os.path.join(JOB["directory"], "lake"))
    pipeline = dlt.pipeline("night", destination=destination, dataset_name="box", pipelines_dir=JOB["directory"])
    pipeline.run(enterprise(), loader_file_format="parquet")
    done = time.perf_counter()
    import duckdb

    counts = pipeline.last_trace.last_normalize_info.row_counts
    print(
        json.dumps(
            {
                "start_seconds": ready - BEGIN,
                "pipeline_seconds": done - ready,
                "rows": {name: rows for name, rows in counts.items() if not name.startswith("_dlt")},
                "versions": {"dlt": dlt.__version__, "duckdb": duckdb.__version__, "python": sys.version.split()[0]},
            }
        )
    )


if __name__ == "__main__":
    main()
