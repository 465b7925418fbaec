"""Waiting until the agents of nodes are heard, and whoever knows which nodes there are."""

from __future__ import annotations

from artesian.cli.cluster.access import Api, wait_for
from artesian.cli.output import Progress
from artesian.model.errors import NotPossible

_AGENTS_TIMEOUT_S = 30.0
_SUBSTRATE_TIMEOUT_S = 120.0  # a master of Mesos may have to be followed by another one


def silent_nodes(api: Api) -> list[str]:
    """Nodes of which nobody knows why nothing is heard of them."""
    return [
        node["name"]
        for node in api.get("/nodes")
        if node["state"] == "silent" and not (node["unreachable"] or node["problem"])
    ]


def unseen(api: Api) -> str | None:
    """Why a plan may not be that of all nodes: nothing is done for one that is silent, and nothing at all
    while it is not known which nodes there are. None if it is."""
    substrate = api.get("/status")["substrate"]
    if not substrate["answers"]:
        return str(substrate["because"])
    silent = silent_nodes(api)
    return f"waiting for the agents of {', '.join(silent)}" if silent else None


def wait_for_substrate(api: Api, say: Progress) -> None:
    """Raises TookTooLong, saying why it is not known which nodes there are."""

    def look() -> str | None:
        substrate = api.get("/status")["substrate"]
        return None if substrate["answers"] else str(substrate["because"])

    wait_for(look, _SUBSTRATE_TIMEOUT_S, say)


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
