"""What `up` says when there is no Mesos that would have us: a clear line, a code, and nothing half done."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from artesian.cli.outcome import ExitCode
from artesian.host import processes
from tests.cluster.cases import ANY_CODE, Cluster
from tests.cluster.mesos_cases import MesosMachines

pytestmark = pytest.mark.slow


@pytest.fixture
def plain_server() -> Iterator[str]:
    """Something that speaks HTTP and is no Mesos."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def nobody() -> Iterator[Cluster]:
    """A folder in which there is nothing yet."""
    made = Cluster()
    yield made
    made.run("down", "--yes", code=ANY_CODE)
    identity = processes.running(made.folder / "scheduler" / "scheduler.pid")
    assert identity is None
    made.destroy()


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MesosMachines]:
    """A master that knows two principals, and asks who one is."""
    credentials = tmp_path_factory.mktemp("c") / "credentials.json"
    credentials.write_text('{"credentials": [{"principal": "artesian", "secret": "right"}]}')
    with MesosMachines(
        authenticate_http_frameworks="true",
        http_framework_authenticators="basic",
        credentials=str(credentials),
        roles="allowed",
    ) as made:
        made.add("h1")
        made.wait_registered("h1")
        yield made


def refused(cluster: Cluster, *arguments: str | Path) -> tuple[int, str]:
    """The exit code and the one line that `up` says."""
    done = cluster.run("up", "--substrate", "mesos", "--yes", *arguments, code=ANY_CODE)
    assert done.stderr.startswith("error: "), done.stderr
    assert done.stderr.count("\n") == 1
    return done.returncode, done.stderr


def no_scheduler_runs(cluster: Cluster) -> bool:
    return processes.running(cluster.folder / "scheduler" / "scheduler.pid") is None


def test_what_is_no_mesos_is_named(nobody: Cluster, plain_server: str) -> None:
    code, said = refused(nobody, "--master", plain_server, "--address", "127.0.0.1")
    assert plain_server in said
    assert "no Mesos master" in said
    assert code == ExitCode.NOT_RUNNING
    assert no_scheduler_runs(nobody)


def test_a_master_that_nobody_reaches_is_named(nobody: Cluster) -> None:
    code, said = refused(nobody, "--master", "127.0.0.1:9", "--address", "127.0.0.1")
    assert "127.0.0.1:9" in said
    assert "cannot be reached" in said
    assert code == ExitCode.NOT_RUNNING
    assert no_scheduler_runs(nobody)


def strictly(strict: MesosMachines, cluster: Cluster, secret: str, role: str) -> tuple[int, str]:
    (cluster.home / "secret").write_text(secret)
    return refused(
        cluster, "--master", strict.master.address, "--address", strict.address, "--role", role,
        "--principal", "artesian", "--secret-file", cluster.home / "secret",
    )  # fmt: skip


def test_a_wrong_secret_is_refused(strict: MesosMachines, nobody: Cluster) -> None:
    code, said = strictly(strict, nobody, "wrong", "allowed")
    assert "does not accept principal and secret" in said
    assert "wrong" not in said
    assert code == ExitCode.REFUSED
    assert strict.frameworks() == []
    assert no_scheduler_runs(nobody)


def test_a_role_that_mesos_does_not_take_is_refused(strict: MesosMachines, nobody: Cluster) -> None:
    code, said = strictly(strict, nobody, "right", "forbidden")
    assert "forbidden" in said
    assert code == ExitCode.REFUSED
    assert strict.frameworks() == []
    assert strict.reservations() == []
    assert no_scheduler_runs(nobody)
