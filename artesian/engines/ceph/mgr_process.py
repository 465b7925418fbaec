"""A node's manager, as Ceph calls what counts and reports for the monitors: beside each of ours."""

from __future__ import annotations

from pathlib import Path

from artesian.engines.ceph.errors import CephNodeError
from artesian.engines.ceph.keys import cephx_key, keyring
from artesian.engines.ceph.mon_process import MGR_CAPS
from artesian.engines.ceph.monitors import Monitors
from artesian.engines.ceph.process_config import ProcessConfig, read_config
from artesian.engines.ceph.waiting import Command, Pauses, daemon
from artesian.host.files import write_durably

# Else it makes a pool of its own, for what disks say of their health.
_HEALTH_POOL = "mgr/devicehealth/enable_monitoring"


def prepare(path: Path) -> Command:
    """Wait until it is let in; what it is to become."""
    pauses = Pauses()
    while True:
        config = read_config(path)
        try:
            _register(config)
            break
        except CephNodeError as error:
            pauses.wait(str(error))
    config.data.mkdir(mode=0o700, exist_ok=True)
    write_durably(config.data / "keyring", keyring(config.secret, f"mgr.{config.entity}"), 0o600)
    return Command(daemon("mgr", config.conf, config.entity, "--public-addr", config.address))


def _register(config: ProcessConfig) -> None:
    entity = f"mgr.{config.entity}"
    with Monitors.as_admin(config.fsid, config.monitors, config.secret) as monitors:
        monitors.ensure_entity(entity, cephx_key(config.secret, entity), MGR_CAPS)
        # The monitors know no options of modules before the first manager has run.
        monitors.command("config set", who="mgr", name=_HEALTH_POOL, value="false", force=True)
