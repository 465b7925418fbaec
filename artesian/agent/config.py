"""What an agent is started with: one file that only its owner can read."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path

from artesian.model.errors import ArtesianError


class AgentConfigError(ArtesianError):
    """The agent cannot start with this file."""


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """`dev`: the folder that stands for /dev; None: the node's real disks."""

    node: str
    address: str
    scheduler_url: str
    token: str
    engine_secret: str
    dev: str | None = None


def load_config(folder: Path) -> AgentConfig:
    """The config of the agent in a folder. Raises AgentConfigError."""
    path = folder / "config.json"
    try:
        if path.stat().st_mode & 0o077:
            raise AgentConfigError(f"{path}: others can read it, and it holds secrets; chmod 600 it")
        document = json.loads(path.read_bytes())
        known = {field.name for field in fields(AgentConfig)}
        return AgentConfig(**{key: value for key, value in document.items() if key in known})
    except OSError as error:
        raise AgentConfigError(f"{path}: {error.strerror}") from None
    except (ValueError, TypeError, AttributeError) as error:
        raise AgentConfigError(f"{path} cannot be read: {error}") from None
