"""What disks say of themselves: whether they will fail, or nothing; and asking them hurts nobody."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artesian.agent.disks.smart import read_smart
from artesian.agent.disks.smart_asking import EVERY_S, SmartAsking
from artesian.host.tools import ToolAnswer, ToolTrouble
from artesian.model.disk import Disk, DiskSays
from tests.agent.disks import smart_documents as shown

FINE = DiskSays(failing=False)

# --- reading


@pytest.mark.parametrize("document", [shown.SATA_FINE, shown.SATA_WITH_A_PAST, shown.NVME_FINE])
def test_a_disk_that_is_well_says_so(document: dict[str, Any]) -> None:
    assert read_smart(document, document["smartctl"]["exit_status"]) == FINE


@pytest.mark.parametrize(
    ("document", "because"),
    [
        (shown.SATA_FAILING, "Reallocated_Sector_Ct is too low (63880); its own test says that it fails"),
        (shown.NVME_WARNING, "few spare blocks are left; its reliability is degraded"),
        (shown.NVME_WORN_OUT, "it is worn out: 104 % of what it endures is used"),
    ],
)
def test_a_disk_that_will_fail_says_why(document: dict[str, Any], because: str) -> None:
    assert read_smart(document, document["smartctl"]["exit_status"]) == DiskSays(True, because)


def test_heat_passes() -> None:
    assert read_smart(shown.NVME_TOO_HOT, 8) == FINE


@pytest.mark.parametrize("document", [shown.VIRTUAL, shown.VIRTUAL_SCSI, shown.ASLEEP])
def test_a_disk_that_says_nothing_is_not_known(document: dict[str, Any]) -> None:
    assert read_smart(document, document["smartctl"]["exit_status"]) is None


def test_the_exit_status_counts_where_the_document_lacks_it() -> None:
    bare = {"smart_status": {"passed": True}}
    assert read_smart(bare, 0) == FINE
    assert read_smart(bare, 2) is None
    assert read_smart(bare, 16) == DiskSays(True, "one of its values is below what it may be")
    assert read_smart({}, 8) == DiskSays(True, "its own test says that it fails")


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "smartctl",
                    "exit_status",
                    "smart_status",
                    "passed",
                    "ata_smart_attributes",
                    "table",
                    "when_failed",
                    "nvme_smart_health_information_log",
                    "critical_warning",
                    "percentage_used",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(_json, st.integers(0, 255))
def test_nonsense_is_never_a_traceback(document: object, exit_code: int) -> None:
    said = read_smart(document, exit_code)
    assert said is None or bool(said.because) == said.failing


# --- asking


class Disks:
    """Disks that answer what a test says, a clock that it turns, and threads that it runs."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.answers: dict[str, object] = {}
        self.asked: list[str] = []
        self.threads: list[Callable[[], None]] = []
        self.asking = SmartAsking(self.run, lambda: self.now_s, self.threads.append)

    def run(self, command: Sequence[str]) -> ToolAnswer:
        path = command[-1]
        self.asked.append(path)
        answer = self.answers.get(path)
        if isinstance(answer, Exception):
            raise answer
        return ToolAnswer(0, answer if isinstance(answer, str) else json.dumps(answer), "")

    def look(self, *paths: str) -> list[DiskSays | None]:
        disks = [Disk(path, f"serial:{path}", 1) for path in paths]
        return [disk.smart for disk in self.asking.with_what_they_say(disks)]

    def answer(self) -> None:
        while self.threads:
            self.threads.pop(0)()


def test_nobody_waits_for_an_answer_and_it_is_there_later() -> None:
    disks = Disks()
    disks.answers = {"/dev/sda": shown.SATA_FINE, "/dev/sdb": shown.SATA_FAILING}
    assert disks.look("/dev/sda", "/dev/sdb") == [None, None]
    assert disks.asked == []
    disks.answer()
    fine, failing = disks.look("/dev/sda", "/dev/sdb")
    assert fine == FINE
    assert failing is not None and failing.failing


def test_disks_are_asked_every_ten_minutes_and_not_while_one_hangs() -> None:
    disks = Disks()
    disks.answers = {"/dev/sda": shown.SATA_FINE, "/dev/sdb": shown.NVME_FINE}
    disks.look("/dev/sda")
    disks.look("/dev/sda", "/dev/sdb")  # what was begun has not ended
    assert len(disks.threads) == 1
    disks.answer()
    disks.look("/dev/sda", "/dev/sdb")
    disks.answer()
    assert disks.asked == ["/dev/sda", "/dev/sdb"]
    disks.now_s = EVERY_S - 1
    disks.look("/dev/sda", "/dev/sdb")
    assert not disks.threads
    disks.now_s = EVERY_S
    disks.look("/dev/sda", "/dev/sdb")
    disks.answer()
    assert disks.asked == ["/dev/sda", "/dev/sdb"] * 2


def test_what_was_said_last_counts_while_a_disk_sleeps_or_hangs() -> None:
    disks = Disks()
    disks.answers = {"/dev/sda": shown.SATA_FAILING}
    disks.look("/dev/sda")
    disks.answer()
    for answer in (shown.ASLEEP, ToolTrouble("smartctl did not answer within 30 s"), "no JSON"):
        disks.answers = {"/dev/sda": answer}
        disks.now_s += EVERY_S
        disks.look("/dev/sda")
        disks.answer()
        (said,) = disks.look("/dev/sda")
        assert said is not None and said.failing


def test_without_smartctl_nothing_is_known() -> None:
    disks = Disks()
    disks.answers = {"/dev/sda": ToolTrouble("smartctl is missing")}
    disks.look("/dev/sda")
    disks.answer()
    assert disks.look("/dev/sda") == [None]


def test_a_disk_that_only_its_name_identifies_is_not_asked() -> None:
    disks = Disks()
    assert disks.asking.with_what_they_say([Disk("/dev/sda", None, 1)]) == (Disk("/dev/sda", None, 1),)
    assert not disks.threads


def test_a_real_thread_brings_the_answer() -> None:
    answered = threading.Event()

    def run(_command: Sequence[str]) -> ToolAnswer:
        answered.set()
        return ToolAnswer(0, json.dumps(shown.SATA_FINE), "")

    asking = SmartAsking(run)
    asking.with_what_they_say([Disk("/dev/sda", "serial:a", 1)])
    assert answered.wait(5)
