"""The engine's status as tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from artesian.model.sizes import format_duration, format_size

Document = dict[str, Any]
_GOOD = {"normal", "running", "leads", "follows", "connected", "open", "alive"}
_BAD = {"failed", "stopped", "away", "not connected", "dead", "unhealthy"}


def status_tables(document: Document, brief: bool = False) -> RenderableType:
    """Everything of `engine status`.

    With `brief` what changes comes first, and of the processes only those that do not run are shown.
    """
    engine = document["engine"]
    folder = f"{engine['folder']}/"  # paths below it are shown without it
    parts: list[RenderableType] = [
        Text.assemble((engine["name"], "bold"), f"  {engine['folder']}  gateway {engine['gateway']}")
    ]
    if document["problem"] is not None:
        parts.append(Text(f"Only the processes are known: {document['problem']}.", style="red"))
    if brief:
        document = document | {
            "processes": [process for process in document["processes"] if not process["running"]]
        }
    first = [_managers(document)]
    if document["processes"]:
        first.insert(0, _processes(document, folder))
    if document["problem"] is not None:
        return Group(*parts, *first)
    pools = list(_pools(document))
    middle = [_servers(document), _devices(document, folder)]
    last = volume_tables(document)
    return (
        Group(*parts, *pools, *first, *middle, last)
        if brief
        else Group(*parts, *first, *middle, *pools, last)
    )


def table_of(columns: Sequence[str], rows: Iterable[Sequence[str]], title: str | None = None) -> Table:
    """A plain table in the house style."""
    table = Table(box=box.SIMPLE, title=title, title_justify="left", title_style="bold", pad_edge=False)
    for column in columns:
        right = column in ("used", "size", "free", "spare", "degraded", "pid", "left", "rate")
        table.add_column(column, justify="right" if right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_coloured(cell) for cell in row))
    return table


def _coloured(cell: str) -> Text:
    style = "green" if cell in _GOOD else "red" if cell in _BAD else ""
    return Text(cell, style=style)


def _processes(document: Document, folder: str) -> Table:
    return table_of(
        ["process", "node", "state", "pid", "log"],
        [
            [
                process["name"],
                _or_dash(process["node"]),
                "running" if process["running"] else "stopped",
                _or_dash(process["process_id"]),
                process["log"].removeprefix(folder),
            ]
            for process in document["processes"]
        ],
        "Processes",
    )


def _managers(document: Document) -> Table:
    def state(manager: Document) -> str:
        if manager["leader"]:
            return "leads"
        if manager["process_id"] is None:
            return "stopped"
        return {True: "follows", False: "not connected", None: "?"}[manager["connected"]]

    return table_of(
        ["manager", "role", "state", "node", "address"],
        [
            [manager["name"], manager["role"], state(manager), str(manager["node"]), manager["address"]]
            for manager in document["managers"]
        ],
        "Managers",
    )


def _servers(document: Document) -> Table:
    def state(server: Document) -> str:
        if server["in_maintenance"]:
            return "in maintenance" if server["connected"] else "away, in maintenance"
        if not server["connected"]:
            return "away"
        return "connected" if server["lifecycle"] == "normal" else str(server["lifecycle"])

    return table_of(
        ["server", "state", "domain", "fault set", "address", "pid"],
        [
            [
                server["name"],
                state(server),
                server["protection_domain"],
                _or_dash(server["fault_set"]),
                server["address"],
                _or_dash(server["process_id"]),
            ]
            for server in document["servers"]
        ],
        "Servers",
    )


def _devices(document: Document, folder: str) -> Table:
    return table_of(
        ["device", "server", "pool", "state", "used", "size", "path"],
        [
            [
                device["name"] or device["id"],
                device["server"],
                device["pool"],
                device["condition"],
                format_size(device["used_bytes"]),
                format_size(device["size_bytes"]),
                device["path"].removeprefix(folder) + (f"  ({device['error']})" if device["error"] else ""),
            ]
            for device in document["devices"]
        ],
        "Devices",
    )


def _pools(document: Document) -> Iterable[RenderableType]:
    yield table_of(
        ["pool", "size", "used", "free", "spare", "degraded"],
        [
            [
                pool["name"],
                format_size(pool["raw_bytes"]),
                format_size(pool["used_bytes"]),
                format_size(pool["free_bytes"]),
                format_size(pool["spare_bytes"]),
                format_size(pool["degraded_bytes"] + pool["unavailable_bytes"]),
            ]
            for pool in document["pools"]
        ],
        "Pools",
    )
    for pool in document["pools"]:
        for sentence in pool["sentences"]:
            yield Text(f"  {sentence}", style="green" if pool["healthy"] else "yellow")
        if pool["healing"]:
            yield _healing(pool)


def _healing(pool: Document) -> Table:
    return table_of(
        ["healing", "under way", "waiting", "left", "rate", "time left"],
        [
            [
                progress["reason"],
                str(progress["under_way"]),
                str(progress["waiting"]),
                format_size(progress["left_bytes"]),
                f"{format_size(progress['rate_bytes_per_s'])}/s",
                format_duration(progress["seconds_left"]),
            ]
            for progress in pool["healing"]
        ],
    )


def volume_tables(document: Document) -> RenderableType:
    """Volumes and their mappings."""
    volumes = table_of(
        ["volume", "pool", "size", "used", "kind", "nodes", "id"],
        [
            [
                volume["name"],
                volume["pool"],
                format_size(volume["size_bytes"]),
                format_size(volume["used_bytes"]),
                ("thin" if volume["thin"] else "thick")
                + ("" if volume["lifecycle"] == "normal" else f", {volume['lifecycle']}"),
                ", ".join(str(node or "?") for node in volume["nodes"]) or "-",
                volume["id"],
            ]
            for volume in document["volumes"]
        ],
        "Volumes",
    )
    if not document["mappings"]:
        return volumes
    return Group(volumes, _mappings(document))


def _mappings(document: Document) -> Table:
    return table_of(
        ["mapping", "node", "access", "state", "attached", "NBD address"],
        [
            [
                mapping["volume"],
                _or_dash(mapping["node"]),
                mapping["access_mode"],
                "open" if mapping["open"] else "not open",
                _attached(mapping["attached"]),
                mapping["nbd"] or "-",
            ]
            for mapping in document["mappings"]
        ],
        "Mappings",
    )


def _attached(found: Document | None) -> str:
    if found is None:
        return "-"
    if not found["alive"]:
        return "dead"
    where = f" at {found['mounted_at']} ({found['fstype']})" if found["mounted_at"] else ""
    return f"{found['device']}{where}"


def _or_dash(value: object) -> str:
    return "-" if value is None else str(value)
