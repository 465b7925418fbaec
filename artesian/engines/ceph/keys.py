"""cephx keys, all of them made of the engine's secret: whoever knows it needs nobody to give them out."""

from __future__ import annotations

import base64
import hashlib
import hmac
import struct
from collections.abc import Mapping

_AES, _LENGTH, _HEADER = 1, 16, "<hiih"


def cephx_key(secret: str, who: str) -> str:
    """The key of an entity: the same whenever it is asked for.

    The format is that of `ceph-authtool --gen-print-key`: type, seconds, nanoseconds, length, key.
    """
    made = hmac.new(secret.encode(), f"cephx {who}".encode(), hashlib.sha256).digest()[:_LENGTH]
    return base64.b64encode(struct.pack(_HEADER, _AES, 0, 0, _LENGTH) + made).decode()


def is_key(text: str) -> bool:
    """Whether this is a key at all, whosever it is."""
    try:
        raw = base64.b64decode(text, validate=True)
        kind, _, _, length = struct.unpack_from(_HEADER, raw)
    except (ValueError, struct.error):
        return False
    return bool(kind == _AES and len(raw) == struct.calcsize(_HEADER) + length)


def volume_key(secret: str, volume_id: str, guid: str) -> str:
    """The key of the client `guid` for a volume: another client's is another."""
    return cephx_key(secret, f"volume {volume_id} of {guid}")


def keyring(secret: str, entity: str, key: str | None = None) -> str:
    """A keyring file with one key."""
    return keyring_entry(entity, key or cephx_key(secret, entity), {})


def keyring_entry(entity: str, key: str, caps: Mapping[str, str]) -> str:
    """What a keyring file says of one key, and of what whoever has it may do."""
    lines = [f"[{entity}]", f"\tkey = {key}"]
    lines += [f'\tcaps {kind} = "{_escaped(text)}"' for kind, text in caps.items()]
    return "\n".join([*lines, ""])


def _escaped(text: str) -> str:
    """As it is written between quotes in a keyring."""
    return text.replace("\\", "\\\\").replace('"', '\\"')
