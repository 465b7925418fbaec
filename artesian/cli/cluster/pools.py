"""`artesian pool`."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

import typer

from artesian.cli import options as common
from artesian.cli.cluster import options
from artesian.cli.cluster.access import Api
from artesian.cli.output import Output

pool = typer.Typer(no_args_is_help=True, help="Storage pools.")


@pool.command("list")
def list_pools(folder: options.Folder = options.DEFAULT_FOLDER, as_json: common.Json = False) -> None:
    """Show the pools."""
    from artesian.cli.cluster.tables import pool_table

    document = Api(folder).get("/pools")
    Output(as_json).result(document, lambda: pool_table(document))


@pool.command("show")
def show_pool(
    name: Annotated[str, typer.Argument(help="DOMAIN/POOL, or the pool's name alone in domain default.")],
    folder: options.Folder = options.DEFAULT_FOLDER,
    as_json: common.Json = False,
) -> None:
    """Show how full a pool is, when it will be full, and how sure that is."""
    from artesian.cli.cluster.tables import pool_text

    document = Api(folder).get(f"/pools/{quote(name)}")
    Output(as_json).result(document, lambda: pool_text(document))
