"""While the substrate does not answer: what is said meanwhile, and that nothing is done. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from artesian.model.observation import Observation
from artesian.model.plan import HeldStep
from artesian.planner.planning import Decision
from artesian.scheduler.verdict import Verdict, pass_verdict


@dataclass(frozen=True, slots=True)
class Blindness:
    """The substrate cannot be used since `since_s`, Unix time; `because` says why."""

    since_s: float
    because: str

    @property
    def sentence(self) -> str:
        """For people."""
        since = datetime.fromtimestamp(self.since_s, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        return (
            f"since {since} nothing new is known of the nodes, as {self.because}; nothing is changed, and "
            "everything goes on as it is"
        )


def still(before: Blindness | None, because: str, now_s: float) -> Blindness:
    """As before, with what is said now; since now if there was none."""
    return Blindness(now_s if before is None else min(before.since_s, now_s), because)


def blind_verdict(seen: Observation, decision: Decision, blindness: Blindness) -> Verdict:
    """How a pass ends that could not see the nodes: `seen` has them as they were seen last. No step is
    taken."""
    guarded = decision.guarded
    held = tuple(HeldStep(one, "it is not known which nodes there are now") for one in guarded.ready)
    decision = replace(decision, guarded=replace(guarded, ready=(), held=(*guarded.held, *held)))
    verdict = pass_verdict(seen, decision, [])
    sentence = f"{blindness.sentence[0].upper()}{blindness.sentence[1:]}."
    if not verdict.healthy:
        sentence = f"{sentence} As far as is seen: {verdict.sentence[0].lower()}{verdict.sentence[1:]}"
    return replace(verdict, sentence=sentence, healthy=False)
