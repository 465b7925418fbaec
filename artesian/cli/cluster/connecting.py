"""`artesian connect`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from artesian.cli import options as common
from artesian.cli.cluster import connection, options
from artesian.cli.cluster.access import Api
from artesian.cli.cluster.connection import Connection
from artesian.cli.output import Output
from artesian.embedded.local.errors import NotRunning
from artesian.model.errors import NotPossible
from artesian.scheduler.api_token import TOKEN_FILE_VARIABLE


def connect(
    url: Annotated[
        str,
        typer.Argument(
            metavar="URL", help="Of the scheduler, http://HOST:PORT; of several, with commas between."
        ),
    ],
    token_file: Annotated[
        Path | None, typer.Option(envvar=TOKEN_FILE_VARIABLE, help="File with the API's token.")
    ] = None,
    folder: options.Folder = options.DEFAULT_FOLDER,
    as_json: common.Json = False,
) -> None:
    """Let all commands with this folder speak to a scheduler that runs elsewhere.

    With ARTESIAN_URL and ARTESIAN_TOKEN_FILE in the environment they do so without a folder.
    """
    if token_file is None:
        raise NotPossible(f"the API's token is needed: --token-file FILE, or {TOKEN_FILE_VARIABLE}")
    wanted = Connection(connection.read_urls(url), str(token_file.absolute()))
    folder = folder.absolute()
    connection.refuse_cluster(folder)
    found = Api(folder, wanted.accesses()).get("/spec")  # somebody answers, and takes the token
    if not (isinstance(found, dict) and "text" in found):
        raise NotRunning(f"what answers at {wanted.urls[0]} is no scheduler")
    connection.save(folder, wanted)
    Output(as_json).result(
        {"urls": list(wanted.urls), "folder": str(folder)},
        f"commands with {folder} speak to {', '.join(wanted.urls)} from now on",
    )
