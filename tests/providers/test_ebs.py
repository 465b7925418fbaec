"""EBS volumes: what they are like, where they go, and what is known to be impossible beforehand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from artesian.model.provided import DiskRequest, ProvidedState
from artesian.providers.port import ProviderRefused
from tests.providers.conformance import GIB, Handle, ProviderConformance
from tests.providers.ebs_cases import EbsHandle
from tests.providers.ec2 import ZONES, Ec2


class TestEbsProvider(ProviderConformance):
    @pytest.fixture
    def handle(self, ec2: Ec2, folder: Path) -> Iterator[Handle]:
        handle = EbsHandle(ec2, folder)
        yield handle
        handle.close()


@pytest.fixture
def handle(ec2: Ec2) -> Iterator[EbsHandle]:
    handle = EbsHandle(ec2)
    yield handle
    handle.close()


def refusal(handle: EbsHandle, request: DiskRequest) -> str:
    """Why a quote and the making are refused, in the same words; nothing is made."""
    before = handle.made()
    quote = handle.provider().quote(request)
    with pytest.raises(ProviderRefused) as refused:
        handle.provider().provide(request)
    assert quote.refused == str(refused.value)
    assert handle.made() == before
    assert not handle.calls("CreateVolume")
    return quote.refused


# --- what a volume is like


def test_a_volume_is_what_the_settings_say(handle: EbsHandle) -> None:
    handle.change(iops=4000, throughput=500, tags={"team": "storage"})
    disk = handle.provide(handle.request("one", size_bytes=10 * GIB + 1))
    (volume,) = handle.volumes()
    tags = {tag["Key"]: tag["Value"] for tag in volume["Tags"]}
    assert tags == {
        "team": "storage",
        "artesian-cluster": handle.settings.cluster,
        "artesian-token": "one",
        "artesian-node": "alpha",
        "artesian-instance": handle.instances["alpha"],
        "managed-by": "artesian",
    }
    assert (volume["Size"], volume["VolumeType"], volume["Encrypted"]) == (11, "gp3", True)
    assert (volume["Iops"], volume["Throughput"]) == (4000, 500)
    assert disk.size_bytes == 11 * GIB
    assert disk.name == volume["VolumeId"].replace("-", "")


def test_it_is_tagged_with_the_very_call_that_makes_it(handle: EbsHandle) -> None:
    handle.provide(handle.request("one"))
    assert not handle.calls("CreateTags")


@pytest.mark.parametrize(("node", "zone"), [("alpha", ZONES[0]), ("beta", ZONES[1])])
def test_a_volume_is_made_in_the_zone_of_its_nodes_instance(handle: EbsHandle, node: str, zone: str) -> None:
    handle.provide(handle.request("one", node))
    (volume,) = handle.volumes()
    assert volume["AvailabilityZone"] == zone
    assert volume["Attachments"][0]["InstanceId"] == handle.instances[node]


def test_small_disks_are_as_small_as_their_type_can_be(handle: EbsHandle) -> None:
    handle.change(volume_type="st1")
    assert handle.provider().quote(handle.request("one")).size_bytes == 125 * GIB


def test_what_a_volume_costs_is_quoted_with_its_speed(handle: EbsHandle) -> None:
    handle.change(iops=4000, throughput=225, price_per_iops_month=0.005, price_per_mib_s_month=0.04)
    request = handle.request("one", size_bytes=100 * GIB)
    assert handle.provider().quote(request).cost_per_month == pytest.approx(8 + 5 + 4)
    assert handle.provide(request).cost_per_month == pytest.approx(8 + 5 + 4)


def test_a_price_that_is_not_known_is_quoted_as_nothing(handle: EbsHandle) -> None:
    handle.change(price_per_gib_month=0.0)
    assert not handle.settings.knows_price
    assert handle.provider().quote(handle.request("one")).cost_per_month == 0


def test_names_of_devices_are_chosen_by_what_the_instance_has(handle: EbsHandle, ec2: Ec2) -> None:
    handle.change(max_attachments=26)
    instance = handle.instances["alpha"]
    for device in ("/dev/xvdf", "/dev/sdg1", *(f"/dev/sd{one}" for one in "hijklmno")):
        volume = ec2.client.create_volume(AvailabilityZone=ZONES[0], Size=1)["VolumeId"]
        ec2.client.attach_volume(VolumeId=volume, InstanceId=instance, Device=device)
    before = {one["DeviceName"] for one in ec2.instance(instance)["BlockDeviceMappings"]}
    for number in range(2):
        handle.provide(handle.request(f"t{number}"))
    after = {one["DeviceName"] for one in ec2.instance(instance)["BlockDeviceMappings"]}
    assert after - before == {"/dev/sdp", "/dev/xvdba"}


def test_a_name_that_somebody_was_faster_with_is_not_insisted_on(handle: EbsHandle, ec2: Ec2) -> None:
    handle.step(handle.request("one"))
    ec2.fail("AttachVolume", "InvalidParameterValue", "Attachment point /dev/sdf is already in use", times=1)
    disk = handle.step(handle.request("one"))
    assert disk.state is ProvidedState.MAKING
    assert "already in use" in disk.detail
    assert handle.provide(handle.request("one")).state is ProvidedState.ATTACHED


# --- which instance a node is


def test_an_instance_is_found_by_the_address_of_its_node(handle: EbsHandle, ec2: Ec2) -> None:
    address = ec2.instance(handle.instances["beta"])["PrivateIpAddress"]
    request = DiskRequest("one", "beta", address, GIB)
    assert handle.provide(request).state is ProvidedState.ATTACHED
    assert handle.volumes()[0]["Attachments"][0]["InstanceId"] == handle.instances["beta"]


def test_a_node_whose_instance_is_not_known_is_refused(handle: EbsHandle) -> None:
    words = refusal(handle, DiskRequest("one", "alpha", "192.0.2.7", GIB))
    assert "private-ip-address 192.0.2.7" in words
    assert "its attribute ec2-instance-id can say which it is" in words
    strange = DiskRequest("one", "alpha", "", GIB, {"ec2-instance-id": "*"})
    assert refusal(handle, strange) == "node alpha: '*' is no id of an instance"
    other = DiskRequest("one", "alpha", "", GIB, {"ec2-instance-id": "i-0123456789abcdef0"})
    assert "no instance in eu-central-1 with instance-id i-0123456789abcdef0" in refusal(handle, other)


def test_an_instance_that_does_not_run_gets_no_volume(handle: EbsHandle, ec2: Ec2) -> None:
    ec2.client.stop_instances(InstanceIds=[handle.instances["alpha"]])
    assert refusal(handle, handle.request("one")).endswith("of node alpha is stopped")
    ec2.client.terminate_instances(InstanceIds=[handle.instances["alpha"]])
    assert "no instance" in refusal(handle, handle.request("one"))


def test_a_node_that_has_become_another_instance_does_not_get_the_volume(handle: EbsHandle, ec2: Ec2) -> None:
    handle.step(handle.request("one"))
    made_for = handle.instances["alpha"]
    handle.instances["alpha"] = ec2.start_instance(ZONES[0])
    disk = handle.step(handle.request("one"))
    assert disk.state is ProvidedState.STUCK
    assert (
        disk.detail
        == f"it was made for instance {made_for}, and node alpha is {handle.instances['alpha']} now"
    )
    handle.release(disk)


def test_a_volume_that_somebody_has_attached_elsewhere_is_stuck(handle: EbsHandle, ec2: Ec2) -> None:
    disk = handle.step(handle.request("one"))
    other = ec2.start_instance(ZONES[0])
    ec2.client.attach_volume(VolumeId=disk.id, InstanceId=other, Device="/dev/sdf")
    (seen,) = handle.provider().disks()
    assert seen.state is ProvidedState.STUCK
    assert f"is attached to {other}" in seen.detail
    with pytest.raises(ProviderRefused, match=f"somebody has attached volume {disk.id} to {other}"):
        handle.provider().release(disk.id)
    assert handle.volumes()[0]["Attachments"][0]["InstanceId"] == other


# --- limits that are known before anything is done


def test_a_speed_that_needs_a_larger_volume_is_refused(handle: EbsHandle) -> None:
    handle.change(iops=6000)
    assert refusal(handle, handle.request("one", size_bytes=11 * GIB)) == (
        "6000 iops need a volume of at least 12 GiB, and this one has 11 GiB"
    )
    assert not handle.provider().quote(handle.request("one", size_bytes=12 * GIB)).refused


def test_places_are_counted_with_the_volumes_that_are_not_attached_yet(handle: EbsHandle) -> None:
    handle.provide(handle.request("one"))
    handle.step(handle.request("two"))
    handle.ec2.calls.clear()
    words = refusal(handle, handle.request("three"))
    assert words.endswith("of node alpha has 2 volumes and gets 1 more, and 3 are possible")
    assert not handle.provider().quote(handle.request("two")).refused
    assert not handle.provider().quote(handle.request("three", "beta")).refused


def test_a_quota_is_for_all_volumes_of_the_type(handle: EbsHandle, ec2: Ec2) -> None:
    ec2.client.create_volume(AvailabilityZone=ZONES[0], Size=1000, VolumeType="sc1")
    handle.change(volume_type="sc1", quota_gib=1200)
    assert refusal(handle, handle.request("one", size_bytes=201 * GIB)) == (
        "201 GiB more of type sc1 do not fit into the quota of 1200 GiB: 1000 GiB are used in eu-central-1"
    )
    handle.provide(handle.request("one", size_bytes=200 * GIB))


# --- giving back


def test_a_volume_on_its_way_out_is_not_attached_again(handle: EbsHandle) -> None:
    disk = handle.provide(handle.request("one"))
    assert not handle.provider().release(disk.id)
    assert handle.step(handle.request("one"), 3).state is ProvidedState.RELEASING
    assert len(handle.calls("AttachVolume")) == 1
    handle.release(disk)


@pytest.mark.parametrize("tags", [{}, {"artesian-cluster": "{cluster}"}, {"managed-by": "artesian"}])
def test_what_was_not_made_for_this_cluster_is_left_alone(
    handle: EbsHandle, ec2: Ec2, tags: dict[str, str]
) -> None:
    values = {key: value.format(cluster=handle.settings.cluster) for key, value in tags.items()}
    specification = {
        "ResourceType": "volume",
        "Tags": [{"Key": key, "Value": value} for key, value in (values or {"Name": "x"}).items()],
    }
    volume = ec2.client.create_volume(AvailabilityZone=ZONES[0], Size=1, TagSpecifications=[specification])[
        "VolumeId"
    ]
    assert handle.provider().disks() == ()
    with pytest.raises(ProviderRefused, match="was not made for this cluster"):
        handle.provider().release(volume)
    assert ec2.client.describe_volumes(VolumeIds=[volume])["Volumes"]


def test_clusters_do_not_see_each_others_volumes(handle: EbsHandle, ec2: Ec2) -> None:
    other = EbsHandle(ec2)
    other.instances = handle.instances
    disk, others = handle.provide(handle.request("one")), other.provide(other.request("one"))
    assert disk.id != others.id
    assert handle.provider().disks() == (disk,)
    assert other.provider().disks() == (others,)
    with pytest.raises(ProviderRefused, match="not made for this cluster"):
        handle.provider().release(others.id)


def test_a_token_with_wildcards_means_itself(handle: EbsHandle) -> None:
    disk = handle.provide(handle.request("one-1"))
    other = handle.provide(handle.request("one-*"))
    assert disk.id != other.id
    assert handle.provide(handle.request("one-*")) == other


def test_ids_with_wildcards_mean_no_volume(handle: EbsHandle) -> None:
    handle.provide(handle.request("one"))
    handle.provide(handle.request("two"))
    assert handle.provider().release("vol-*")
    assert handle.made() == 2
