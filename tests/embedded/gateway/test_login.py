"""Login, tokens and roles, as PowerFlex' clients use them."""

import base64
import re

import httpx
import pytest

from .conftest import Serving
from .engine import PASSWORD, PASSWORD_HASH, MemoryEngine, Topology

UNAUTHORIZED = {"message": "Unauthorized", "httpStatusCode": 401, "errorCode": 0}


def login(client: httpx.Client, name: str = "admin", password: str = PASSWORD) -> httpx.Response:
    return client.get("/api/login", auth=(name, password))


def test_login_answers_with_exactly_a_quoted_token(anonymous: httpx.Client) -> None:
    answer = login(anonymous)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert re.fullmatch(rb'"[A-Za-z0-9_-]+"', answer.content)


@pytest.mark.parametrize("user", ["", "admin", "somebody else"])
def test_the_token_counts_whatever_the_user_name(anonymous: httpx.Client, user: str) -> None:
    token = login(anonymous).json()
    assert anonymous.get("/api/types/System/instances", auth=(user, token)).status_code == 200


def test_the_token_also_works_in_bearer_form(anonymous: httpx.Client) -> None:
    headers = {"Authorization": f"Bearer {login(anonymous).json()}"}
    assert anonymous.get("/api/types/System/instances", headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("name", "password"), [("admin", "wrong"), ("admin", ""), ("nobody", PASSWORD), ("Admin", PASSWORD)]
)
def test_a_wrong_name_or_password_is_refused(anonymous: httpx.Client, name: str, password: str) -> None:
    answer = login(anonymous, name, password)
    assert (answer.status_code, answer.json()) == (401, UNAUTHORIZED)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Basic",
        "Basic !!!",
        "Basic " + base64.b64encode(b"no colon").decode(),
        "Basic " + base64.b64encode(b"\xff:\xfe").decode(),
        "Digest x",
        "Bearer",
        "Bearer x",
    ],
)
@pytest.mark.parametrize("path", ["/api/login", "/api/logout", "/api/types/System/instances"])
def test_malformed_credentials_are_refused(anonymous: httpx.Client, header: str, path: str) -> None:
    answer = anonymous.get(path, headers={"Authorization": header})
    assert (answer.status_code, answer.json()) == (401, UNAUTHORIZED)


def test_the_password_is_no_token(anonymous: httpx.Client) -> None:
    assert anonymous.get("/api/types/System/instances", auth=("admin", PASSWORD)).status_code == 401


def test_nothing_is_answered_without_a_token(anonymous: httpx.Client, topology: Topology) -> None:
    for method, path in (
        ("GET", "/api/instances"),
        ("GET", f"/api/instances/StoragePool::{topology.pool}"),
        ("POST", "/api/types/Volume/instances"),
        ("POST", f"/api/instances/StoragePool::{topology.pool}/action/removeStoragePool"),
    ):
        assert anonymous.request(method, path, json={}).status_code == 401


def test_after_logout_the_token_is_worth_nothing(anonymous: httpx.Client) -> None:
    token = login(anonymous).json()
    answer = anonymous.get("/api/logout", auth=("admin", token))
    assert (answer.status_code, answer.json()) == (200, {})
    assert anonymous.get("/api/types/System/instances", auth=("admin", token)).status_code == 401


def test_the_version_needs_no_credentials_and_is_a_quoted_text(anonymous: httpx.Client) -> None:
    assert anonymous.get("/api/version").content == b'"3.6"'
    assert anonymous.get("/api/version", auth=("admin", "wrong")).content == b'"3.6"'


def test_an_engine_that_is_not_set_up_says_so(anonymous: httpx.Client, engine: MemoryEngine) -> None:
    engine.state.system_id = ""
    answer = login(anonymous)
    assert (answer.status_code, answer.json()["errorCode"]) == (503, 0)
    assert "not been bootstrapped" in answer.json()["message"]


def test_while_no_manager_can_be_reached_the_answer_is_503(rest: httpx.Client, engine: MemoryEngine) -> None:
    engine.reachable = False
    for answer in (rest.get("/api/types/Volume/instances"), rest.get("/api/login", auth=("admin", PASSWORD))):
        assert answer.status_code == 503
        assert answer.json()["httpStatusCode"] == 503
    assert rest.get("/api/version").status_code == 200
    engine.reachable = True
    assert rest.get("/api/types/Volume/instances").status_code == 200


