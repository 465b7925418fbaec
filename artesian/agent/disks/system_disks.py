"""The disks of a real node: its block devices."""

from __future__ import annotations

from collections.abc import Collection

from artesian.agent.disks.facts import disks_from_lsblk, paths_to_probe
from artesian.agent.disks.parallel import ParallelProber
from artesian.agent.disks.probing import links_to_devices, list_block_devices, probe_disk
from artesian.agent.disks.smart_asking import SmartAsking
from artesian.host.tools import RunTool, run_tool
from artesian.model.disk import Disk


class SystemDisks:
    """Looks at the block devices of this machine. `also` asks for further kinds of them, such as "loop"."""

    def __init__(self, also: Collection[str] = (), run: RunTool = run_tool) -> None:
        self._also = also
        self._run = run
        self._prober = ParallelProber(lambda path: probe_disk(path, run))
        self._smart = SmartAsking(run)

    def find(self) -> tuple[Disk, ...]:
        """All whole disks by path, as they are now. May take seconds. Raises DisksUnknown."""
        document = list_block_devices(self._run)
        probes = self._prober.probe_all(paths_to_probe(document, also=self._also))
        disks = disks_from_lsblk(document, probes, links=links_to_devices(), also=self._also)
        return self._smart.with_what_they_say(disks)
