"""The official Box SDK calls every operation of the simulator. Every response is checked against Box's specification.

The simulator sends no unusual data here: the Rust tests cover what Box sends beyond its specification. Every request of the
SDK and its response are recorded, and checked at the end. SLIPS and UNNAMED of box_schema list the accepted deviations.
"""

import base64
import datetime
import io
import re
import tempfile
import urllib.parse

import box_sdk_gen as box
import pytest
import requests
from box_sdk_gen.internal.null_value import null
from box_sdk_gen.internal.utils import JwtAlgorithm
from box_sdk_gen.managers.events import GetEventsEventType, GetEventsStreamType
from box_sdk_gen.managers.transfer import TransferOwnedFolderOwnedBy
from box_sdk_gen.managers.users import (
    CreateUserRole,
    CreateUserStatus,
    GetUsersUserType,
    UpdateUserByIdNotificationEmail,
    UpdateUserByIdRole,
    UpdateUserByIdStatus,
)
from box_sdk_gen.networking.base_urls import BaseUrls
from box_sdk_gen.networking.box_network_client import BoxNetworkClient
from box_sdk_gen.networking.network import NetworkSession
from box_sdk_gen.networking.retries import BoxRetryStrategy

import box_schema
from stand_in import stand_in

# `Config::plain()` as a scenario.
PLAIN = """
awkward = false
short_pages = 0.0
repeated_rows = 0.0
odd_envelopes = 0.0
end_marker = "null"
positions = "text"
late_events = 0.0
repeated_events = 0.0
"""
ADMIN_TOKEN = "simulated-developer-token"
USER_FIELDS = (
    "type,id,name,login,created_at,modified_at,language,timezone,space_amount,space_used,max_upload_size,status,"
    "job_title,phone,address,avatar_url,notification_email,role,tracking_codes,can_see_managed_users,is_sync_enabled,"
    "is_external_collab_restricted,is_exempt_from_device_limits,is_exempt_from_login_verification,enterprise,my_tags,"
    "hostname,is_platform_access_only,external_app_user_id,is_collaborated_content_available_when_owner_inactive"
).split(",")
GROUP_FIELDS = (
    "name,group_type,created_at,modified_at,provenance,external_sync_identifier,description,invitability_level,"
    "member_viewability_level,permissions"
).split(",")
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
EXCHANGES = []


class Witness(requests.Session):
    """A session that records its requests and responses."""

    def send(self, request, **kwargs):
        answer = super().send(request, **kwargs)
        address = urllib.parse.urlsplit(request.url)
        EXCHANGES.append((request, address.path, address.query, answer, answer.content))
        return answer


class Box:
    """The simulator, and clients of every rank."""

    def __init__(self, place):
        exports = place.exports
        self.place = place
        self.credentials = {
            "client_id": exports["BOXSEAT_CLIENT_ID"],
            "client_secret": exports["BOXSEAT_CLIENT_SECRET"],
        }
        self.enterprise_id = exports["BOXSEAT_ENTERPRISE_ID"]
        # No request here should be repeated.
        self.network = NetworkSession(
            network_client=BoxNetworkClient(Witness()),
            base_urls=BaseUrls(base_url=place.root),
            retry_strategy=BoxRetryStrategy(max_attempts=1),
        )
        self.app = self.client(enterprise_id=self.enterprise_id)
        self.admin = box.BoxClient(box.BoxDeveloperTokenAuth(token=ADMIN_TOKEN), network_session=self.network)

    def client(self, **subject):
        auth = box.BoxCCGAuth(box.CCGConfig(**self.credentials, **subject))
        return box.BoxClient(auth, network_session=self.network)

    def truth(self):
        return self.place.control("GET", "/truth?events=false")

    def content(self, user):
        return self.place.control("GET", f"/content/{user.id}")

    def events(self, since):
        """Types of the admin events after the first `since` events."""
        return [event["event_type"] for event in self.place.control("GET", "/truth")["other_events"][since:]]

    def event_count(self):
        return len(self.place.control("GET", "/truth")["other_events"])


@pytest.fixture(scope="module")
def acme():
    with tempfile.TemporaryDirectory() as directory:
        with stand_in(directory, "--users", "150", "--groups", "15", scenario=PLAIN) as place:
            yield Box(place)


@pytest.fixture(scope="module")
def people(acme):
    """Active users of role `user` who own content."""
    users = acme.app.users.get_users(usemarker=True, limit=1000, fields=USER_FIELDS).entries
    return [
        user
        for user in users
        if user.role.value == "user"
        and user.status.value == "active"
        and not user.is_platform_access_only
        and user.space_used > 0
    ]


