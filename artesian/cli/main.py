"""`artesian`: where every command begins and ends."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from typing import Annotated

import typer

from artesian.cli.outcome import ExitCode, code_of, sentence


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"artesian {metadata.version('artesian')}")
        raise typer.Exit


def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_show_version, help="Show the version, nothing else."
        ),
    ] = False,
) -> None:
    """Highly available block storage out of the raw disks of a bare cluster."""


def _engine(app: typer.Typer) -> None:
    from artesian.cli import lifecycle, node_commands, volume_commands
    from artesian.embedded.local.layout import Role

    engine = typer.Typer(no_args_is_help=True, help="The embedded storage engine on this machine.")
    app.add_typer(engine, name="engine")
    for command in (lifecycle.up, lifecycle.down, lifecycle.status):
        engine.command()(command)
    engine.add_typer(volume_commands.volume, name="volume")
    engine.command("map")(volume_commands.map_volume)
    engine.command("unmap")(volume_commands.unmap_volume)
    for attaching in (
        volume_commands.attach,
        volume_commands.detach,
        volume_commands.mount,
        volume_commands.unmount,
    ):
        engine.command()(attaching)
    engine.add_typer(node_commands.node, name="node")
    engine.add_typer(node_commands.disk, name="disk")
    for role in Role:
        engine.command(role.value)(node_commands.foreground(role))


def _lifecycle(app: typer.Typer) -> None:
    from artesian.cli.cluster import ending, lifecycle

    for command in (lifecycle.up, ending.down, lifecycle.status):
        app.command()(command)


def _restarts(app: typer.Typer) -> None:
    from artesian.cli.cluster import restarts

    app.command()(restarts.restart)


def _connections(app: typer.Typer) -> None:
    from artesian.cli.cluster import connecting

    app.command()(connecting.connect)


def _schedulers(app: typer.Typer) -> None:
    from artesian.cli.cluster import schedulers

    app.add_typer(schedulers.scheduler, name="scheduler")


def _plans(app: typer.Typer) -> None:
    from artesian.cli.cluster import plans

    for command in (plans.plan, plans.apply, plans.events):
        app.command()(command)


def _pauses(app: typer.Typer) -> None:
    from artesian.cli.cluster import pauses

    for command in (pauses.pause, pauses.resume):
        app.command()(command)


def _remedies(app: typer.Typer) -> None:
    from artesian.cli.cluster import remedies

    for command in (remedies.rules, remedies.why, remedies.audit):
        app.command()(command)
    app.add_typer(remedies.remedies, name="remedies")


def _nodes(app: typer.Typer) -> None:
    from artesian.cli.cluster import nodes

    app.add_typer(nodes.node, name="node")
    app.add_typer(nodes.disk, name="disk")
    app.add_typer(nodes.local, name="local")


def _pools(app: typer.Typer) -> None:
    from artesian.cli.cluster import pools

    app.add_typer(pools.pool, name="pool")


def _volumes(app: typer.Typer) -> None:
    from artesian.cli.cluster import snapshots

    app.add_typer(snapshots.commands, name="volume")


def _specs(app: typer.Typer) -> None:
    from artesian.cli.cluster import specs

    app.add_typer(specs.spec, name="spec")


def _drills(app: typer.Typer) -> None:
    from artesian.cli.cluster import drills

    app.add_typer(drills.drill, name="drill")


def _containers(app: typer.Typer) -> None:
    from artesian.cli import dvdcli

    settings = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}
    app.command(context_settings=settings)(dvdcli.dvdcli)


# Loading everything takes longer than most commands do, so a command loads what it is part of.
_PARTS: Mapping[Callable[[typer.Typer], None], tuple[str, ...]] = {
    _engine: ("engine",),
    _lifecycle: ("up", "down", "status"),
    _restarts: ("restart",),
    _connections: ("connect",),
    _schedulers: ("scheduler",),
    _plans: ("plan", "apply", "events"),
    _pauses: ("pause", "resume"),
    _remedies: ("rules", "why", "audit", "remedies"),
    _nodes: ("node", "disk", "local"),
    _pools: ("pool",),
    _volumes: ("volume",),
    _specs: ("spec",),
    _drills: ("drill",),
    _containers: ("dvdcli",),
}


def make_app(command: str | None = None) -> typer.Typer:
    """The whole command line, or the part of it that a command belongs to, if there is such a command."""
    app = typer.Typer(name="artesian", no_args_is_help=True, pretty_exceptions_enable=False)
    app.callback()(options)
    wanted = [part for part, names in _PARTS.items() if command in names] or list(_PARTS)
    for part in wanted:
        part(app)
    return app


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; gives its exit code. Errors become one line on standard error, never a traceback
    (with ARTESIAN_DEBUG set, they become one)."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    try:
        app = make_app(next(iter(arguments), None))
        result = app(args=arguments, prog_name="artesian", standalone_mode=False)
        sys.stdout.flush()
        return int(result or 0)
    except (typer.Abort, KeyboardInterrupt):
        return _fail(arguments, "interrupted", ExitCode.INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.FAILED
    except Exception as error:
        usage = getattr(error, "format_message", None)  # wrong options, as typer tells them
        if usage is not None:
            return _fail(arguments, usage(), ExitCode.USAGE) if usage() else ExitCode.USAGE
        if os.environ.get("ARTESIAN_DEBUG"):
            raise
        return _fail(arguments, sentence(error), code_of(error))


def _fail(arguments: Sequence[str], text: str, code: ExitCode) -> int:
    text = " ".join(text.split())
    if "--json" in arguments:
        print(json.dumps({"error": text, "exit_code": int(code)}), file=sys.stderr)
    else:
        print(f"error: {text}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
