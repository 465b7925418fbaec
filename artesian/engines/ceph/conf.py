"""What Ceph's daemons and clients read: ceph.conf. Pure.

Paths of sockets are relative, as the kernel allows them 107 bytes: daemons are started in the folder of their
node.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from artesian.engines.ceph import names

if TYPE_CHECKING:  # every process of ours begins with loading this
    from artesian.model.assignment import Assignment
    from artesian.model.engine import CephSettings, ManagerPlace

CONF_FILE = "ceph.conf"
KEYS = "keys"  # a folder of the node's folder
_MIB = 1 << 20
_AUTOTUNED_BYTES = 2 << 30  # Ceph cannot tune what is much smaller
_CACHE_SHARE = 16
# Modules that a manager of Ceph loads when it finds them, each with much memory, and which nobody asks for.
_OPTIONAL_MODULES = (
    *("alerts", "cephadm", "dashboard", "diskprediction_local", "influx", "insights", "iostat", "k8sevents"),
    *("localpool", "mds_autoscaler", "mirroring", "nfs", "osd_perf_query", "osd_support", "prometheus"),
    *("restful", "rook", "selftest", "snap_schedule", "stats", "telegraf", "test_orchestrator", "zabbix"),
)


def monitor_address(address: str) -> str:
    """Where a monitor listens, as Ceph writes it: on our port if the address has none."""
    return f"[v2:{address if ':' in address else f'{address}:{names.MONITOR_PORT}'}/0]"


def monitor_addresses(managers: Iterable[ManagerPlace], others: Iterable[str] = ()) -> tuple[str, ...]:
    """All that can be asked: ours, and those that somebody else has made, as he writes them."""
    ours = sorted({monitor_address(place.address) for place in managers})
    return (*ours, *others)


def addresses_of(assignment: Assignment) -> tuple[str, ...]:
    """The monitors that a node knows."""
    return monitor_addresses(assignment.managers, assignment.manager_addresses)


def plain_address(monitor: str) -> str:
    """A monitor's host and port, without what Ceph writes around them."""
    return monitor.strip("[]").partition("/")[0].removeprefix("v1:").removeprefix("v2:")


def client_settings(
    fsid: str,
    monitors: Sequence[str],
    answer_s: float = 5.0,
    connect_s: float = 5.0,
    *,
    is_patient: bool = False,
) -> dict[str, str]:
    """What librados needs to ask monitors, and not for ever. `is_patient`: for manager daemons, whose answers
    have to be waited for, however long they take."""
    return {
        **({"fsid": fsid} if fsid else {}),
        "mon_host": ",".join(monitors),
        "auth_client_required": "cephx",
        "ms_mon_client_mode": "secure crc",
        "ms_initial_backoff": "0.05",
        "ms_max_backoff": "1",
        "ms_async_op_threads": "1",
        "mon_client_hunt_parallel": "3",
        "mon_client_hunt_interval": "1",
        "mon_client_ping_interval": "1",
        "mon_client_ping_timeout": "3",
        "client_mount_timeout": f"{connect_s:g}",
        **({} if is_patient else {"rados_mon_op_timeout": f"{answer_s:g}"}),
        "rados_osd_op_timeout": f"{answer_s:g}",
        # What waits for a disk asks soon whether the disk is still there.
        "objecter_timeout": "1",
        "objecter_tick_interval": "0.5",
        "admin_socket": "",
        "log_file": "",
        "log_to_stderr": "false",
        "err_to_stderr": "false",
        "rbd_cache": "false",
    }


def node_conf(folder: Path, fsid: str, monitors: Sequence[str], settings: CephSettings) -> str:
    """For everything on a node, whose files are in `folder`."""
    return "\n".join(
        (
            _section("global", _common(folder, fsid, monitors)),
            _section("client", _CLIENT | {"keyring": f"{folder}/{KEYS}/$name.keyring"}),
            _section("mon", _DAEMON | _MONITOR | _data(folder, "mon", "mon") | _healing(settings)),
            _section("mgr", _DAEMON | _MANAGER | _data(folder, "mgr", "mgr")),
            _section("osd", _DAEMON | _OSD | _memory(settings.osd_memory_bytes)),
        )
    )


def _data(folder: Path, kind: str, name: str) -> dict[str, str]:
    return {f"{kind}_data": f"{folder}/{name}", "keyring": f"{folder}/{name}/keyring"}


def _healing(settings: CephSettings) -> dict[str, str]:
    return {"mon_osd_down_out_interval": str(settings.heal_after_s)}


def _section(name: str, values: Mapping[str, str]) -> str:
    return f"[{name}]\n" + "".join(f"{key} = {value}\n" for key, value in values.items())


