"""Every request of `boxseat sync` is in Box's specification: path, parameters, types and maxima.

The simulator sends unusual data in two runs, so that the requests include markers, offsets, stream positions and repeated pages.
"""

import datetime
import os
import subprocess
import tempfile

import pytest

import box_schema
from stand_in import BOXSEAT, NOW, stand_in

# Bodies are not recorded, because a token request contains the secret.
TOKEN = ("POST", "/oauth2/token")


@pytest.fixture(scope="module")
def recorded():
    with tempfile.TemporaryDirectory() as directory:
        with stand_in(directory, "--users", "90", "--groups", "12", scenario="record_requests = 100000\n") as place:
            now = datetime.datetime.fromisoformat(NOW.replace("Z", "+00:00"))
            for night in range(2):
                if night:
                    place.control("POST", "/step?days=1")
                sync(directory, place, now + datetime.timedelta(days=night))
            return place.control("GET", "/requests")


def sync(directory, place, now):
    environment = {
        "HOME": directory,
        "PATH": os.environ.get("PATH", ""),
        "BOXSEAT_STORE": os.path.join(directory, "store"),
        "BOXSEAT_NOW": now.isoformat(),
        "BOXSEAT_RATE_CALLS_PER_MINUTE": "100000000",
        **place.exports,
    }
    done = subprocess.run(
        [BOXSEAT, "sync"], cwd=directory, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"sync ended with {done.returncode}:\n{done.stderr}"


def test_sync_reads_and_never_writes(recorded):
    made = {(request["method"], request["path"]) for request in recorded}
    assert {request for request in made if request[0] != "GET"} == {TOKEN}


def test_every_request_is_in_the_specification(recorded):
    complaints = set()
    for request in recorded:
        name = box_schema.operation_of(request["method"], request["path"])
        if name is None:
            complaints.add(f"{request['method']} {request['path']}: no such operation")
            continue
        complaints.update(box_schema.complaints_of_query(name, request["query"]))
        if request["path"] != TOKEN[1] and not request["authenticated"]:
            complaints.add(f"{name}: without a token")
        # A user who is no longer listed is requested by id. 404 is the expected response.
        expected = {200, 404} if name == "get_users_id" else {200}
        if request["status"] not in expected:
            complaints.add(f"{name}: answered {request['status']} to {request['query']}")
    assert not complaints, "\n" + "\n".join(sorted(complaints))


def test_the_walks_are_all_there(recorded):
    names = {box_schema.operation_of(request["method"], request["path"]) for request in recorded}
    assert names >= {
        "post_oauth2_token",
        "get_users",
        "get_users_id_email_aliases",
        "get_groups",
        "get_groups_id_memberships",
        "get_events",
    }
    queries = " ".join(request["query"] for request in recorded)
    for asked in ("usemarker=true", "marker=", "stream_position=", "stream_type=admin_logs", "created_before="):
        assert asked in queries
