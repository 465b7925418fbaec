"""What every substrate has to do that runs ordinary programs, beside what every substrate has to do."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from artesian.clusters.port import TaskRunner, TaskSeen, TaskState, TaskWanted
from artesian.model.resources import Resources
from tests.clusters.conformance import Handle, begin, eventually, seen

SMALL = Resources(0.1, 32 << 20)


def runner(handle: Handle) -> TaskRunner:
    assert isinstance(handle.substrate, TaskRunner)
    return handle.substrate


def shell(script: str, id: str = "task-1", **more: object) -> TaskWanted:
    return TaskWanted(id, "alpha", ("/bin/sh", "-c", script), SMALL, **more)  # type: ignore[arg-type]


def task(handle: Handle, id: str = "task-1") -> TaskSeen | None:
    return next((one for one in runner(handle).tasks() if one.id == id), None)


def is_in(handle: Handle, *states: TaskState) -> Callable[[], bool]:
    def look() -> bool:
        found = task(handle)
        return found is not None and found.state in states

    return look


def alive(process_id: int) -> bool:
    try:
        return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class TaskRunnerConformance:
    """Subclasses give a fixture `handle`, whose substrate is a TaskRunner."""

    @pytest.fixture
    def handle(self) -> Handle:
        raise NotImplementedError

    @pytest.fixture
    def said(self, tmp_path: Path) -> Path:
        """What a task writes."""
        return tmp_path / "said"

    def process(self, said: Path) -> int:
        eventually("it says who it is", lambda: said.exists() and said.read_text().strip())
        return int(said.read_text().split()[0])

    def test_a_task_runs_with_its_environment_and_is_seen(self, handle: Handle, said: Path) -> None:
        wanted = shell(f'echo $$ "$COLOUR" > {said}; sleep 60', environment={"COLOUR": "pale blue"})
        runner(handle).launch_task(wanted)
        eventually("it runs", is_in(handle, TaskState.RUNNING))
        assert alive(self.process(said))
        assert said.read_text().split(maxsplit=1)[1] == "pale blue\n"
        found = task(handle)
        assert found is not None
        assert found.node == "alpha"

    def test_a_task_is_launched_once(self, handle: Handle, said: Path) -> None:
        for _ in range(3):
            runner(handle).launch_task(shell(f"echo $$ >> {said}; sleep 60"))
        eventually("it runs", is_in(handle, TaskState.RUNNING))
        self.process(said)
        runner(handle).launch_task(shell("echo another"))
        assert len(said.read_text().splitlines()) == 1
        assert len(runner(handle).tasks()) == 1

    def test_a_task_that_ends_well_has_ended(self, handle: Handle) -> None:
        runner(handle).launch_task(shell("exit 0"))
        eventually("it has ended", is_in(handle, TaskState.ENDED))
        runner(handle).launch_task(shell("exit 0"))
        assert is_in(handle, TaskState.ENDED)()

    def test_a_task_that_ends_badly_has_failed_with_a_reason(self, handle: Handle) -> None:
        runner(handle).launch_task(shell("exit 3"))
        eventually("it has failed", is_in(handle, TaskState.FAILED))
        found = task(handle)
        assert found is not None
        assert found.because

    def test_a_program_that_is_not_there_has_failed(self, handle: Handle) -> None:
        runner(handle).launch_task(TaskWanted("task-1", "alpha", ("/nowhere/program",), SMALL))
        eventually("it has failed", is_in(handle, TaskState.FAILED))

    def test_a_task_that_somebody_kills_has_failed(self, handle: Handle, said: Path) -> None:
        runner(handle).launch_task(shell(f"echo $$ > {said}; sleep 60"))
        process = self.process(said)
        eventually("it runs", is_in(handle, TaskState.RUNNING))
        os.killpg(os.getpgid(process), signal.SIGKILL)
        eventually("it has failed", is_in(handle, TaskState.FAILED))

    def test_a_task_that_is_killed_may_say_farewell_and_is_forgotten(
        self, handle: Handle, said: Path, tmp_path: Path
    ) -> None:
        farewell = tmp_path / "farewell"
        runner(handle).launch_task(
            shell(f"trap 'echo > {farewell}; exit 0' TERM; echo $$ > {said}; while :; do sleep 0.05; done")
        )
        process = self.process(said)
        eventually("it runs", is_in(handle, TaskState.RUNNING))
        runner(handle).kill_task("task-1")
        eventually("it is forgotten", lambda: task(handle) is None)
        assert not alive(process)
        assert farewell.exists()
        runner(handle).kill_task("task-1")

    def test_a_task_that_will_not_end_is_ended_by_force(self, handle: Handle, said: Path) -> None:
        runner(handle).launch_task(shell(f"trap '' TERM; echo $$ > {said}; while :; do sleep 0.1; done"))
        process = self.process(said)
        eventually("it runs", is_in(handle, TaskState.RUNNING))
        runner(handle).kill_task("task-1")
        eventually("it is forgotten", lambda: task(handle) is None)
        eventually("it is dead", lambda: not alive(process))

    def test_a_task_that_has_ended_is_forgotten_when_it_is_killed(self, handle: Handle) -> None:
        runner(handle).launch_task(shell("exit 0"))
        eventually("it has ended", is_in(handle, TaskState.ENDED))
        runner(handle).kill_task("task-1")
        assert task(handle) is None
        handle.reopen()

        def forgotten() -> bool:
            """Its end may be told once more to somebody new, who lets go of it as the one before did."""
            if task(handle) is not None:
                runner(handle).kill_task("task-1")
            return task(handle) is None

        eventually("it is forgotten", forgotten)

    def test_a_task_that_is_not_there_is_killed_in_vain(self, handle: Handle) -> None:
        runner(handle).kill_task("task-9")

    def test_a_task_that_is_too_large_waits_and_says_so(self, handle: Handle) -> None:
        (node,) = [one for one in handle.substrate.nodes() if one.name == "alpha"]
        large = Resources(node.cpus + 1.0, 32 << 20)
        runner(handle).launch_task(TaskWanted("task-1", "alpha", ("/bin/true",), large))
        time.sleep(0.5)  # that it could have begun in
        found = task(handle)
        assert found is not None
        assert found.state is TaskState.STARTING
        assert "room" in found.because
        runner(handle).kill_task("task-1")
        assert task(handle) is None

    def test_a_task_outlives_whoever_has_launched_it(self, handle: Handle, said: Path) -> None:
        runner(handle).launch_task(shell(f"echo $$ > {said}; sleep 60"))
        process = self.process(said)
        eventually("it runs", is_in(handle, TaskState.RUNNING))
        handle.reopen()
        runner(handle).launch_task(shell(f"echo $$ > {said}; sleep 60"))
        eventually("it is found again", is_in(handle, TaskState.RUNNING))
        assert alive(process)
        assert self.process(said) == process
        runner(handle).kill_task("task-1")
        eventually("it is forgotten", lambda: task(handle) is None)
        assert not alive(process)

    def test_an_end_is_known_after_a_restart_and_nothing_runs_again(self, handle: Handle, said: Path) -> None:
        runner(handle).launch_task(shell(f"echo $$ >> {said}"))
        eventually("it has ended", is_in(handle, TaskState.ENDED))
        handle.reopen()
        eventually("that is known", is_in(handle, TaskState.ENDED))
        assert len(said.read_text().splitlines()) == 1

    def test_tasks_and_agents_have_nothing_to_do_with_each_other(self, handle: Handle, said: Path) -> None:
        begin(handle, "alpha")
        runner(handle).launch_task(shell(f"echo $$ > {said}; sleep 60"))
        eventually("it runs", is_in(handle, TaskState.RUNNING))
        process, agent = self.process(said), handle.agent("alpha")
        runner(handle).kill_task("task-1")
        eventually("it is forgotten", lambda: task(handle) is None)
        assert handle.agent("alpha") == agent
        assert not alive(process)

    def test_a_node_that_goes_off_takes_its_tasks_with_it(self, handle: Handle, said: Path) -> None:
        begin(handle, "alpha")
        runner(handle).launch_task(shell(f"echo $$ > {said}; sleep 60"))
        process = self.process(said)
        eventually("it runs", is_in(handle, TaskState.RUNNING))
        handle.switch_off("alpha")
        eventually("it is dead", lambda: not alive(process))
        eventually("the node is gone", lambda: seen(handle, "alpha").gone)
        eventually("that is known", is_in(handle, TaskState.FAILED))
