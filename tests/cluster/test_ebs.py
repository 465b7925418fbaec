"""A full pool on nodes that are EC2 instances: volumes are made, attached, found by their serials and used.

EC2 is moto behind the faults of `tests.providers.ec2`; what it attaches appears on the local nodes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from artesian.cli.outcome import ExitCode
from artesian.clusters.local import LocalCluster
from tests.cluster.cases import GIB, Cluster, unable_to_mount
from tests.providers.ebs_bridge import EbsBridge
from tests.providers.ec2 import ENVIRONMENT, REGION, ZONES, Ec2

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(unable_to_mount() is not None, reason=str(unable_to_mount())),
]

MIB = 1 << 20
SPEC = """
new_disks: ask
new_nodes: take
default_rules: no
providers:
  - name: amazon
    kind: ebs
    region: {region}
    endpoint_url: {url}
    disk_size: 2GiB
    lead_time: 5s
    price_per_gib_month: 0.1
    attach_timeout: 6s
    detach_timeout: 6s
    tags: {{team: storage}}
budget: {{disks_total: 8, cost_total: 2}}
rules:
  # While data moves to new disks the fullest one decides for moments what a pool can hold.
  - {{name: expand, scope: pool, when: used_share > 40%, for: 8s, remedy: expand-pool, approval: automatic,
     cooldown: 5s, parameters: {{disks: 2}}}}
