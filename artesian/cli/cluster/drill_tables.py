"""Drills for people."""

from __future__ import annotations

import time
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from artesian.cli.tables import table_of
from artesian.model.drill import Moment

Document = dict[str, Any]
_WORDS = {
    Moment.PROVOKED: "the fault was there",
    Moment.DETECTED: "it was noticed",
    Moment.DECIDED: "a remedy was decided on",
    Moment.ACTED: "it was at work",
    Moment.OVER: "the fault itself was over",
    Moment.HEALED: "everything was well again",
}


def drill_table(document: Document) -> RenderableType:
    """Every kind of drill."""
    rows = [
        (
            one["name"],
            one["what"] if one["not_possible"] is None else f"not possible: because {one['not_possible']}",
            _last(one["last"]),
        )
        for one in document["kinds"]
    ]
    refused = document["refused"]
    hint = f"Not now: {refused}." if refused else "Try one: artesian drill run kill-manager --dry-run"
    return Group(table_of(("drill", "what it does", "last"), rows, "Drills"), Text(hint))


def _last(one: Document | None) -> str:
    if one is None:
        return "-"
    return f"{one['state']} {_at(one['changed_s'])} ({one['id']})"


def dry_run_text(one: Document) -> RenderableType:
    """What a drill would do, to whom, and how it is undone."""
    because = f" ({one['because']})" if one["because"] else ""
    held = f", held for {one['hold_s']:g} s" if 0 < one["hold_s"] < one["limit_s"] else ""
    lines = [
        f"{one['kind']} {one['what']}.",
        f"It would hit {one['thing']}{because}{held}.",
        f"Meanwhile node {one['writer_node']} would write to a volume of its own in pool {one['pool']}.",
        f"Undone: {one['undone']}. After {one['limit_s']:g} s at the latest it is undone.",
    ]
    lines += [f"One of these rules has to fire: {', '.join(one['expects'])}."] if one["expects"] else []
    return Group(*map(Text, lines))


def report_text(one: Document) -> RenderableType:
    """A drill from beginning to end."""
    colour = {"passed": "green", "failed": "red", "aborted": "yellow"}.get(one["state"], "cyan")
    lines = [Text(f"Drill {one['id']}: {one['kind']} of {one['thing']}, {one['state']}", style=colour)]
    if one["open"]:
        lines.append(Text(f"waits for: {one['waits_for']}"))
    if one["verdict"]:
        lines.append(Text(f"{one['verdict'][0].upper()}{one['verdict'][1:]}."))
    began_s = one["times"].get(Moment.PROVOKED)
    for moment in Moment:
        at_s = one["times"].get(moment)
        if at_s is not None and began_s is not None:
            lines.append(Text(f"{_at(at_s)}  +{max(0.0, at_s - began_s):5.1f} s  {_WORDS[moment]}"))
    lines += [
        Text(f"remedy {it['id']}: {it['kind']} of {it['thing']} is {it['state']}") for it in one["remedies"]
    ]
    read = f", {one['verified']} read back" if one["verified"] is not None else ""
    pause = f"longest pause between two {one['pause_s']:.2f} s"
    lines.append(Text(f"{one['acknowledged']} writes acknowledged{read}; {pause}"))
    lines += [Text(f"{_at(event['at_s'])}  {event['because']}") for event in one["events"]]
    return Group(*lines)


def _at(seconds: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(seconds))
