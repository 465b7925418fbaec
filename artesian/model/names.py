"""Names that the framework gives to things in an engine: always the same for the same thing.

Engines allow 31 characters, so what is longer ends in a digest of the whole.
"""

from __future__ import annotations

import functools
import hashlib
import uuid

MAX_NAME_LENGTH = 31
_DIGEST_LENGTH = 8
_NAMESPACE = uuid.UUID("7d2cf3a0-6d7b-4b0e-9d0e-6f1b1f0a51a7")


def _fit(name: str) -> str:
    if len(name) <= MAX_NAME_LENGTH:
        return name
    return f"{name[: MAX_NAME_LENGTH - _DIGEST_LENGTH - 1]}-{digest(name)[:_DIGEST_LENGTH]}"


def digest(text: str) -> str:
    """Hexadecimal SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()


def secret_digest(secret: str) -> str:
    """By which a secret is recognised, and which tells nothing of it: secrets are long and random."""
    return digest(f"artesian secret {secret}")[:32]


def server_name(node: str, domain: str) -> str:
    """A node's server in a domain; nodes may serve several domains."""
    return _fit(f"{node}.{domain}")


@functools.lru_cache(maxsize=1 << 18)
def device_name(identity: str) -> str:
    """A disk as a device, whatever its node calls it."""
    return f"disk-{digest(identity)[:20]}"


@functools.lru_cache(maxsize=1 << 15)
def client_guid(system_id: str, node: str) -> str:
    """A node's client, for ever."""
    return str(uuid.uuid5(_NAMESPACE, f"{system_id}/{node}")).upper()
