"""A rolling restart as a document."""

from __future__ import annotations

from typing import Any

from artesian.model.changes import ExitMaintenance
from artesian.model.restart import Restart, RestartState
from artesian.model.state import FrameworkState
from artesian.planner.restarted import Turn, passed_over, turns
from artesian.planner.restarting import is_of_restart
from artesian.scheduler.verdict import Verdict

Document = dict[str, Any]


def restart_view(state: FrameworkState, verdict: Verdict) -> Document | None:
    """The last restart, and how far each of its nodes is; None if there never was one.

    `sentence`: all of it in words. `waits_for`: what speaks against its next step. `number` is the Unix time
    at which it was asked for.
    """
    restart = state.restart
    if restart is None:
        return None
    found = turns(state, verdict.seen, restart)
    waits_for = _waits_for(state, verdict) if restart.is_going else ""
    nodes = [
        {
            "name": name,
            "restarted": all(not one.missing for one in found if one.node == name),
            "passed_over": passed_over(state, verdict.seen, name),
            "parts": [
                {
                    "part": str(one.part),
                    "restarted": not one.missing,
                    "begun": one.begun,
                    "missing": one.missing,
                }
                for one in found
                if one.node == name
            ],
        }
        for name in restart.nodes
    ]
    return {
        "number": restart.number,
        "state": str(restart.state),
        "who": restart.who,
        "because": restart.because,
        "waits_for": waits_for,
        "sentence": _sentence(restart, found, waits_for),
        "nodes": nodes,
    }


def restart_in_status(state: FrameworkState, verdict: Verdict) -> Document | None:
    """What somebody has to know of now: one that goes on, or was stopped."""
    if state.restart is None or state.restart.state not in (RestartState.GOING, RestartState.STOPPED):
        return None
    return restart_view(state, verdict)


def _waits_for(state: FrameworkState, verdict: Verdict) -> str:
    for held in verdict.held:
        change = held.step.change
        of_exit = isinstance(change, ExitMaintenance) and state.node(change.node).rests_for
        if of_exit or is_of_restart(held.step, state):
            return held.because
    return next(
        (one.detail for one in verdict.taken if is_of_restart(one.step, state) and one.outcome != "done"), ""
    )


def _sentence(restart: Restart, found: list[Turn], waits_for: str) -> str:
    left = {one.node for one in found if one.missing}
    total = len({one.node for one in found})
    done = f"{total - len(left)} of {total} node{'' if total == 1 else 's'} restarted"
    match restart.state:
        case RestartState.DONE:
            return "all is restarted"
        case RestartState.CANCELLED:
            return f"cancelled with {done}"
        case RestartState.STOPPED:
            return f"stopped with {done}: {restart.because}; once that is mended: artesian restart --resume"
    now = next((one for one in found if one.missing), None)
    turn = f", {now.node} ({now.part}) is next" if now is not None else ""
    if now is not None and now.begun:
        turn = f", {now.node} ({now.part}) is being restarted"
    return f"{done}{turn}" + (f": {waits_for}" if waits_for else "")
