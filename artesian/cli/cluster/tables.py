"""A cluster as tables."""

from __future__ import annotations

from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from artesian.cli.cluster.plans import asks
from artesian.cli.output import moment
from artesian.cli.tables import table_of
from artesian.model.sizes import format_size
from artesian.remedy.words import rough_duration

Document = dict[str, Any]


def status_tables(status: Document) -> RenderableType:
    """Everything of `status`."""
    verdict, *others = status_lines(status)
    parts: list[RenderableType] = [Text(verdict, style="green" if status["healthy"] else "yellow")]
    parts += [Text(line, style="yellow") for line in others]
    if status["managers"]:
        rows = [(one["node"], one["role"], _manager_state(one)) for one in status["managers"]]
        parts.append(table_of(("manager on", "role", "state"), rows, f"Managers{_whose(status)}"))
    parts.append(node_table(status["nodes"]))
    if status["pools"]:
        parts.append(pool_table(status["pools"]))
    if status["volumes"]:
        parts.append(volume_table(status["volumes"]))
    return Group(*parts)


def status_lines(status: Document) -> list[str]:
    """What is to be said of `status` in words: the verdict first."""
    lines = [f"pause: {one['sentence']}" for one in status["pauses"]]
    lines += [f"note: {note}" for note in status["notes"]]
    warnings = (status.get("engine") or {}).get("warnings", ())
    lines += [f"the engine warns: {one['text']} [{one['code']}]" for one in warnings]
    return [status["verdict"], *lines, *_what_goes_on(status)]


def _what_goes_on(status: Document) -> list[str]:
    """Remedies, drills and a restart, in the order in which somebody should look at them."""
    restart = status.get("restart")
    lines = [f"restart: {restart['sentence']}"] if restart is not None else []
    lines += [
        f"remedy {one['id']}: {one['kind']} of {one['title']} "
        + ("waits for you: artesian remedies show" if one["state"] == "asking" else f"is {one['state']}")
        + f" ({one['because']})"
        for one in sorted(status["remedies"], key=lambda one: str(one["state"]) != "asking")
    ]
    return lines + [f"drill {one} goes on: artesian drill show" for one in status["drills"]]


def _whose(status: Document) -> str:
    """Of which kind the engine is."""
    engine = status.get("engine")
    return f" ({engine['kind']})" if engine is not None else ""


def _manager_state(manager: Document) -> str:
    if manager["healthy"] is None:
        return "unknown"
    if not manager["healthy"]:
        return "away"
    return "leads" if manager["leads"] else "follows"


def node_table(nodes: list[Document]) -> RenderableType:
    """The nodes."""
    rows = []
    for node in nodes:
        state = node["state"]
        if node["leaving"]:
            state = "leaving" if node["roles"] else "removed"
        elif not node["joined"]:
            state += ", not used"
        if node["in_maintenance"]:
            state += ", maintenance" if node["maintenance"]["done"] else ", maintenance wanted"
        if node.get("drained"):
            state += ", drained"
        problems = "; ".join(one for one in (node.get("problem"), *node["problems"]) if one)
        rows.append((node["name"], state, node["address"], ", ".join(node["roles"]) or "-", problems or "-"))
    return table_of(("node", "state", "address", "roles", "problems"), rows, "Nodes")


def pool_table(pools: list[Document]) -> RenderableType:
    """The storage pools."""
    rows = []
    for pool in pools:
        state = "normal" if pool["is_settled"] else "moving" if pool["is_whole"] else "degraded"
        rows.append(
            (
                pool["name"],
                state,
                str(pool["devices"]),
                format_size(pool["size_bytes"]),
                format_size(pool["used_bytes"]),
                _share(pool["used_share"]),
                _full_in(pool["forecast"]),
                format_size(pool["free_bytes"]),
                f"{pool['spare_percentage']} %",
                format_size(pool["degraded_bytes"]),
            )
        )
    columns = ("pool", "state", "devices", "size", "used", "", "full in", "free", "spare", "degraded")
    return table_of(columns, rows, "Pools  (size and used: all copies; free: for volumes)")


def pool_text(pool: Document) -> str:
    """One pool: what it holds, and when it is full."""
    forecast = pool["forecast"]
    lines = [
        f"Pool {pool['name']}: {_share(pool['used_share'])} full",
        f"  holds {format_size(pool['used_bytes'])}"
        + (f" of {format_size(pool['capacity_bytes'])}" if pool["capacity_bytes"] is not None else "")
        + " (all copies), with room for "
        + f"{format_size(pool['free_bytes'])} of new volumes",
        f"  {pool['devices']} devices, {format_size(pool['size_bytes'])}, {pool['spare_percentage']} % spare",
        f"  one copy only: {format_size(pool['degraded_bytes'])}; no copy within reach: "
        f"{format_size(pool['failed_bytes'])}; to be copied: {format_size(pool['moving_bytes'])}",
        f"  full in: {_full_in(forecast)} ({forecast['confidence']}, {100 * forecast['sure']:.0f} % sure: "
        f"{forecast['because']})",
    ]
    if forecast["known"] and forecast["high_s"] is not None:
        lines.append(
            f"  between {rough_duration(forecast['low_s'])} and {rough_duration(forecast['high_s'])}, "
            f"at {format_size(forecast['bytes_per_s'])}/s"
        )
    lead_s = pool["expansion_lead_s"]
    has = "no provider can give any" if lead_s is None else f"they take {rough_duration(lead_s)}"
    return "\n".join([*lines, f"  new disks: {has}"])