def refused(expected_status, expected_code, act, /, *args, **kwargs):
    """Checks that the call fails with this status and code."""
    with pytest.raises(box.BoxAPIError) as caught:
        act(*args, **kwargs)
    info = caught.value.response_info
    assert (info.status_code, info.code) == (expected_status, expected_code)
    return info


def test_tokens(acme):
    token = acme.app.auth.retrieve_token(network_session=acme.network)
    assert token.token_type.value == "bearer" and token.expires_in == 3600
    wrong = box.BoxCCGAuth(
        box.CCGConfig(client_id="nobody", client_secret="wrong", enterprise_id=acme.enterprise_id)
    )
    with pytest.raises(box.BoxAPIError) as caught:
        wrong.refresh_token(network_session=acme.network)
    assert caught.value.response_info.body["error"] == "invalid_grant"
    passing = acme.client(enterprise_id=acme.enterprise_id)
    passing.auth.retrieve_token(network_session=acme.network)
    old = passing.auth.token_storage.get()
    passing.authorization.revoke_access_token(**acme.credentials, token=old.access_token)
    refused(401, "unauthorized", stale(acme, old).users.get_user_me)


def test_both_applications_sign_in_with_jwt():
    """The key files of the simulator have the form of those that Box's console offers."""
    with tempfile.TemporaryDirectory() as directory:
        with stand_in(directory, "--users", "20", "--jwt", directory, scenario=PLAIN) as place:
            network = NetworkSession(
                base_urls=BaseUrls(base_url=place.root), retry_strategy=BoxRetryStrategy(max_attempts=1)
            )
            for name, account in [("BOXSEAT_JWT_CONFIG", "7700000001"), ("BOXSEAT_ACTIONS_JWT_CONFIG", "7700000002")]:
                config = box.JWTConfig.from_config_file(config_file_path=place.exports[name])
                for algorithm in (JwtAlgorithm.RS256, JwtAlgorithm.RS384, JwtAlgorithm.RS512):
                    config.algorithm = algorithm
                    auth = box.BoxJWTAuth(config=config)
                    auth.refresh_token(network_session=network)
                    client = box.BoxClient(auth, network_session=network)
                    assert client.users.get_user_me().id == account


def stale(acme, token):
    """A client that has only this token and cannot get another one."""
    return box.BoxClient(box.BoxDeveloperTokenAuth(token=token.access_token), network_session=acme.network)


def test_users_are_listed_both_ways(acme):
    truth = {user["user_id"]: user for user in acme.truth()["users"]}
    seen, marker = {}, None
    while True:
        page = acme.app.users.get_users(
            usemarker=True, limit=40, marker=marker, fields=USER_FIELDS, user_type=GetUsersUserType.MANAGED
        )
        seen.update({user.id: user for user in page.entries})
        marker = page.next_marker
        if not marker:
            break
    assert seen.keys() == truth.keys()
    for user in seen.values():
        true = truth[user.id]
        assert isinstance(user, box.UserFull) and isinstance(user.created_at, datetime.datetime)
        assert user.created_at == datetime.datetime.fromisoformat(true["created_at"].replace("Z", "+00:00"))
        assert (user.login, user.status.value, user.role.value) == (true["login"], true["status"], true["role"])
        assert user.space_used == true["space_used_bytes"] and user.enterprise.id == acme.enterprise_id
        assert [[code.name, code.value] for code in user.tracking_codes] == true["tracking_codes"]
    by_offset = [
        user.id for offset in (0, 100) for user in acme.app.users.get_users(limit=100, offset=offset).entries
    ]
    assert sorted(by_offset) == sorted(truth)
    one = acme.app.users.get_users(filter_term=next(iter(truth.values()))["login"])
    assert one.total_count == 1
    refused(400, "invalid_offset", acme.app.users.get_users, offset=10_001)


def test_one_user(acme, people):
    me = acme.app.users.get_user_me(fields=["role", "enterprise"])
    assert me.role.value == "coadmin" and me.enterprise.id == acme.enterprise_id
    assert acme.admin.users.get_user_me(fields=["role"]).role.value == "admin"
    assert acme.app.users.get_user_by_id(people[0].id).login == people[0].login
    assert acme.app.users.get_user_by_id(people[0].id, fields=["role"]).status is None
    refused(404, "not_found", acme.app.users.get_user_by_id, "12345")


