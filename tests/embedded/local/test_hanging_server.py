"""A real server that hangs, as one whose machine lost its power does for those that are connected to it."""

from __future__ import annotations

import signal

import pytest

from .impatient import ImpatientEngine

pytestmark = pytest.mark.slow


def test_it_is_away_also_while_nobody_uses_it(impatient: ImpatientEngine) -> None:
    impatient.signal(3, signal.SIGSTOP)
    impatient.until(lambda seen: [one["connected"] for one in seen["servers"]] == [True, True, False])
    impatient.signal(3, signal.SIGCONT)
    impatient.until(lambda seen: all(one["connected"] for one in seen["servers"]))


def test_its_copies_are_remade_elsewhere_and_it_harms_nothing_when_it_goes_on(
    impatient: ImpatientEngine,
) -> None:
    impatient.fill()
    impatient.signal(3, signal.SIGSTOP)
    while not (gone := impatient.away()):
        impatient.write_somewhere()
    impatient.until(lambda seen: not any(set(gone) & devices for devices in impatient.homes()))
    impatient.healthy()
    impatient.write_somewhere()
    impatient.signal(3, signal.SIGCONT)
    impatient.until(lambda seen: all(one["condition"] == "normal" for one in seen["devices"]))
    impatient.write_somewhere()
    impatient.check_data()
    impatient.kill(2)
    impatient.check_data()
