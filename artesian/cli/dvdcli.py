"""`artesian dvdcli`: as the program of that name."""

from __future__ import annotations

import typer


def dvdcli(context: typer.Context) -> int:
    """Use volumes by any Docker volume plugin of this machine, as REX-Ray's dvdcli does."""
    from artesian.volumes.dvdcli import main

    return main(list(context.args))
