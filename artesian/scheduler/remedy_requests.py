"""What users ask of remedies, as changes of the state.

Every function gives a state out of a state, or raises NotThere, Conflict or NotPossible, and then nothing has
changed.
"""

from __future__ import annotations

from dataclasses import replace

from artesian.model.errors import Conflict, NotThere
from artesian.model.remedy import Remedy, RemedyState
from artesian.model.state import FrameworkState
from artesian.remedy.lifecycle import moved


def find_remedy(state: FrameworkState, remedy_id: str) -> Remedy:
    """By its id, or the beginning of it that no other has. Raises NotThere."""
    found = [one for key, one in state.remedies.items() if remedy_id and key.startswith(remedy_id)]
    if len(found) != 1:
        open_ones = sorted(key for key, one in state.remedies.items() if one.state.is_open)
        known = ", ".join(open_ones) or "none"
        raise NotThere(f"there is no remedy {remedy_id}; those that are open are {known}")
    return found[0]


def approve_remedy(state: FrameworkState, remedy_id: str, who: str) -> FrameworkState:
    """Agree to a remedy that asks; it begins as soon as the guard lets it."""
    remedy = find_remedy(state, remedy_id)
    if remedy.state not in (RemedyState.ASKING, RemedyState.HELD):
        raise Conflict(f"remedy {remedy.id} does not wait for anybody: it is {remedy.state}")
    return state.with_remedy(replace(remedy, approved_by=who or "somebody"))


def unreject_remedy(state: FrameworkState, remedy_id: str, who: str) -> FrameworkState:
    """Let what was rejected be proposed again: at the next look, if its rule still fires."""
    remedy = find_remedy(state, remedy_id)
    if remedy.state is not RemedyState.REJECTED:
        raise Conflict(f"remedy {remedy.id} has not been rejected: it is {remedy.state}")
    detail = f"rejected {remedy.detail}, which {who or 'somebody'} has taken back"
    # Its time stays: a rule rests after what was not needed, and that was then.
    return state.with_remedy(replace(remedy, state=RemedyState.NOT_NEEDED, detail=detail))


def reject_remedy(state: FrameworkState, remedy_id: str, who: str, now_s: float) -> FrameworkState:
    """Close a remedy that has not begun; it is not proposed again for a day."""
    remedy = find_remedy(state, remedy_id)
    if remedy.state not in (RemedyState.ASKING, RemedyState.HELD):
        raise Conflict(f"remedy {remedy.id} cannot be rejected any more: it is {remedy.state}")
    return state.with_remedy(moved(remedy, RemedyState.REJECTED, now_s, f"by {who or 'somebody'}"))
