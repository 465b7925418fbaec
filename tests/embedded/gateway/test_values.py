"""Parameters are read leniently, and nonsense is refused in PowerFlex' words."""

import json
from typing import Any

import pytest

from artesian.embedded.gateway.failures import ApiError
from artesian.embedded.gateway.values import Parameters, parse_body


@pytest.mark.parametrize("body", [b"", b"  \n", b"null", b"{}", b" {} "])
def test_no_body_null_and_an_empty_object_are_alike(body: bytes) -> None:
    assert parse_body(body) == {}


@pytest.mark.parametrize(
    "body",
    [b"{", b"[]", b'"text"', b"17", b"true", b"\xff\xfe", b"[" * 100_000, b"1" * 5_000, b'{"a":}'],
)
def test_other_bodies_are_refused(body: bytes) -> None:
    with pytest.raises(ApiError, match="Request message is not valid") as refusal:
        parse_body(body)
    assert (refusal.value.status, refusal.value.error_code) == (400, 0)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (True, True),
        ("TRUE", True),
        ("True", True),
        ("true", True),
        (1, True),
        (False, False),
        ("FALSE", False),
        ("0", False),
        ("", None),
        (None, None),
    ],
)
def test_booleans_come_in_many_forms(given: Any, meant: bool | None) -> None:
    assert Parameters({"flag": given}).flag("flag") is meant


@pytest.mark.parametrize(
    ("given", "meant"), [(8, 8), ("8", 8), (" 8 ", 8), (8.0, 8), ("-1", -1), ("", None), (None, None)]
)
def test_numbers_come_as_numbers_or_text(given: Any, meant: int | None) -> None:
    assert Parameters({"size": given}).number("size") == meant


@pytest.mark.parametrize("given", [True, "eight", "8.5", 8.5, "1e3", [8], {"a": 1}, "٣", "9" * 40, 1e300])
def test_what_is_no_number_is_refused(given: Any) -> None:
    with pytest.raises(ApiError) as refusal:
        Parameters({"size": given}).number("size")
    assert refusal.value.status == 400


def test_a_value_outside_its_words_is_refused_with_the_list_of_them() -> None:
    parameters = Parameters({"mode": "Z", "other": "readonly"})
    assert parameters.choice("other", ("ReadWrite", "ReadOnly")) == "ReadOnly"
    with pytest.raises(
        ApiError, match="mode should get one of the following values: A, B, but its value is Z"
    ):
        parameters.choice("mode", ("A", "B"))


def test_a_missing_parameter_is_named() -> None:
    with pytest.raises(ApiError, match=r"must be part of the request body: storagePoolId\."):
        Parameters({"storagePoolId": ""}).required_identifier("storagePoolId")


def test_lists_may_be_a_single_text_and_hold_ids_in_any_case() -> None:
    assert Parameters({"ids": "AB"}).identifiers("ids") == ["00000000000000ab"]
    assert Parameters({"ids": ["1", "", None]}).identifiers("ids") == ["0000000000000001"]
    assert Parameters({}).texts("ids") == []


@pytest.mark.parametrize("given", ["text", [1], {"a": 1}, 7])
def test_a_list_of_objects_must_be_one(given: Any) -> None:
    with pytest.raises(ApiError):
        Parameters({"list": given}).objects("list")


def test_text_with_half_a_character_is_refused() -> None:
    with pytest.raises(ApiError, match="Unicode"):
        Parameters(json.loads('{"name": "\\ud800"}')).text("name")
