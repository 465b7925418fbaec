"""`artesian remedies`, `rules`, `why`, `audit`: what is done unasked, why, and whether it helped."""

from __future__ import annotations

import getpass
import time
from typing import Annotated, Any

import typer

from artesian.cli import options as common
from artesian.cli.cluster import options
from artesian.cli.cluster.access import Api, part
from artesian.cli.output import Output, moment
from artesian.model.errors import NotThere

remedies = typer.Typer(no_args_is_help=True, help="What the cluster does about what is wrong with it.")

Id = Annotated[str, typer.Argument(metavar="REMEDY", help="A remedy's id, or its beginning.")]
Document = dict[str, Any]


@remedies.command("list")
def list_remedies(
    folder: options.Folder = options.DEFAULT_FOLDER,
    everything: Annotated[bool, typer.Option("--all", help="Those that are over, too.")] = False,
    as_json: common.Json = False,
) -> None:
    """Show the remedies that wait, act or are being checked."""
    from artesian.cli.cluster.remedy_tables import remedy_table

    document = [one for one in Api(folder).get("/remedies") if everything or one["open"]]
    Output(as_json).result(document, lambda: remedy_table(document))


@remedies.command()
def show(remedy: Id, folder: options.Folder = options.DEFAULT_FOLDER, as_json: common.Json = False) -> None:
    """Show a remedy: why, what it saw, its disks and their price, and what has happened."""
    from artesian.cli.cluster.remedy_tables import remedy_details

    document = Api(folder).get(f"/remedies/{part(remedy)}")
    Output(as_json).result(document, lambda: remedy_details(document))


@remedies.command("dry-run")
def dry_run(
    remedy: Id, folder: options.Folder = options.DEFAULT_FOLDER, as_json: common.Json = False
) -> None:
    """Show what a remedy would do now. Providers are asked for their price, and for nothing else."""
    from artesian.cli.cluster.remedy_tables import dry_run_text

    document = Api(folder).get(f"/remedies/{part(remedy)}/dry-run")
    Output(as_json).result(document, lambda: dry_run_text(document))


@remedies.command()
def approve(
    remedy: Id, folder: options.Folder = options.DEFAULT_FOLDER, as_json: common.Json = False
) -> None:
    """Agree to a remedy: it begins as soon as nothing speaks against it."""
    document = Api(folder).post(f"/remedies/{part(remedy)}/approve", {"who": getpass.getuser()})
    Output(as_json).result(document, f"Remedy {document['id']} is approved.")


@remedies.command()
def reject(remedy: Id, folder: options.Folder = options.DEFAULT_FOLDER, as_json: common.Json = False) -> None:
    """Close a remedy before it begins; it is not proposed again for a day."""
    document = Api(folder).post(f"/remedies/{part(remedy)}/reject", {"who": getpass.getuser()})
    Output(as_json).result(document, f"Remedy {document['id']} is rejected.")


@remedies.command()
def unreject(
    remedy: Id, folder: options.Folder = options.DEFAULT_FOLDER, as_json: common.Json = False
) -> None:
    """Take a rejection back: if its rule still fires, the remedy is proposed again."""
    document = Api(folder).post(f"/remedies/{part(remedy)}/unreject", {"who": getpass.getuser()})
    Output(as_json).result(document, f"Remedy {document['id']} is no longer rejected.")


def rules(folder: options.Folder = options.DEFAULT_FOLDER, as_json: common.Json = False) -> None:
    """Show every rule, the default ones included, and for what it fires."""
    from artesian.cli.cluster.remedy_tables import rule_table

    document = Api(folder).get("/rules")
    Output(as_json).result(document, lambda: rule_table(document))


def why(
    thing: Annotated[str, typer.Argument(help="A node, disk, device, pool, volume, rule, remedy or step.")],
    folder: options.Folder = options.DEFAULT_FOLDER,
    as_json: common.Json = False,
) -> None:
    """Explain why something is as it is, or why nothing is done about it."""
    from artesian.cli.cluster.remedy_tables import why_text

    document = Api(folder).get("/why", thing=thing)
    if not document["reasons"] and not document["events"]:
        raise NotThere(f"nothing is known of {thing}")
    Output(as_json).result(document, lambda: why_text(document))


def audit(
    folder: options.Folder = options.DEFAULT_FOLDER,
    thing: Annotated[str | None, typer.Argument(help="Only what names this.")] = None,
    since_s: Annotated[
        float | None,
        typer.Option("--since", parser=options.seconds, metavar="TIME", help="Of so long: 2h, 30m."),
    ] = None,
    kinds: Annotated[
        list[str] | None,
        typer.Option("--kind", metavar="KIND", help="Of this kind only; again for another one."),
    ] = None,
    as_json: common.Json = False,
) -> None:
    """Show everything that was done by itself or was agreed to: who or what, when and why."""
    found: list[Document] = []
    api = Api(folder)
    after, known = 0, set[str]()
    oldest_s = time.time() - since_s if since_s is not None else 0.0
    while more := api.get("/events", after=after, limit=10_000):
        after = more[-1]["number"]
        known |= {one["kind"] for one in more}
        found += [
            one
            for one in more
            if (thing is None or thing in one["subject"] or thing in one["because"])
            and (not kinds or one["kind"] in kinds)
            and one["at_s"] >= oldest_s
        ]
    output = Output(as_json)
    for kind in sorted(set(kinds or ()) - known):
        output.warn(f"nothing of kind {kind} has ever happened; there are {', '.join(sorted(known))}")
    lines = [f"{moment(one['at_s'])}  {one['kind']:<9} {one['subject']}: {one['because']}" for one in found]
    output.result(found, "\n".join(lines) or "Nothing has been done yet.")
