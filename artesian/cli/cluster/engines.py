"""`artesian up --engine`: which engine is made, for those who have nothing else to say in a spec."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from artesian.cli.cluster.access import Api
from artesian.cli.cluster.plans import hand_over, naming, read
from artesian.cli.output import Output
from artesian.model.errors import Conflict


class EngineKind(StrEnum):
    """Those that can be made."""

    EMBEDDED = "embedded"
    CEPH = "ceph"


Engine = Annotated[
    EngineKind | None,
    typer.Option("--engine", help="What holds the data (default embedded).", show_default=False),
]


def check_spec(kind: EngineKind | None, spec: Path | None) -> None:
    """What is wrong with a spec is said before anything is made for it: SpecError, or Conflict if it says
    otherwise than `kind`."""
    if spec is None:
        return
    from artesian.remedy.checking import read_whole_spec  # loads much that other commands do not need

    text = read(spec)
    with naming(spec):
        read_whole_spec(text)
        if kind is not None:
            spec_with(kind, text, str(spec), may_change=False)


def ask_for(api: Api, kind: EngineKind | None, output: Output) -> list[str]:
    """Have the cluster's spec say so; warnings. Raises Conflict if it says otherwise."""
    if kind is None:
        return []
    text: str = api.get("/spec")["text"]
    wanted = spec_with(kind, text, "the cluster's spec")
    return hand_over(api, wanted, output) if wanted != text else []


def spec_with(kind: EngineKind, text: str, whose: str, *, may_change: bool = True) -> str:
    """A spec by which such an engine is made. Only one that says nothing else is changed for that.

    Raises Conflict, SpecError.
    """
    from artesian.remedy.checking import read_whole_spec  # loads much that other commands do not need

    spec = read_whole_spec(text)
    if spec.engine is not None:
        raise Conflict(f"{whose} names an engine that is there already, and --engine is for one that is made")
    said = EngineKind.CEPH if spec.ceph is not None else EngineKind.EMBEDDED
    if said is kind:
        return text
    if may_change and text.strip() in ("", f"engine: {said}"):
        return f"engine: {kind}\n"
    raise Conflict(
        f"{whose} asks for the {said} engine, and --engine for {kind}: "
        f"write `engine: {kind}` into a spec, and give that with --spec"
    )