# --- roles ---

CHANGES = {
    "frontend": ("/api/types/Volume/instances", {"volumeSizeInGb": "1"}),
    "backend": ("/api/types/ProtectionDomain/instances", {"name": "domain2"}),
    "users": ("/api/types/User/instances", {"name": "eve", "userRole": "Monitor", "password": "p"}),
}


@pytest.mark.parametrize(
    ("role", "allowed"),
    [
        ("Monitor", set()),
        ("Configure", {"frontend", "backend"}),
        ("Administrator", {"frontend", "backend", "users"}),
        ("FrontendConfig", {"frontend"}),
        ("BackendConfig", {"backend"}),
        ("Security", {"users"}),
    ],
)
def test_a_role_allows_what_it_says(
    anonymous: httpx.Client, engine: MemoryEngine, topology: Topology, role: str, allowed: set[str]
) -> None:
    engine.apply("add_user", name="ann", role=role, password_hash=PASSWORD_HASH)
    anonymous.auth = httpx.BasicAuth("", login(anonymous, "ann").json())
    assert anonymous.get("/api/instances").status_code == 200
    pool = {"storagePoolId": topology.pool}
    before = engine.document()
    for what, (path, parameters) in CHANGES.items():
        answer = anonymous.post(path, json=parameters | pool)
        if what in allowed:
            assert answer.status_code == 200, answer.text
        else:
            assert (answer.status_code, answer.json()["errorCode"]) == (403, 168)
    assert (engine.document() == before) == (not allowed)
    query = {"selectedStatisticsList": [{"type": "System", "properties": ["numOfSds"]}]}
    assert anonymous.post("/api/instances/querySelectedStatistics", json=query).status_code == 200


# --- users ---


def test_users_are_created_listed_changed_and_removed(rest: httpx.Client, engine: MemoryEngine) -> None:
    user_id = rest.post(
        "/api/types/User/instances", json={"name": "ann", "userRole": "monitor", "password": "first"}
    ).json()["id"]
    found = rest.get(f"/api/instances/User::{user_id}").json()
    assert (found["name"], found["userRole"]) == ("ann", "Monitor")
    assert "first" not in str(engine.document())
    assert "password" not in str(found).lower().replace("passwordchangerequired", "")
    rest.post(f"/api/instances/User::{user_id}/action/setUserRole", json={"userRole": "Configure"})
    assert rest.get(f"/api/instances/User::{user_id}").json()["userRole"] == "Configure"
    users = rest.get(f"/api/instances/System::{engine.state.system_id}/relationships/User").json()
    assert {user["name"] for user in users} == {"admin", "ann"}
    assert rest.post(f"/api/instances/User::{user_id}/action/removeUser", json={}).json() == {}
    assert rest.get(f"/api/instances/User::{user_id}").status_code == 500


def test_changing_a_password_ends_the_users_tokens(serving: Serving, rest: httpx.Client) -> None:
    parameters = {"name": "ann", "userRole": "Monitor", "password": "first"}
    user_id = rest.post("/api/types/User/instances", json=parameters).json()["id"]
    token = login(rest, "ann", "first").json()
    change = f"/api/instances/User::{user_id}/action/setPassword"
    wrong = rest.post(change, json={"oldPassword": "x", "newPassword": "second"}, auth=("", token))
    assert (wrong.status_code, wrong.json()["errorCode"]) == (500, 167)
    right = rest.post(change, json={"oldPassword": "first", "newPassword": "second"}, auth=("", token))
    assert right.status_code == 200
    assert rest.get("/api/types/System/instances", auth=("", token)).status_code == 401
    assert login(rest, "ann", "first").status_code == 401
    assert login(rest, "ann", "second").status_code == 200
    assert rest.post(change, json={"newPassword": "third"}).status_code == 200
    assert login(rest, "ann", "third").status_code == 200


def test_the_last_administrator_stays(rest: httpx.Client, engine: MemoryEngine) -> None:
    admin = next(iter(engine.state.users))
    for action, parameters in (("removeUser", {}), ("setUserRole", {"userRole": "Monitor"})):
        answer = rest.post(f"/api/instances/User::{admin}/action/{action}", json=parameters)
        assert (answer.status_code, answer.json()["errorCode"]) == (500, 62)
