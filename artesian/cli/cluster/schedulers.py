"""`artesian scheduler run` and `package`: a scheduler for Marathon, systemd or a container."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from artesian.cli import options as common
from artesian.cli.cluster import mesos_options, options, scheduler_process
from artesian.cli.cluster.placing import cluster_name, placed
from artesian.cli.cluster.plans import naming, read
from artesian.cli.cluster.stores import VARIABLE, wanted_store
from artesian.cli.output import Output
from artesian.model.errors import ArtesianError, NotPossible
from artesian.scheduler.api_token import TOKEN_FILE_VARIABLE, TOKEN_VARIABLE, checked_token, read_token
from artesian.scheduler.settings import changed_settings, save_settings

scheduler = typer.Typer(no_args_is_help=True, help="The scheduler, run by something else than `artesian up`.")


@scheduler.command()
def run(
    context: typer.Context,
    folder: options.Folder = options.DEFAULT_FOLDER,
    substrate: mesos_options.SubstrateKind = None,
    master: mesos_options.Master = None,
    role: mesos_options.Role = None,
    principal: mesos_options.Principal = None,
    secret_file: mesos_options.SecretFile = None,
    ca_file: mesos_options.CaFile = None,
    user: mesos_options.User = None,
    node_folder: mesos_options.NodeFolder = None,
    node_python: mesos_options.NodePython = None,
    address: mesos_options.Address = None,
    port: mesos_options.Port = None,
    spec: Annotated[
        Path | None,
        typer.Option(help="What is wanted, in YAML: taken whenever this scheduler begins to lead."),
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help=f"Where the state is kept: zk://… or etcd://…; likewise {VARIABLE} (default a file).",
        ),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(
            envvar=TOKEN_FILE_VARIABLE,
            help=f"File with the API's token; or the token is in {TOKEN_VARIABLE}; else one is made.",
        ),
    ] = None,
) -> None:
    """Run the scheduler in the foreground, until it is told to end.

    With a store that is shared the folder may be a new one each time, on any machine: it is the same cluster.
    Several may run; one leads. As a task of Marathon it listens where Marathon says.
    """
    folder = folder.absolute()
    asked = mesos_options.asked(context.params)
    arguments = _given(spec, token_file)
    _set_up(folder, substrate, asked, store)
    scheduler_process.become(folder, arguments)


def _set_up(
    folder: Path, substrate: mesos_options.Kind | None, asked: dict[str, Any], store: str | None
) -> None:
    """The folder as `artesian up` leaves it."""
    if substrate is None and asked["master"] is not None:
        substrate = mesos_options.Kind.MESOS
    if mesos_options.is_mesos(folder, substrate, asked):
        asked = placed(asked, os.environ)
        settings = changed_settings(folder, wanted_store(store), None, cluster_name(folder, asked))
        mesos_options.keep(folder, asked)
    elif (folder / "cluster.json").exists():
        settings = changed_settings(folder, wanted_store(store), None)
    else:
        raise NotPossible(
            "name Mesos' master with --master; a cluster of this machine's own nodes is made by `artesian up`"
        )
    save_settings(folder, settings)


def _given(spec: Path | None, token_file: Path | None) -> list[str]:
    """What the scheduler is given, found right as far as that can be told without a cluster."""
    from artesian.remedy.checking import read_whole_spec

    arguments = []
    if spec is not None:
        text = read(spec)
        with naming(spec):
            read_whole_spec(text)
        arguments += ["--spec", str(spec.absolute())]
    if token_file is not None:
        read_token(str(token_file))
        arguments += ["--token-file", str(token_file.absolute())]
    elif token := os.environ.get(TOKEN_VARIABLE):
        checked_token(token, TOKEN_VARIABLE)
    return arguments


@scheduler.command()
def package(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Such as artesian.pyz.")],
    as_json: common.Json = False,
) -> None:
    """Make Artesian one file that needs nothing but Python: `python3 FILE up` is `artesian up`."""
    from artesian.host.packaging import build, everything

    output = Output(as_json)
    if file.is_dir():
        raise NotPossible(f"{file} is a folder; name the file")
    with output.progress() as say:
        say("packing …")
        try:
            build(file, everything())
        except OSError as error:
            raise ArtesianError(f"{error.filename}: {error.strerror}") from None
    with file.open("rb") as made:
        sha256 = hashlib.file_digest(made, "sha256").hexdigest()
    size = file.stat().st_size
    document = {"file": str(file.absolute()), "bytes": size, "sha256": sha256}
    output.result(document, f"{sha256}  {file} ({size / 1e6:.0f} MB)")
