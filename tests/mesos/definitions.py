"""Mesos' own definitions of its calls, which are in its library, to hold ours against."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

from tests.mesos.real import need_mesos

_LIBRARY = Path(__file__).parent / "kit" / "lib" / "libmesos.so"
_LAST_FIELD, _WITH_LENGTH = 14, 2
_SNAKE = re.compile(r"[a-z0-9_]+")
SCHEDULER, EXECUTOR, OPERATOR = "mesos.v1.scheduler", "mesos.v1.executor", "mesos.v1.master"


def check_call(api: str, call: Mapping[str, Any]) -> None:
    """Whether Mesos knows every field of this call, each has its type, and none lacks that has to be there.

    Raises AssertionError. Skips the test if there can be no Mesos.
    """
    unknown = [key for key in _keys(call) if not _SNAKE.fullmatch(key)]
    assert not unknown, f"Mesos writes no field like {unknown}"
    message = message_factory.GetMessageClass(_definitions().FindMessageTypeByName(f"{api}.Call"))()
    try:
        json_format.ParseDict(_as_protobuf_has_it(call), message)
    except json_format.ParseError as error:
        raise AssertionError(f"{call.get('type')}: {error}") from None
    assert not message.FindInitializationErrors(), (
        f"{call['type']} lacks {message.FindInitializationErrors()}"
    )
    bodies = [name.name for name, _ in message.ListFields() if name.message_type is not None]
    allowed = {"framework_id", "executor_id", str(call["type"]).lower()}
    assert set(bodies) <= allowed, f"{call['type']} has the body of another call: {bodies}"


def call_types(api: str) -> set[str]:
    """Every type of call there is."""
    kind = _definitions().FindEnumTypeByName(f"{api}.Call.Type")
    return {value.name for value in kind.values} - {"UNKNOWN"}


class Recorder:
    """Checks every call as it is sent, and remembers of which types there were."""

    def __init__(self, api: str) -> None:
        self._api = api
        self.types: set[str] = set()

    def __call__(self, call: Mapping[str, Any]) -> None:
        check_call(self._api, call)
        self.types.add(str(call["type"]))


def _as_protobuf_has_it(value: Any, name: str = "") -> Any:
    """Mesos' JSON has no special form for a duration, as protobuf's has."""
    if name == "max_grace_period":
        return f"{value['seconds']}s"
    if isinstance(value, Mapping):
        return {key: _as_protobuf_has_it(each, key) for key, each in value.items()}
    if isinstance(value, list):
        return [_as_protobuf_has_it(each) for each in value]
    return value


def _keys(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        yield from value
        for each in value.values():
            yield from _keys(each)
    elif isinstance(value, list):
        for each in value:
            yield from _keys(each)


@functools.cache
def _definitions() -> descriptor_pool.DescriptorPool:
    need_mesos()
    content, pool, known = _LIBRARY.read_bytes(), descriptor_pool.DescriptorPool(), set[str]()

    def add(name: str) -> None:
        if name in known:
            return
        known.add(name)
        file = descriptor_pb2.FileDescriptorProto.FromString(_serialized(content, name))
        for dependency in file.dependency:
            add(dependency)
        pool.Add(file)

    for api in (SCHEDULER, EXECUTOR, OPERATOR):
        folder = api.replace(".", "/")
        add(f"{folder}/{folder.rpartition('/')[2]}.proto")
    return pool


def _serialized(content: bytes, name: str) -> bytes:
    """The definitions of a file as protobuf keeps them: they begin with its name, and end somewhere."""
    begin = position = content.index(b"\n" + bytes([len(name)]) + name.encode())
    while True:
        tag, after = _number(content, position)
        if not 1 <= tag >> 3 <= _LAST_FIELD or tag & 7 != _WITH_LENGTH:
            return content[begin:position]
        length, after = _number(content, after)
        position = after + length


def _number(content: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = content[position]
        value |= (byte & 127) << shift
        position, shift = position + 1, shift + 7
        if byte < 128:
            return value, position
