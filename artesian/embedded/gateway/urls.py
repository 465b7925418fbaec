"""PowerFlex' URL grammar.

The path is taken as it came over the wire and split before it is decoded: names inside it may hold
slashes, and some clients encode them twice.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto
from urllib.parse import unquote

from artesian.embedded.gateway import failures, values

_STILL_ENCODED = re.compile(r"%[0-9A-Fa-f]{2}")
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9]{0,63}", re.ASCII)


class Form(Enum):
    """The forms that a URL can have, with the only method each allows."""

    LOGIN = auto()  # GET /api/login
    LOGOUT = auto()  # GET /api/logout
    VERSION = auto()  # GET /api/version
    EVERYTHING = auto()  # GET /api/instances
    TYPE = auto()  # GET (list) or POST (create) /api/types/T/instances
    TYPE_ACTION = auto()  # POST /api/types/T/instances/action/A
    LOOKUP = auto()  # GET /api/types/T/instances/getByName::KEY
    OBJECT = auto()  # GET /api/instances/T::ID
    RELATIONSHIP = auto()  # GET /api/instances/T::ID/relationships/R
    OBJECT_ACTION = auto()  # POST /api/instances/T::ID/action/A and /api/instances/T/action/A
    STATISTICS = auto()  # POST /api/instances/querySelectedStatistics


@dataclass(frozen=True, slots=True)
class Target:
    """What a URL names. `object_id` is None for actions on the one System without its id.

    `name` is the action, relationship or lookup; `keys` are the readings of a lookup's key, best first.
    """

    form: Form
    type_name: str = ""
    object_id: str | None = None
    name: str = ""
    keys: tuple[str, ...] = ()

    @property
    def methods(self) -> tuple[str, ...]:
        if self.form is Form.TYPE:
            return ("GET", "POST")
        if self.form in (Form.TYPE_ACTION, Form.OBJECT_ACTION, Form.STATISTICS):
            return ("POST",)
        return ("GET",)


_PLAIN = {
    ("login",): Form.LOGIN,
    ("logout",): Form.LOGOUT,
    ("version",): Form.VERSION,
    ("instances",): Form.EVERYTHING,
    ("instances", "querySelectedStatistics"): Form.STATISTICS,
}


def parse(raw_path: bytes) -> Target:
    """What a path names. Raises ApiError 404 for paths outside the grammar, 400 for malformed ids."""
    pieces = raw_path.decode("latin-1").split("/")
    if len(pieces) < 3 or pieces[0] != "" or pieces[1] != "api":
        raise failures.unknown_url()
    pieces = pieces[2:]
    if len(pieces) >= 4 and pieces[0] == "types" and pieces[2] == "instances" and pieces[3] != "action":
        return _lookup(pieces)
    if pieces[-1] == "" and len(pieces) > 1:
        pieces.pop()
    words = tuple(_decode(piece) for piece in pieces)
    plain = _PLAIN.get(words)
    if plain is not None:
        return Target(plain)
    if words[0] == "types":
        return _type_target(words)
    if words[0] == "instances":
        return _instance_target(words)
    raise failures.unknown_url()


def _type_target(words: tuple[str, ...]) -> Target:
    match words:
        case ("types", type_name, "instances"):
            return Target(Form.TYPE, _word(type_name))
        case ("types", type_name, "instances", "action", action):
            return Target(Form.TYPE_ACTION, _word(type_name), name=_word(action))
        case _:
            raise failures.unknown_url()


def _instance_target(words: tuple[str, ...]) -> Target:
    if words == ("instances", "System", "queryMdmCluster"):
        return Target(Form.OBJECT_ACTION, "System", name="queryMdmCluster")
    type_name, separator, text = words[1].partition("::")
    type_name = _word(type_name)
    object_id = values.identifier(text) if separator else None
    match words[2:]:
        case () if object_id is not None:
            return Target(Form.OBJECT, type_name, object_id)
        case ("relationships", relationship) if object_id is not None:
            return Target(Form.RELATIONSHIP, type_name, object_id, _word(relationship))
        case ("action", action):
            return Target(Form.OBJECT_ACTION, type_name, object_id, _word(action))
        case ("queryMdmCluster",) if type_name == "System":
            return Target(Form.OBJECT_ACTION, type_name, object_id, "queryMdmCluster")
        case _:
            raise failures.unknown_url()


def _lookup(pieces: list[str]) -> Target:
    """`getByName::KEY` and the like; the key may hold plain slashes, so the rest of the path is the key."""
    if len(pieces) == 4 and pieces[3] == "":
        return Target(Form.TYPE, _word(_decode(pieces[1])))
    rest = "/".join(pieces[3:])
    lookup, separator, raw_key = rest.replace("%3A%3A", "::", 1).replace("%3a%3a", "::", 1).partition("::")
    if not separator or not raw_key:
        raise failures.unknown_url()
    keys: list[str] = []
    for candidate in (raw_key, raw_key.removesuffix("/")):
        once = _decode(candidate)
        keys.append(once)
        if _STILL_ENCODED.search(once):
            keys.append(_decode(once))
    return Target(Form.LOOKUP, _word(_decode(pieces[1])), name=_word(lookup), keys=tuple(dict.fromkeys(keys)))


def _decode(text: str) -> str:
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise failures.bad_request("The URL is not valid UTF-8") from None


def _word(text: str) -> str:
    if not _WORD.fullmatch(text):
        raise failures.unknown_url()
    return text
