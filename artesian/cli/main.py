"""`artesian`: where every command begins and ends."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from importlib import metadata
from typing import Annotated

import typer

from artesian.cli import lifecycle, node_commands, volume_commands
from artesian.cli.cluster import drills, nodes, pauses, plans, pools, remedies, specs, volumes
from artesian.cli.cluster import lifecycle as cluster_lifecycle
from artesian.cli.outcome import ExitCode, code_of, sentence
from artesian.embedded.local.layout import Role

app = typer.Typer(
    name="artesian",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Highly available block storage out of the raw disks of a bare cluster.",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"artesian {metadata.version('artesian')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_show_version, help="Show the version, nothing else."
        ),
    ] = False,
) -> None:
    """Highly available block storage out of the raw disks of a bare cluster."""


engine = typer.Typer(no_args_is_help=True, help="The embedded storage engine on this machine.")
app.add_typer(engine, name="engine")
engine.command()(lifecycle.up)
engine.command()(lifecycle.down)
engine.command()(lifecycle.status)
engine.add_typer(volume_commands.volume, name="volume")
engine.command("map")(volume_commands.map_volume)
engine.command("unmap")(volume_commands.unmap_volume)
engine.command()(volume_commands.attach)
engine.command()(volume_commands.detach)
engine.command()(volume_commands.mount)
engine.command()(volume_commands.unmount)
engine.add_typer(node_commands.node, name="node")
engine.add_typer(node_commands.disk, name="disk")
for _role in Role:
    engine.command(_role.value)(node_commands.foreground(_role))

_COMMANDS: tuple[Callable[..., None], ...] = (
    cluster_lifecycle.up,
    cluster_lifecycle.down,
    cluster_lifecycle.status,
    plans.plan,
    plans.apply,
    plans.events,
    pauses.pause,
    pauses.resume,
    remedies.rules,
    remedies.why,
    remedies.audit,
)
for _command in _COMMANDS:
    app.command()(_command)
app.add_typer(specs.spec, name="spec")
app.add_typer(nodes.node, name="node")
app.add_typer(nodes.disk, name="disk")
app.add_typer(pools.pool, name="pool")
app.add_typer(volumes.volume, name="volume")
app.add_typer(remedies.remedies, name="remedies")
app.add_typer(drills.drill, name="drill")
app.add_typer(nodes.local, name="local")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; gives its exit code. Errors become one line on standard error, never a traceback
    (with ARTESIAN_DEBUG set, they become one)."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    try:
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
