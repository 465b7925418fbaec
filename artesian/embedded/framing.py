"""Frames and greeting of the control protocol, free of any transport.

A frame is a little-endian u32 length and that many bytes of a UTF-8 JSON object. The greeting proves to
both sides that the other knows the engine's secret, without showing it: each answers the other's fresh
nonce with an HMAC-SHA256. What follows is neither encrypted nor signed: this keeps out strangers who can
reach the port, not somebody who rewrites packets on the control network.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
import struct
from collections.abc import Iterator
from typing import Any

MAX_FRAME_BYTES = 64 << 20
MAX_GREETING_FRAME_BYTES = 4096
"""Strangers cannot make us keep more than this."""

NONCE_BYTES = 32
ROLES = frozenset({"sds", "sdc", "gateway", "mdm"})

_LENGTH = struct.Struct("<I")
_NONCE = re.compile(r"[0-9a-f]{64}")


class ProtocolError(Exception):
    """The peer does not speak our protocol, or does not know the secret; the connection must end."""


def encode_frame(message: dict[str, Any]) -> bytes:
    """One frame. Raises ProtocolError when it is larger than any peer would take."""
    payload = json.dumps(message, separators=(",", ":")).encode()
    if len(payload) > MAX_FRAME_BYTES:
        raise ProtocolError(f"a message of {len(payload)} bytes is larger than {MAX_FRAME_BYTES}")
    return _LENGTH.pack(len(payload)) + payload


class FrameDecoder:
    """Cuts a stream of bytes into messages."""

    def __init__(self) -> None:
        self.max_frame_bytes = MAX_GREETING_FRAME_BYTES
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[dict[str, Any]]:
        """Add bytes; iterate over the messages they complete. Raises ProtocolError on anything else.

        Frames are held to `max_frame_bytes` as it is when they are reached, so it may be raised between
        two messages.
        """
        self._buffer += data
        while len(self._buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer)
            if length > self.max_frame_bytes:
                raise ProtocolError(f"a frame of {length} bytes where {self.max_frame_bytes} are allowed")
            end = _LENGTH.size + length
            if len(self._buffer) < end:
                return
            payload = bytes(memoryview(self._buffer)[_LENGTH.size : end])
            del self._buffer[:end]
            yield _decode(payload)


def new_nonce() -> str:
    return secrets.token_hex(NONCE_BYTES)


def greeting_proof(secret: bytes, nonce: str, role: str) -> str:
    """The answer to `nonce` of whoever takes part as `role`."""
    return hmac.new(secret, f"{nonce}{role}".encode(), hashlib.sha256).hexdigest()


def session_key(secret: bytes, server_nonce: str, peer_nonce: str) -> bytes:
    """32 bytes that follow from the secret and both nonces, different for every connection."""
    return hmac.new(secret, f"session {server_nonce} {peer_nonce}".encode(), hashlib.sha256).digest()


def nonce_of(message: dict[str, Any]) -> str:
    """The nonce in a greeting message. Raises ProtocolError when there is none of the right form."""
    nonce = message.get("nonce")
    if not isinstance(nonce, str) or not _NONCE.fullmatch(nonce):
        raise ProtocolError("no valid nonce in the greeting")
    return nonce


def check_proof(message: dict[str, Any], secret: bytes, nonce: str, role: str) -> None:
    """Raises ProtocolError unless the message proves knowledge of the secret."""
    proof = message.get("proof")
    expected = greeting_proof(secret, nonce, role)
    given = proof.encode("utf-8", "replace") if isinstance(proof, str) else b""
    if not hmac.compare_digest(given, expected.encode()):
        raise ProtocolError("the peer does not know this engine's secret")


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _decode(payload: bytes) -> dict[str, Any]:
    try:
        message = json.loads(payload.decode(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"a frame that is not JSON: {error}") from error
    if not isinstance(message, dict):
        raise ProtocolError("a frame that is not a JSON object")
    return message