def test_groups_and_memberships(acme):
    truth = acme.truth()
    groups = acme.app.groups.get_groups(limit=1000, fields=GROUP_FIELDS)
    assert {group.id for group in groups.entries} == {group["group_id"] for group in truth["groups"]}
    assert all(isinstance(group.created_at, datetime.datetime) for group in groups.entries)
    managed = [group for group in groups.entries if group.group_type.value == "managed_group"]
    seen = {}
    for group in managed:
        assert acme.app.groups.get_group_by_id(group.id, fields=GROUP_FIELDS).description == group.description
        for offset in range(0, 10_000, 50):
            page = acme.app.memberships.get_group_memberships(group.id, limit=50, offset=offset)
            seen.update({row.id: (row.user.id, row.group.id, row.role.value) for row in page.entries})
            if offset + page.limit >= page.total_count:
                break
    true = {m["membership_id"]: (m["user_id"], m["group_id"], m["role"]) for m in truth["memberships"]}
    assert seen == true
    somebody = next(iter(true.values()))[0]
    mine = acme.app.memberships.get_user_memberships(somebody, limit=1000).entries
    assert {row.id for row in mine} == {key for key, row in true.items() if row[0] == somebody}
    refused(404, "not_found", acme.app.groups.get_group_by_id, "12345")
    refused(404, "not_found", acme.app.memberships.get_group_memberships, "12345")


def test_events(acme):
    truth = acme.place.control("GET", "/truth")
    since = datetime.datetime.fromisoformat("2025-12-01T00:00:00+00:00")
    seen, position = [], None
    while True:
        page = acme.app.events.get_events(
            stream_type=GetEventsStreamType.ADMIN_LOGS,
            limit=500,
            event_type=[GetEventsEventType.LOGIN],
            created_after=since,
            stream_position=position,
        )
        if page.next_stream_position == position:
            break
        seen += page.entries
        position = page.next_stream_position
    logins = [login for login in truth["logins"] if login["created_at"] >= "2025-12-01"]
    assert [(e.event_id, e.source.id) for e in seen] == [(e["event_id"], e["user_id"]) for e in logins]
    assert all(isinstance(event.created_at, datetime.datetime) for event in seen)
    # Every type, in every form.
    acme.app.events.get_events(stream_type=GetEventsStreamType.ADMIN_LOGS, limit=500)
    live = acme.app.events.get_events(
        stream_type=GetEventsStreamType.ADMIN_LOGS_STREAMING, stream_position="now"
    )
    assert live.chunk_size == 0 and int(live.next_stream_position) > 2**53
    refused(
        400,
        "bad_request",
        acme.app.events.get_events,
        stream_type=GetEventsStreamType.ADMIN_LOGS,
        stream_position="1",
    )
    servers = acme.app.events.get_events_with_long_polling()
    assert servers.chunk_size == 1 and servers.entries[0].type == "realtime_server"


def test_an_account_is_made_changed_and_ended(acme, people):
    since = acme.event_count()
    made = acme.app.users.create_user(
        "Ada Byte",
        login="ada.byte.sdk@acme.test",
        status=CreateUserStatus.ACTIVE,
        space_amount=-1,
        tracking_codes=[box.TrackingCode(name="Department", value="Kitchen")],
        fields=USER_FIELDS,
    )
    assert (made.name, made.space_amount, made.role.value) == ("Ada Byte", -1, "user")
    assert made.tracking_codes[0].value == "Kitchen"
    taken = refused(409, "user_login_already_used", acme.app.users.create_user, "Eve", login=people[0].login)
    assert taken.request_id
    refused(403, "access_denied_insufficient_permissions", acme.app.users.create_user, "Eve",
            login="eve@acme.test", role=CreateUserRole.COADMIN)

    changed = acme.app.users.update_user_by_id(
        made.id,
        name="Ada Lovelace",
        job_title="Countess",
        notification_email=UpdateUserByIdNotificationEmail(email="ada@mail.example"),
        fields=USER_FIELDS,
    )
    assert (changed.name, changed.notification_email.is_confirmed) == ("Ada Lovelace", False)
    cleared = acme.app.users.update_user_by_id(made.id, notification_email=null)
    assert cleared.notification_email is None

    acme.place.control("POST", "/act", json={
        "add_alias": {"user_id": made.id, "email": "ada.maiden@acme.test", "is_confirmed": True}})
    assert acme.app.users.update_user_by_id(made.id, login="ada.maiden@acme.test").login == "ada.maiden@acme.test"
    aliases = acme.app.email_aliases.get_user_email_aliases(made.id)
    assert [alias.email for alias in aliases.entries] == ["ada.byte.sdk@acme.test"]
    refused(403, "user_email_confirmation_required", acme.app.users.update_user_by_id, made.id, login="ada@else.example")

    suspended = acme.app.users.update_user_by_id(made.id, status=UpdateUserByIdStatus.INACTIVE)
    assert suspended.status.value == "inactive"
    acme.app.users.delete_user_by_id(made.id, notify=False, force=False)
    refused(404, "not_found", acme.app.users.get_user_by_id, made.id)
    assert acme.events(since) == [
        "NEW_USER", "EDIT_USER", "EDIT_USER", "EMAIL_ALIAS_PRIMARY", "EDIT_USER", "EDIT_USER", "DELETE_USER",
    ]


