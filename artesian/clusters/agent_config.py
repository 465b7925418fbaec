"""What an agent is told at its start, whichever substrate starts it."""

from __future__ import annotations

from artesian.clusters.port import AgentCredentials


def agent_config(
    node: str, address: str, credentials: AgentCredentials, disks_folder: str | None = None
) -> dict[str, str]:
    """`disks_folder`: of files that stand for the node's disks; None: the machine's own."""
    config = {
        "node": node,
        "address": address,
        "dev": disks_folder,
        "scheduler_url": credentials.scheduler_url,
        "token": credentials.token,
        "engine_secret": credentials.engine_secret,
    }
    return {name: value for name, value in config.items() if value is not None}
