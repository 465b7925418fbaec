"""Which engine is connected to, and what one that is made would be."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest

from artesian.engines.ceph import names
from artesian.engines.embedded import EmbeddedEngine
from artesian.model.engine import CephSettings
from artesian.model.names import secret_digest
from artesian.model.spec import Spec
from artesian.scheduler.connecting import EngineConnection
from artesian.scheduler.memory import Memory
from tests.scheduler.cases import MemoryStore

SETTINGS = CephSettings(osd_memory_bytes=1 << 29, heal_after_s=60)


@pytest.fixture
def memory() -> Memory:
    return Memory(MemoryStore())


@pytest.fixture
def connection(memory: Memory, tmp_path: Path) -> EngineConnection:
    return EngineConnection(tmp_path, memory.secrets)


def test_the_embedded_engine_is_made_unless_ceph_is_asked_for(
    memory: Memory, connection: EngineConnection
) -> None:
    made = connection.new_identity(Spec())
    assert (made.kind, made.ceph, made.adopted) == ("embedded", None, None)
    assert made.secret_digest == secret_digest(memory.secrets.engine_secret)
    assert isinstance(connection.to(made, None), EmbeddedEngine)


def test_a_ceph_has_its_settings_and_an_id_that_ceph_itself_calls_it_by(
    memory: Memory, connection: EngineConnection
) -> None:
    made, other = (connection.new_identity(Spec(ceph=SETTINGS)) for _ in range(2))
    assert (made.kind, made.ceph, made.adopted) == ("ceph", SETTINGS, None)
    assert made.secret_digest == secret_digest(memory.secrets.engine_secret)
    assert names.fsid(made.system_id) == made.system_id == str(UUID(made.system_id))
    assert made.system_id != other.system_id