def test_ranks_and_roll_out(acme, people):
    somebody = people[-1]
    forbidden = "access_denied_insufficient_permissions"
    refused(403, forbidden, acme.app.users.update_user_by_id, somebody.id, role=UpdateUserByIdRole.COADMIN)
    raised = acme.admin.users.update_user_by_id(somebody.id, role=UpdateUserByIdRole.COADMIN, fields=["role"])
    assert raised.role.value == "coadmin"
    refused(403, forbidden, acme.app.users.update_user_by_id, somebody.id, status=UpdateUserByIdStatus.INACTIVE)
    gone = acme.admin.users.update_user_by_id(somebody.id, enterprise=null, notify=False, fields=["enterprise"])
    assert gone.enterprise is None
    assert somebody.id not in {user["user_id"] for user in acme.truth()["users"]}


def test_aliases(acme, people):
    added = acme.app.email_aliases.create_user_email_alias(people[1].id, "second.self@acme.test")
    assert added.email == "second.self@acme.test"
    refused(409, "user_login_already_used", acme.app.email_aliases.create_user_email_alias,
            people[2].id, "second.self@acme.test")
    refused(400, "invalid_parameter", acme.app.email_aliases.create_user_email_alias, people[2].id, "a@else.example")
    acme.app.email_aliases.delete_user_email_alias_by_id(people[1].id, added.id)
    refused(404, "not_found", acme.app.email_aliases.delete_user_email_alias_by_id, people[1].id, added.id)


def test_sessions(acme, people):
    theirs = acme.client(user_id=people[3].id)
    assert theirs.users.get_user_me().id == people[3].id
    done = acme.app.session_termination.terminate_users_sessions([people[3].id], [people[3].login])
    assert done.message.startswith("Request is successful")
    refused(401, "unauthorized", stale(acme, theirs.auth.token_storage.get()).users.get_user_me)
    refused(400, "bad_request", acme.app.session_termination.terminate_users_sessions, [], [])
    refused(404, "not_found", acme.app.session_termination.terminate_users_sessions, ["12345"], [people[3].login])


def test_transfer_then_delete(acme, people):
    source, receiver = people[4], people[5]
    before = acme.content(source)
    as_source = acme.app.with_as_user_header(source.id)
    fields = ["owned_by", "has_collaborations", "size"]
    items = as_source.folders.get_folder_items("0", fields=fields, limit=1000).entries
    mine = [item for item in items if item.to_dict()["owned_by"]["id"] == source.id]
    assert len(mine) == before["owned_items"] > 0
    pages = [as_source.folders.get_folder_items("0", limit=2, offset=offset) for offset in range(0, len(items), 2)]
    assert {item.id for page in pages for item in page.entries} == {item.id for item in items}
    assert as_source.folders.get_folder_by_id("0").name == "All Files"
    assert as_source.folders.get_folder_items("0", usemarker=True, limit=1).entries
    refused(400, "bad_request", acme.app.users.delete_user_by_id, source.id)

    folder = acme.app.transfer.transfer_owned_folder(
        source.id, TransferOwnedFolderOwnedBy(id=receiver.id), notify=False
    )
    assert isinstance(folder, box.FolderFull) and folder.owned_by.id == receiver.id
    assert folder.name == f"{source.name}'s Files and Folders"
    nothing = {"owned_items": 0, "shared_items": 0, "owned_bytes": 0, "trash_bytes": 0, "is_moving": False}
    assert acme.content(source) == nothing
    there = acme.app.with_as_user_header(receiver.id).folders.get_folder_items(folder.id, limit=1000)
    assert there.total_count == before["owned_items"]
    moved = acme.app.users.get_user_by_id(receiver.id).space_used
    assert moved == receiver.space_used + source.space_used
    refused(404, "not_found", acme.app.folders.get_folder_by_id, folder.id)
    admin = acme.admin.users.get_user_me()
    refused(403, "forbidden", acme.app.transfer.transfer_owned_folder,
            receiver.id, TransferOwnedFolderOwnedBy(id=admin.id))
    acme.app.users.delete_user_by_id(source.id, notify=False)
    refused(404, "not_found", acme.app.users.get_user_by_id, source.id)


