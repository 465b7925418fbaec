"""What a URL names, taken from the raw path so that names may hold anything."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artesian.embedded.gateway import urls
from artesian.embedded.gateway.failures import ApiError
from artesian.embedded.gateway.urls import Form, Target

ID = "8f3bb0cc00000002"


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/api/login", Target(Form.LOGIN)),
        ("/api/logout/", Target(Form.LOGOUT)),
        ("/api/version", Target(Form.VERSION)),
        ("/api/instances", Target(Form.EVERYTHING)),
        ("/api/instances/querySelectedStatistics", Target(Form.STATISTICS)),
        ("/api/types/Volume/instances", Target(Form.TYPE, "Volume")),
        ("/api/types/Volume/instances/", Target(Form.TYPE, "Volume")),
        (
            "/api/types/Volume/instances/action/queryIdByKey",
            Target(Form.TYPE_ACTION, "Volume", name="queryIdByKey"),
        ),
        (f"/api/instances/Sds::{ID}", Target(Form.OBJECT, "Sds", ID)),
        (f"/api/instances/Sds%3A%3A{ID}", Target(Form.OBJECT, "Sds", ID)),
        (f"/api/instances/Sds::{ID.upper()}", Target(Form.OBJECT, "Sds", ID)),
        (f"/api/instances/Sds::{ID}/relationships/Device", Target(Form.RELATIONSHIP, "Sds", ID, "Device")),
        (
            f"/api/instances/System::{ID}/action/snapshotVolumes",
            Target(Form.OBJECT_ACTION, "System", ID, "snapshotVolumes"),
        ),
        (
            "/api/instances/System/action/querySystemLimits",
            Target(Form.OBJECT_ACTION, "System", None, "querySystemLimits"),
        ),
        (
            "/api/instances/System/queryMdmCluster",
            Target(Form.OBJECT_ACTION, "System", None, "queryMdmCluster"),
        ),
    ],
)
def test_each_form_of_url_is_understood(path: str, target: Target) -> None:
    assert urls.parse(path.encode()) == target


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/api",
        "/api/",
        "/rest/auth/login",
        "/api/types",
        "/api/types/Volume",
        "/api/types/Vol%20ume/instances",
        "/api/types/Volume/instances/action",
        "/api/types/Volume/instances/getByName",
        "/api/types/Volume/instances/getByName::",
        "/api/instances/Volume",
        f"/api/instances/Volume::{ID}/relationships",
        f"/api/instances/Volume::{ID}/action/a/b",
        "/api/V1/Deployment",
    ],
)
def test_paths_outside_the_grammar_are_not_found(path: str) -> None:
    with pytest.raises(ApiError) as refusal:
        urls.parse(path.encode())
    assert refusal.value.status == 404


@pytest.mark.parametrize("text", ["xyz", "", "12345678123456789", "-1", "0x12", "8f3bb0cc 0000002"])
def test_a_malformed_id_is_refused_with_the_text_that_clients_look_for(text: str) -> None:
    with pytest.raises(ApiError, match="must be a hexadecimal number") as refusal:
        urls.parse(f"/api/instances/Volume::{quote(text)}".encode())
    assert (refusal.value.status, refusal.value.error_code) == (400, 0)


def test_a_path_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(ApiError) as refusal:
        urls.parse(b"/api/types/Volume/instances/getByName::%FF")
    assert refusal.value.status == 400


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_a_name_encoded_once_or_twice_is_among_the_readings(name: str) -> None:
    once = quote(name, safe="")
    for encoded in (once, quote(once, safe="")):
        target = urls.parse(f"/api/types/Volume/instances/getByName::{encoded}".encode())
        assert (target.form, target.type_name, target.name) == (Form.LOOKUP, "Volume", "getByName")
        assert name in target.keys


def test_a_name_encoded_once_is_read_as_such_first() -> None:
    target = urls.parse(b"/api/types/Volume/instances/getByName::50%2541")
    assert target.keys == ("50%41", "50A")


def test_plain_slashes_belong_to_the_name_and_a_last_one_may() -> None:
    target = urls.parse(b"/api/types/Client/instances/getByIp::10.0.0.9/")
    assert target.keys == ("10.0.0.9/", "10.0.0.9")
    assert urls.parse(b"/api/types/Volume/instances/getByName::a/b+c=").keys == ("a/b+c=",)
