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

# Of its modules, as long as nobody has set something else.
_OPTIONS = {
    # Else it makes a pool of its own, for what disks say of their health.
    "mgr/devicehealth/enable_monitoring": "false",
    # A pool is full when its fullest disk is. Five placement groups more or less, as by default, are a third
    # of what our disks have; and a pool that was just expanded does not wait a minute for its first look.
    "mgr/balancer/upmap_max_deviation": "1",
    "mgr/balancer/sleep_interval": "10",
}


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
        known = {one["name"] for one in monitors.ask("config dump")}
        for name, value in _OPTIONS.items():
            if name not in known:
                # By force: the monitors know no options of modules before the first manager has run.
                monitors.command("config set", who="mgr", name=name, value=value, force=True)