def _share(share: float | None) -> str:
    return "?" if share is None else f"{100 * share:.0f} %"


def _full_in(forecast: Document) -> str:
    if not forecast["known"]:
        return "?"
    return "-" if forecast["time_to_full_s"] is None else rough_duration(forecast["time_to_full_s"])


def volume_table(volumes: list[Document]) -> RenderableType:
    """The volumes."""
    rows = [
        (
            one["name"],
            format_size(one["size_bytes"]),
            one["pool"],
            one["node"] or "-",
            one["mounted_at"] or one["device"] or "-",
            fill_text(one) or "-",
            ("normal" if not one["note"] else one["note"]) if one["ready"] else one["because"],
        )
        for one in volumes
    ]
    return table_of(("volume", "size", "pool", "node", "at", "filled", "state"), rows, "Volumes")


def snapshot_table(snapshots: list[Document]) -> RenderableType:
    """The snapshots of volumes."""
    rows = [
        (
            one["volume"],
            one["name"],
            moment(one["taken_at_s"]) if one["taken_at_s"] is not None else "-",
            format_size(one["size_bytes"]) if one["size_bytes"] is not None else "-",
            ", ".join(one["clones"]) or "-",
            "normal" if one["ready"] else one["because"],
        )
        for one in snapshots
    ]
    return table_of(("volume", "snapshot", "taken", "size", "clones", "state"), rows, "Snapshots")


def fill_text(volume: Document) -> str:
    """How full its file system is; empty if that is not known."""
    if not volume["total_bytes"]:
        return ""
    return f"{100 * volume['used_bytes'] / volume['total_bytes']:.0f} %"


def disk_table(disks: list[Document]) -> RenderableType:
    """The disks, each with its verdict."""
    rows = [
        (
            one["node"],
            one["path"].rpartition("/")[2],
            format_size(one["size_bytes"]),
            _used_of(one),
            one["verdict"] + (f", {one['device']}" if one["device"] else ""),
            health_text(one) or "-",
            one["because"],
        )
        for one in disks
    ]
    return table_of(("node", "disk", "size", "used", "verdict", "health", "because"), rows)


def _used_of(disk: Document) -> str:
    """How much of what applications may write to it."""
    if disk.get("used_bytes") is None or disk.get("room_bytes") is None:
        return "-"
    whole = disk["used_bytes"] + disk["room_bytes"]
    return f"{100 * disk['used_bytes'] / whole:.0f} %" if whole else "-"


def health_text(disk: Document) -> str:
    """What is measured of a disk, and what it says of itself; empty if nothing is known."""
    health, smart = disk["health"], disk["smart"]
    found = []
    if smart is not None:
        found.append(f"will fail: {smart['because']}" if smart["failing"] else "well by its own word")
    elif health.get("smart_failing"):
        found.append("will fail, says the engine")
    if "error_count" in health:
        count = round(health["error_count"])
        found.append(f"{count or 'no'} error{'' if count == 1 else 's'}")
    if "latency_s" in health:
        found.append(rough_duration(health["latency_s"]))
    if "peers_latency_s" in health:
        found[-1] += f" (others {rough_duration(health['peers_latency_s'])})"
    return ", ".join(found)


def plan_table(plan: Document) -> RenderableType:
    """A plan: every step with its reason, and what becomes of it."""
    if not plan["steps"]:
        return Group(
            Text("Nothing is to be done.", style="green"),
            *(Text(f"note: {note}", style="yellow") for note in plan["notes"]),
        )
    rows = []
    for number, step in enumerate(plan["steps"], 1):
        marks = ("! " if step["destructive"] else "") + ("? " if step["needs_approval"] else "")
        what = f"{marks}{step['change']} " + " ".join(
            f"{name}={_short(name, value)}"
            for name, value in step["arguments"].items()
            if _is_shown(name, value)
        )
        rows.append((str(number), what, step["because"], _step_state(step)))
    return Group(
        table_of(
            ("", "step", "because", "state"),
            rows,
            f"Plan {plan['id']}" if plan["id"] else "What this spec would lead to",
        ),
        Text("!: writes to a free disk, moves copies away, or deletes.   ?: somebody has to agree to it."),
        *(Text(f"note: {note}", style="yellow") for note in plan["notes"]),
    )


def _step_state(step: Document) -> str:
    """With what speaks against it. Its order says what it comes after, and ? that somebody has to agree."""
    detail = str(step.get("detail") or "")
    told = detail and step["state"] not in ("waiting", "done") and not asks(step)
    return f"{step['state']}: {detail}" if told else str(step["state"])


def _is_shown(name: str, value: object) -> bool:
    return value is not None and name not in ("identity", "address", "engine_path")


def _short(name: str, value: Any) -> str:
    if name == "path":
        return str(value).rpartition("/")[2]
    if isinstance(value, dict):
        return str(value.get("node") or ",".join(value.get("gateways") or value.get("managers", ())))
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return ",".join(_short(name, one) for one in value)
    if isinstance(value, list):
        return ",".join(map(str, value))
    if "_bytes" in name and value >= 1 << 20:
        return format_size(value).replace(" ", "")
    return str(value)


def event_line(event: Document, at: str) -> str:
    """One event."""
    return f"{event['number']:>6}  {at}  {event['kind']:<10} {event['subject']}: {event['because']}"