def _common(folder: Path, fsid: str, monitors: Sequence[str]) -> dict[str, str]:
    return {
        "fsid": fsid,
        "mon_host": ",".join(monitors),
        "auth_cluster_required": "cephx",
        "auth_service_required": "cephx",
        "auth_client_required": "cephx",
        "auth_allow_insecure_global_id_reclaim": "false",
        "ms_bind_ipv6": "false",
        "ms_bind_msgr1": "false",
        "ms_mon_client_mode": "secure crc",
        "ms_async_op_threads": "2",
        # Who was away is found again within a second.
        "ms_initial_backoff": "0.05",
        "ms_max_backoff": "1",
        "mon_client_hunt_parallel": "3",
        "mon_client_hunt_interval": "1",
        "mon_client_ping_interval": "2",
        "mon_client_ping_timeout": "6",
        "run_dir": "run",
        "admin_socket": "run/$name.asok",
        "crash_dir": f"{folder}/crash",
        # What goes wrong is said where the process' output goes. Every question would be a line of the rest,
        # and a write at all monitors if they kept it.
        "log_file": "",
        "log_to_file": "false",
        "log_to_stderr": "false",
        "err_to_stderr": "true",
        "mon_cluster_log_to_file": "false",
        "max_open_files": "0",
        # Monitors judge reports of failures by their own value of it: it is for all.
        "osd_heartbeat_grace": "6",
        "osd_pool_default_size": "2",
        "osd_pool_default_min_size": "1",
        "osd_pool_default_pg_autoscale_mode": "off",
        **{f"debug_{what}": "0/0" for what in _QUIET},
    }


_QUIET = ("auth", "bdev", "bluefs", "bluestore", "monc", "ms", "osd", "paxos", "rocksdb")

_CLIENT = {
    "admin_socket": "",
    # What is acknowledged is kept: volumes are not cached on their way.
    "rbd_cache": "false",
}

# A daemon has one address, also for those that it turns to itself.
_DAEMON = {"ms_bind_before_connect": "true"}

_MONITOR = {
    "mon_allow_pool_delete": "true",
    "mon_warn_on_pool_no_redundancy": "false",
    "mon_data_avail_warn": "5",
    "mon_data_avail_crit": "2",
    "mon_max_pg_per_osd": "500",
    "mon_pg_warn_min_per_osd": "0",
    "mon_osd_initial_require_min_compat_client": "mimic",
    # One who misses a disk is enough: there may be no other who talks with it.
    "mon_osd_min_down_reporters": "1",
    "mon_osd_reporter_subtree_level": "osd",
    "mon_osd_adjust_heartbeat_grace": "false",
    "mon_osd_adjust_down_out_interval": "false",
    # What is away for good is healed, however much of a small cluster it is.
    "mon_osd_down_out_subtree_limit": "",
    "mon_osd_min_in_ratio": "0.3",
    # Changes are agreed on at once, and not once a second.
    "paxos_propose_interval": "0.05",
    "paxos_min_wait": "0.02",
    "mon_tick_interval": "1",
    # A leader that died is followed within seconds.
    "mon_probe_timeout": "0.5",
    "mon_lease": "2",
    "mon_election_timeout": "2",
    "mon_mgr_beacon_grace": "6",
    "mon_memory_autotune": "false",
    "rocksdb_cache_size": str(16 * _MIB),
    "mon_rocksdb_options": (
        "write_buffer_size=8388608,compression=kNoCompression,level_compaction_dynamic_level_bytes=true"
    ),
}

_MANAGER = {
    "mgr_initial_modules": "",
    "mgr_disabled_modules": ",".join(_OPTIONAL_MODULES),
    "mgr_tick_period": "1",
    "mgr_stats_period": "1",
}

_OSD = {
    "osd_objectstore": "bluestore",
    "bluestore_block_create": "false",  # a disk that is not there is not made up as a file
    "bluestore_block_db_create": "false",
    "bluestore_block_wal_create": "false",
    "bluestore_fsck_on_mkfs": "false",
    "bluestore_fsck_on_mount": "false",
    # Virtual disks claim to turn.
    "bluestore_debug_enforce_settings": "ssd",
    "osd_op_num_shards": "2",
    "osd_op_num_threads_per_shard": "1",
    "osd_min_pg_log_entries": "100",
    "osd_max_pg_log_entries": "1000",
    "osd_pg_log_dups_tracked": "100",
    "osd_heartbeat_interval": "1",
    "osd_mon_shutdown_timeout": "1",  # to say good-bye to monitors, which may have ended before
    "osd_mon_report_interval": "1",
    "osd_recovery_sleep_hdd": "0",
    "osd_recovery_sleep_hybrid": "0",
    "osd_recovery_delay_start": "0",
    "osd_scrub_during_recovery": "false",
    # A full disk that lacks copies itself would wait for ever to be relieved by new ones. Nothing is written
    # beyond `osd_failsafe_full_ratio` (97 %) all the same.
    "osd_debug_skip_full_check_in_recovery": "true",
    # Where a disk is in the map is decided elsewhere.
    "osd_class_update_on_start": "false",
    "osd_crush_update_on_start": "false",
}


def _memory(osd_bytes: int) -> dict[str, str]:
    """What one OSD may take."""
    if osd_bytes >= _AUTOTUNED_BYTES:
        return {"osd_memory_target": str(osd_bytes), "bluestore_cache_autotune": "true"}
    buffer = max(4 * _MIB, osd_bytes // 64)
    return {
        "osd_memory_target": str(max(osd_bytes, 896 * _MIB)),  # less is refused; nothing is tuned by it
        "bluestore_cache_autotune": "false",
        "bluestore_cache_size": str(osd_bytes // _CACHE_SHARE),
        "bluestore_rocksdb_options": (
            "compression=kNoCompression,max_write_buffer_number=4,min_write_buffer_number_to_merge=1,"
            f"write_buffer_size={buffer},recycle_log_file_num=4,max_background_jobs=2"
        ),
    }
