"""What an agent tells the scheduler of its node, as a whole."""

from __future__ import annotations

from dataclasses import dataclass

from artesian.model.disk import Disk
from artesian.model.drill import SeenFault, SeenWriter
from artesian.model.observation import SeenAttachment, SeenProcess


@dataclass(frozen=True, slots=True)
class AgentReport:
    """`generation` is that of the assignment which was made so last; `problems` are sentences.

    `certificate` is the gateway's (PEM).
    """

    node: str
    generation: str = ""
    system_id: str = ""
    disks: tuple[Disk, ...] = ()
    processes: tuple[SeenProcess, ...] = ()
    attachments: tuple[SeenAttachment, ...] = ()
    problems: tuple[str, ...] = ()
    certificate: str | None = None
    faults: tuple[SeenFault, ...] = ()  # of drills
    drill_writer: SeenWriter | None = None
