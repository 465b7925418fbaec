"""`artesian plan`, `apply`, `events`."""

from __future__ import annotations

import contextlib
import getpass
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from artesian.cli import options as common
from artesian.cli.cluster import options
from artesian.cli.cluster.access import Api, wait_for
from artesian.cli.outcome import ExitCode
from artesian.cli.output import Output, moment
from artesian.model.errors import NeedsApproval, SpecError

_FOLLOW_S = 0.5
Document = dict[str, Any]


def plan(
    folder: options.Folder = options.DEFAULT_FOLDER,
    spec: Annotated[Path | None, typer.Option(help="What this spec would lead to.")] = None,
    as_json: common.Json = False,
) -> None:
    """Show what would be done, in order, and why. Nothing is changed."""
    api = Api(folder)
    if spec is not None:
        with naming(spec):
            document = api.post("/plan", {"text": read(spec)})
    else:
        api.post("/passes")  # what was plugged in just now is seen
        document = api.get("/plan")
    Output(as_json).result(document, lambda: table(document))


def apply(
    folder: options.Folder = options.DEFAULT_FOLDER,
    approve: Annotated[str | None, typer.Option(help="Agree to the plan with this id, and no other.")] = None,
    spec: Annotated[Path | None, typer.Option(help="Take this spec first.")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="A spec that forgets disks of a provider: they stay, and cost.")
    ] = False,
    yes: common.Yes = False,
    timeout_s: options.Timeout = 300.0,
    as_json: common.Json = False,
) -> None:
    """Carry out the plan, and wait until it is done. Asks before anything that needs approval."""
    api, output = Api(folder), Output(as_json)
    warnings = give_spec(api, spec, output, force=force) if spec is not None else []
    agree(api, output, approve, yes)
    with output.progress() as say:
        wait_until_done(api, timeout_s, say)
    status = api.get("/status")
    output.result(status | {"warnings": warnings}, str(status["verdict"]))
    steps = api.get("/plan")["steps"]
    if any(step["state"] == "refused" for step in steps):
        raise typer.Exit(ExitCode.REFUSED)
    if status["paused"] and steps:
        raise typer.Exit(ExitCode.IN_THE_WAY)
    if any(step["state"] == "held" and asks(step) for step in steps):
        raise typer.Exit(ExitCode.NEEDS_APPROVAL)  # what has come up since the plan was agreed to
    fail_without_engine(status, steps)


def asks(step: Document) -> bool:
    """Whether a step says that somebody has to agree to it."""
    return "artesian apply --approve" in (step.get("detail") or "")


def fail_without_engine(status: Document, steps: list[Document]) -> None:
    """Nodes without an engine, and nothing that could be done about it, are no success."""
    if status["engine"] is None and status["nodes"] and not steps:
        raise typer.Exit(ExitCode.FAILED)


def events(
    folder: options.Folder = options.DEFAULT_FOLDER,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on, until Ctrl-C.")] = False,
    last: Annotated[int, typer.Option(help="How many of the past ones.")] = 50,
    as_json: common.Json = False,
) -> None:
    """Show what has happened, and why."""
    from artesian.cli.cluster.tables import event_line

    api = Api(folder)
    found = _all_events(api)[-last:] if last > 0 else []
    after = 0
    while True:
        for event in found:
            after = event["number"]
            at = moment(event["at_s"])
            print(json.dumps(event) if as_json else event_line(event, at), flush=True)
        if not follow:
            return
        time.sleep(_FOLLOW_S)
        found = api.get("/events", after=after)


def give_spec(api: Api, path: Path, output: Output, *, force: bool = False) -> list[str]:
    """Hand a spec over; gives warnings, which people are shown at once. Raises SpecError, naming the file."""
    text = read(path)
    with naming(path):
        return hand_over(api, text, output, force=force)


def hand_over(api: Api, text: str, output: Output, *, force: bool = False) -> list[str]:
    """Have the cluster take the text of a spec; gives warnings, which people are shown at once."""
    warnings: list[str] = api.put("/spec", {"text": text, "force": force})["warnings"]
    for warning in warnings:
        output.warn(warning)
    return warnings


def read(path: Path) -> str:
    """The text of a spec. Raises SpecError."""
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let what is wrong with a spec begin with its file."""
    try:
        yield
    except SpecError as error:
        raise SpecError(f"{path}: {error}") from None


def agree(api: Api, output: Output, plan_id: str | None, yes: bool) -> None:
    """Approve the plan: the one that was named, or the present one after it was shown and agreed to.

    Raises NeedsApproval when somebody has to agree and cannot be asked.
    """
    who = getpass.getuser()
    if plan_id is not None:
        api.post("/approvals", {"plan_id": plan_id, "who": who})
        return
    api.post("/passes")
    document = api.get("/plan")
    if not any(step["needs_approval"] and step["state"] == "held" for step in document["steps"]):
        return
    if not output.as_json:
        output.result(document, lambda: table(document))
    if not yes:
        _ask(document["id"])
    api.post("/approvals", {"plan_id": document["id"], "who": who})


def _ask(plan_id: str) -> None:
    if not sys.stdin.isatty():
        raise NeedsApproval(
            f"somebody has to agree to plan {plan_id}: look at it with `artesian plan`, then "
            f"`artesian apply --approve {plan_id}` (or --yes)"
        )
    if input("Carry it out? [y/N] ").strip().lower() not in ("y", "yes"):
        print("Nothing was done.", file=sys.stderr)
        raise typer.Exit(ExitCode.FAILED)


def wait_until_done(api: Api, timeout_s: float, say: Callable[[str], None]) -> None:
    """Until there is no step left but those that are held back or were refused."""
    api.post("/passes")

    def look() -> str | None:
        document = api.get("/plan")
        left = [step for step in document["steps"] if not _is_held(document, step)]
        if not left:
            return None
        now = [step for step in left if step["state"] != "waiting"] or left
        more = f" ({len(left)} steps left)" if len(left) > 1 else ""
        detail = f": {now[0]['detail']}" if now[0]["detail"] else ""
        return f"{now[0]['change']}{detail}{more}"

    wait_for(look, timeout_s, say)


def _is_held(document: Document, step: Document) -> bool:
    """Whether a step is held back or was refused, or comes after one that is."""
    steps = {one["id"]: one for one in document["steps"]}
    return step["state"] in ("held", "refused") or any(
        _is_held(document, steps[earlier]) for earlier in step["after"] if earlier in steps
    )


def _all_events(api: Api) -> list[Document]:
    found: list[Document] = []
    while True:
        more = api.get("/events", after=found[-1]["number"] if found else 0, limit=10_000)
        if not more:
            return found
        found += more


def table(document: Document) -> Any:
    """A plan for people; what draws it is loaded only then."""
    from artesian.cli.cluster.tables import plan_table

    return plan_table(document)
