"""The files of an engine's folder."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from artesian.embedded.config import GatewayConfig, MdmConfig, SdcConfig, SdsConfig, load_config
from artesian.embedded.local import planning
from artesian.embedded.local.description import EngineDescription
from artesian.embedded.local.errors import InTheWay
from artesian.embedded.local.layout import Layout, Role, locked, write_files
from artesian.embedded.local.planning import Wish

MIB = 1 << 20
CLASSES = {Role.MDM: MdmConfig, Role.SDS: SdsConfig, Role.SDC: SdcConfig, Role.GATEWAY: GatewayConfig}


@pytest.fixture
def engine(tmp_path: Path) -> tuple[Layout, EngineDescription]:
    description = planning.make(Wish(nodes=3, disks_per_node=2, disk_size_bytes=64 * MIB), tmp_path)
    layout = Layout(tmp_path)
    write_files(layout, description)
    return layout, description


def test_every_process_gets_a_config_that_it_can_read(engine: tuple[Layout, EngineDescription]) -> None:
    layout, description = engine
    places = layout.processes(description)
    assert [place.name for place in places] == [
        *("mdm-1", "mdm-2", "mdm-3", "gateway"),
        *("sds-1", "sds-2", "sds-3", "sdc-1", "sdc-2", "sdc-3"),
    ]
    for place in places:
        config = load_config(CLASSES[place.role], place.config)
        assert config.read_secret()


def test_the_configs_agree_with_each_other(engine: tuple[Layout, EngineDescription]) -> None:
    layout, description = engine
    addresses = {f"{manager.ip}:{manager.control_port}" for manager in description.managers}
    configs = [load_config(CLASSES[place.role], place.config) for place in layout.processes(description)]
    for config in configs:
        if not isinstance(config, MdmConfig):
            assert set(config.managers) == addresses
    peers = [config.peers for config in configs if isinstance(config, MdmConfig)]
    assert peers[0] == peers[1] == peers[2]


def test_secrets_are_for_the_owner_only(engine: tuple[Layout, EngineDescription]) -> None:
    layout, _ = engine
    for path in (layout.secret, layout.password):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(layout.secret.read_text().strip()) == 64
    assert layout.read_password() != layout.secret.read_text().strip()


def test_disks_are_sparse(engine: tuple[Layout, EngineDescription]) -> None:
    layout, description = engine
    for node in description.nodes:
        for disk in node.disks:
            status = layout.disk(node, disk).stat()
            assert status.st_size == 64 * MIB
            assert status.st_blocks == 0


def test_writing_the_files_again_keeps_what_is_there(engine: tuple[Layout, EngineDescription]) -> None:
    layout, description = engine
    disk = layout.disk(description.nodes[0], description.nodes[0].disks[0])
    disk.write_bytes(b"data")
    secret, password = layout.secret.read_text(), layout.read_password()
    write_files(layout, description)
    assert disk.read_bytes() == b"data"
    assert (layout.secret.read_text(), layout.read_password()) == (secret, password)


def test_a_lost_disk_is_not_replaced_by_an_empty_one(engine: tuple[Layout, EngineDescription]) -> None:
    layout, description = engine
    node = description.nodes[0]
    node.disks[0].taken = True
    for disk in node.disks:
        layout.disk(node, disk).unlink()
    write_files(layout, description)
    assert not layout.disk(node, node.disks[0]).exists()
    assert layout.disk(node, node.disks[1]).exists()


def test_a_missing_password_is_named(engine: tuple[Layout, EngineDescription]) -> None:
    layout, _ = engine
    layout.password.unlink()
    with pytest.raises(InTheWay, match="admin-password: No such file"):
        layout.read_password()


def test_one_command_at_a_time_changes_an_engine(tmp_path: Path) -> None:
    refused = pytest.raises(InTheWay, match="another command is changing the engine")
    with locked(tmp_path), refused, locked(tmp_path):
        pass
    with locked(tmp_path):
        pass
