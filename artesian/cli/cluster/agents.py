"""Waiting until the agents of nodes are heard."""

from __future__ import annotations

from artesian.cli.cluster.access import Api, wait_for
from artesian.cli.output import Progress
from artesian.model.errors import NotPossible

_AGENTS_TIMEOUT_S = 30.0


def silent_nodes(api: Api) -> list[str]:
    """Nodes of which nobody knows why nothing is heard of them."""
    return [
        node["name"]
        for node in api.get("/nodes")
        if node["state"] == "silent" and not (node["unreachable"] or node["problem"])
    ]


def wait_for_agents(api: Api, say: Progress) -> None:
    """Raises TookTooLong, naming those that are silent."""

    def look() -> str | None:
        try:
            silent = silent_nodes(api)
        except NotPossible as error:
            return str(error)
        return f"waiting for the agents of {', '.join(silent)}" if silent else None

    wait_for(look, _AGENTS_TIMEOUT_S, say)
    api.post("/passes")
