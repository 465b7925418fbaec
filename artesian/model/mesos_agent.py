"""What the scheduler and an agent that is Mesos' executor tell each other."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

AGENT_ROLE = "agent"  # the role whose task is the agent itself, and carries its config


def config_digest(config: Mapping[str, Any]) -> str:
    """Names a config without telling what is in it."""
    return hashlib.sha256(json.dumps(dict(config), sort_keys=True).encode()).hexdigest()