def test_avatar(acme, people):
    somebody, avatars = people[6], acme.app.avatars
    refused(404, "not_found", avatars.get_user_avatar, somebody.id)
    for _ in range(2):
        urls = avatars.create_user_avatar(
            somebody.id, io.BytesIO(PIXEL), pic_file_name="pixel.png", pic_content_type="image/png"
        )
        assert somebody.id in urls.pic_urls.large
    assert avatars.get_user_avatar(somebody.id).read() == PIXEL
    refused(400, "bad_request", avatars.create_user_avatar, somebody.id, io.BytesIO(b"x"),
            pic_file_name="pixel.gif", pic_content_type="image/gif")
    avatars.delete_user_avatar(somebody.id)
    refused(404, "not_found", avatars.delete_user_avatar, somebody.id)


@pytest.mark.parametrize(
    "bad",
    [
        {"id": 1},
        {"id": None},
        {"status": "gone"},
        {"created_at": "yesterday"},
        {"space_used": 2**63},
        {"name": "x" * 51},
        {"tracking_codes": [{"name": 7}]},
        {"no_such_field": 1},
        {"enterprise": {"no_such_field": 1}},
    ],
)
def test_the_judge_sees_a_bad_user(bad):
    schema = {"$ref": "#/components/schemas/User--Full"}
    good = {"type": "user", "id": "1", "notification_email": None, "created_at": "2026-01-01T00:00:00-08:00"}
    assert box_schema.complaints(schema, good) == []
    assert box_schema.complaints(schema, {**good, **bad})


@pytest.mark.parametrize("query", ["limit=1001", "limit=many", "usemarker=yes", "user_type=gone", "nothing=1"])
def test_the_judge_sees_a_bad_query(query):
    assert list(box_schema.complaints_of_query("get_users", query))
    assert not list(box_schema.complaints_of_query("get_users", "limit=1000&usemarker=true&fields=id,name"))


def test_the_judge_sees_a_bad_body():
    name = box_schema.operation_of("POST", "/2.0/users/terminate_sessions")
    assert box_schema.complaints_of_body(name, "application/json", b'{"user_ids": ["1"]}')
    assert not box_schema.complaints_of_body(name, "application/json", b'{"user_ids": [], "user_logins": []}')


# Checks of all requests recorded by the tests above.


def test_every_operation_was_driven(acme):
    driven = {box_schema.operation_of(request.method, path) for request, path, *_ in EXCHANGES}
    assert driven == set(box_schema.OPERATIONS), "only the whole file drives them all"
    assert len(box_schema.OPERATIONS) == 24


def test_the_sdk_asks_what_the_specification_has():
    complaints = set()
    for request, path, query, *_ in EXCHANGES:
        name = box_schema.operation_of(request.method, path)
        body = request.body if isinstance(request.body, (bytes, str)) else b""
        kind = request.headers.get("Content-Type") or ""
        # The SDK writes Python's `True` where the specification has a boolean. Box seems to accept both.
        complaints.update(box_schema.complaints_of_query(name, re.sub("=(True|False)\\b", _lower, query)))
        complaints.update(box_schema.complaints_of_body(name, kind, body) if kind else [])
    assert not complaints, "\n" + "\n".join(sorted(complaints))


def _lower(found):
    return found.group().lower()


def test_every_answer_is_in_the_specification():
    complaints, rolled_out = set(), 0
    for request, path, _, answer, content in EXCHANGES:
        name = box_schema.operation_of(request.method, path)
        kind = answer.headers.get("Content-Type") or ""
        found = box_schema.complaints_of_answer(name, answer.status_code, kind, content)
        if name == "put_users_id" and b'"enterprise":null' in content:
            # By its text, the specification has null for hidden fields of a user outside the enterprise. Its schema does not.
            rolled_out += 1
            found = [complaint for complaint in found if "None is not of type 'object'" not in complaint]
        complaints.update(found)
    assert not complaints, "\n" + "\n".join(sorted(complaints))
    assert rolled_out == 1