"""


class Amazon:
    """A cluster of three instances, the third in another zone."""

    def __init__(self, ec2: Ec2, cluster: Cluster) -> None:
        self.ec2 = ec2
        self.cluster = cluster
        self.instances: dict[str, str] = {}

    def volumes(self) -> list[dict[str, Any]]:
        """Those that are tagged for this cluster."""
        name = self.cluster.get("/status")["engine"]["system_id"]
        return self.ec2.volumes(name)

    def remedies(self) -> list[dict[str, Any]]:
        """The newest last."""
        found = [one for one in self.cluster.get("/remedies") if one["kind"] == "expand-pool"]
        return sorted(found, key=lambda one: one["created_s"])

    def used(self) -> set[str]:
        """The ids of volumes that were made and are in use."""
        return {
            part["disk_id"] for one in self.remedies() for part in one["parts"] if part["state"] == "in use"
        }

    def wait_helped(self, count: int) -> dict[str, Any]:
        self.cluster.wait(
            f"{count} remedies have helped",
            lambda: [one["state"] for one in self.remedies()] == ["helped"] * count,
            120.0,
        )
        return self.remedies()[-1]


@pytest.fixture(scope="module")
def amazon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Amazon]:
    made = Cluster()
    ec2 = Ec2()
    spec = tmp_path_factory.mktemp("spec") / "spec.yaml"
    spec.write_text(SPEC.format(region=REGION, url=ec2.url))
    with pytest.MonkeyPatch.context() as environment:
        for name, value in ENVIRONMENT.items():
            environment.setenv(name, value)
        try:
            found = Amazon(ec2, made)
            made.run("up", "--nodes", "3", "--disks-per-node", "1", "--disk-size", "1GiB", "--yes")
            local = LocalCluster(made.folder)
            bridge = EbsBridge(ec2, local)
            for node, zone in zip(made.nodes(), (ZONES[0], ZONES[0], ZONES[1]), strict=True):
                found.instances[node] = bridge.join(node, zone)
            with bridge.following():
                made.run("apply", "--spec", spec, "--yes")
                made.wait_healthy()
                made.run(
                    "volume", "create", "data", "1GiB", "--node", "node-3", "--mount", made.mounts / "data"
                )
                yield found
        finally:
            ec2.calm()
            made.destroy()
            ec2.stop()


def fill(folder: Path, size_bytes: int) -> None:
    with (folder / "filling").open("ab") as file:
        for _ in range(size_bytes // MIB):
            file.write(os.urandom(MIB))
        file.flush()
        os.fsync(file.fileno())


def test_a_full_pool_gets_volumes_of_amazon(amazon: Amazon) -> None:
    before = amazon.cluster.get("/pools")[0]["size_bytes"]
    fill(amazon.cluster.mounts / "data", 400 * MIB)
    remedy = amazon.wait_helped(1)
    assert [part["state"] for part in remedy["parts"]] == ["in use"] * 2
    assert amazon.cluster.get("/pools")[0]["size_bytes"] > before + 3 * GIB
    assert remedy["cost_per_month"] == pytest.approx(0.4)


def test_each_is_in_the_zone_of_its_node_tagged_and_found_by_its_serial(amazon: Amazon) -> None:
    (remedy,) = amazon.remedies()
    made = {one["VolumeId"]: one for one in amazon.volumes()}
    assert len(made) == 2
    for part in remedy["parts"]:
        volume = made[part["disk_id"]]
        (attachment,) = volume["Attachments"]
        assert attachment["InstanceId"] == amazon.instances[part["node"]]
        zone = ZONES[1] if part["node"] == "node-3" else ZONES[0]
        assert (volume["AvailabilityZone"], volume["Size"], volume["Encrypted"]) == (zone, 2, True)
        assert {"Key": "team", "Value": "storage"} in volume["Tags"]
        serial = part["disk_id"].replace("-", "")
        (disk,) = [
            one
            for one in amazon.cluster.get("/disks")
            if one["node"] == part["node"] and serial in one["path"]
        ]
        assert disk["pool"] == "default/default"


def test_trouble_with_amazon_makes_it_late_and_nothing_twice(amazon: Amazon) -> None:
    """Throttled calls, answers that are lost after the volume was made, and a volume that never attaches."""
    ec2 = amazon.ec2
    ec2.fail("DescribeVolumes", "RequestLimitExceeded", status=503, times=5)
    ec2.lose_answers("CreateVolume", times=2)
    ec2.keep_attaching()
    fill(amazon.cluster.mounts / "data", 450 * MIB)
    amazon.cluster.wait(
        "a volume is given up",
        lambda: any(
            part["state"] == "given up" for one in amazon.remedies() for part in one["parts"]
        ),
        90.0,
    )  # fmt: skip
    ec2.keep_attaching(False)
    remedy = amazon.wait_helped(2)
    assert len([part for part in remedy["parts"] if part["state"] == "in use"]) == 2
    amazon.cluster.wait(
        "what was given up is released",
        lambda: {one["VolumeId"] for one in amazon.volumes()} == amazon.used(),
        90.0,
    )


def test_a_spec_is_refused_while_the_credentials_do_not_work(amazon: Amazon, tmp_path: Path) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text(SPEC.format(region=REGION, url=amazon.ec2.url))
    amazon.ec2.fail("*", "ExpiredToken", times=1000)
    try:
        for command in ("apply", "plan", "up"):
            said = amazon.cluster.error(ExitCode.USAGE, command, "--spec", spec)
            assert f"{spec}: spec, line 6: provider amazon would give no disk" in said
            assert "(ExpiredToken): renew them" in said
        amazon.ec2.calm()
        amazon.ec2.fail("*", "Unavailable", status=503, times=1000)
        done = amazon.cluster.run("apply", "--spec", spec, "--yes")
        assert done.stderr.startswith("warning: provider amazon (line 6) does not answer now")
        (warning,) = amazon.cluster.json("apply", "--spec", spec, "--yes")["warnings"]
        assert warning in done.stderr
    finally:
        amazon.ec2.calm()


def test_the_budget_is_the_end_of_it(amazon: Amazon, tmp_path: Path) -> None:
    spec = tmp_path / "spec.yaml"
    text = SPEC.format(region=REGION, url=amazon.ec2.url)
    spec.write_text(
        text.replace("used_share > 40%", "used_share > 1%").replace("disks_total: 8", "disks_total: 4")
    )
    before = len(amazon.volumes())
    amazon.cluster.run("apply", "--spec", spec, "--yes")
    amazon.cluster.wait(
        "somebody is told", lambda: any(one["state"] == "failed" for one in amazon.remedies()), 60.0
    )
    failed = next(one for one in amazon.remedies() if one["state"] == "failed")
    assert "budget" in failed["detail"]
    assert len(amazon.volumes()) == before


def test_nobody_lost_anything(amazon: Amazon) -> None:
    assert (amazon.cluster.mounts / "data" / "filling").stat().st_size == 850 * MIB
    amazon.cluster.wait_healthy()
