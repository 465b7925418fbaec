"""Waiting until the agents of nodes are heard, and whoever knows which nodes there are."""

from __future__ import annotations

from artesian.cli.cluster.access import Api, wait_for
from artesian.cli.output import Progress
from artesian.model.errors import NotPossible

_AGENTS_TIMEOUT_S = 30.0
_SUBSTRATE_TIMEOUT_S = 120.0  # a master of Mesos may have to be followed by another one


def unseen(api: Api) -> str | None:
    """Why a plan may not be that of all nodes: nothing is done for one that is silent, and nothing at all
    while it is not known which nodes there are. None if it is."""
    return _blindness(api) or _silence(api)


def wait_for_substrate(api: Api, say: Progress) -> None:
    """Raises TookTooLong, saying why it is not known which nodes there are."""
    wait_for(lambda: _blindness(api), _SUBSTRATE_TIMEOUT_S, say)


def wait_for_agents(api: Api, say: Progress) -> None:
    """Raises TookTooLong, naming those that are silent."""

    def look() -> str | None:
        try:
            return _silence(api)
        except NotPossible as error:
            return str(error)

    wait_for(look, _AGENTS_TIMEOUT_S, say)
    api.post("/passes")


def _blindness(api: Api) -> str | None:
    substrate = api.get("/status")["substrate"]
    return None if substrate["answers"] else str(substrate["because"])


def _silence(api: Api) -> str | None:
    """Of nodes of which nobody knows why nothing is heard of them."""
    silent = [
        node["name"]
        for node in api.get("/nodes")
        if node["state"] == "silent" and not (node["unreachable"] or node["problem"])
    ]
    return f"waiting for the agents of {', '.join(silent)}" if silent else None
