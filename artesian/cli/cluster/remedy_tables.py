"""Remedies, rules and reasons for people."""

from __future__ import annotations

import time
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from artesian.cli.tables import table_of
from artesian.model.sizes import format_size

Document = dict[str, Any]


def remedy_table(remedies: list[Document]) -> RenderableType:
    """Remedies, each with what it waits for."""
    if not remedies:
        return Text("There is nothing to remedy.", style="green")
    rows = [
        (
            one["id"],
            one["kind"],
            one["title"],
            one["state"],
            one["detail"] or one["because"],
            f"{one['cost_per_month']:.2f}" if one["cost_per_month"] else "-",
        )
        for one in remedies
    ]
    columns = ("remedy", "what", "of", "state", "because", "a month")
    asking = [one["id"] for one in remedies if one["state"] == "asking"]
    hint = f"Somebody has to agree: artesian remedies approve {asking[0]}" if asking else ""
    return Group(table_of(columns, rows, "Remedies"), Text(hint))


def remedy_details(one: Document) -> RenderableType:
    """One remedy from its reason to its end."""
    saw = ", ".join(f"{name} = {value:g}" for name, value in sorted(one["saw"].items()))
    lines = [
        f"Remedy {one['id']}: {one['kind']} of {one['title']}, {one['state']}",
        f"because {one['because']}",
        f"rule {one['rule']} saw {saw}" if saw else f"rule {one['rule']}",
    ]
    lines += [one["detail"]] if one["detail"] else []
    lines += [f"agreed to by {one['approved_by']}"] if one["approved_by"] else []
    machine = one.get("machine")
    if machine is not None:
        state = "refused" if machine["refused"] else "made" if machine["made_s"] else "asked for"
        size = format_size(machine["disk_bytes"])
        lines.append(f"machine {machine['name']} with {machine['disks']} disks of {size} is {state}")
    parts: list[RenderableType] = [_parts_table(one["parts"])] if one["parts"] else []
    told = [f"{_at(event['at_s'])}  {event['because']}" for event in one["events"]]
    return Group(*map(Text, lines), *parts, *map(Text, told))


def dry_run_text(one: Document) -> RenderableType:
    """What a remedy would do."""
    lines = [f"Remedy {one['id']} would {one['kind'].replace('-', ' ')} {one['title']}."]
    lines += [f"It has to wait: {one['held']}."] if one["held"] else []
    lines += [f"{one['detail'][0].upper()}{one['detail'][1:]}."] if one["detail"] else []
    parts: list[RenderableType] = [_parts_table(one["disks"])] if one["disks"] else []
    return Group(*map(Text, lines), *parts)


def _parts_table(parts: list[Document]) -> RenderableType:
    rows = [
        (
            part["node"],
            part["provider"],
            format_size(part["size_bytes"]),
            part["state"],
            f"{part['cost_per_month']:.2f}",
            part["disk_id"] or "-",
            part["detail"],
        )
        for part in parts
    ]
    return table_of(("node", "provider", "size", "state", "a month", "disk", ""), rows, "Disks")


def rule_table(rules: list[Document]) -> RenderableType:
    """Rules and what they fire for."""
    rows = [
        (
            one["name"],
            one["scope"],
            one["when"],
            one["remedy"],
            one["approval"],
            "; ".join(it["because"] for it in one["fires"]) or "-",
        )
        for one in rules
    ]
    return table_of(("rule", "of each", "when", "remedy", "approval", "fires"), rows, "Rules")


def why_text(document: Document) -> RenderableType:
    """Reasons first, then what has happened."""
    lines = [f"{one['from']}: {one['because']}" for one in document["reasons"]]
    lines += [f"{_at(event['at_s'])}  {event['kind']}: {event['because']}" for event in document["events"]]
    return Group(*map(Text, lines))


def _at(seconds: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(seconds))
