"""EBS volumes for nodes that are EC2 instances.

A volume is found by its tags, so that nothing has to be remembered: which cluster, token, node and instance
it was made for, and since when it is on its way out. It is made in the zone of its node's instance, with a
client token that follows from the request's, so that EC2 itself makes it once when an answer was lost.

Volumes are never modified: EC2 limits how often that may be done, and how soon again. What has to grow gets
another disk.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from artesian.model.names import digest
from artesian.model.provided import DiskRequest, ProvidedDisk, ProvidedState, Quote
from artesian.model.sizes import format_duration
from artesian.providers.ebs_settings import GIB, EbsSettings
from artesian.providers.ec2_calls import Ec2Calls, Ec2Refused
from artesian.providers.port import ProviderRefused, ProviderUnreachable

Volume: TypeAlias = dict[str, Any]  # as EC2 describes it

_CLUSTER, _TOKEN, _NODE = "artesian-cluster", "artesian-token", "artesian-node"
_INSTANCE, _RELEASING = "artesian-instance", "artesian-releasing"
_MANAGED_BY = ("managed-by", "artesian")
_LEAD_TIME_S = 30.0
_FEWEST_RESULTS = 5  # that EC2 lets itself be asked for
_INSTANCE_ID = re.compile(r"i-[0-9a-f]{8,17}")
# Recommended, then available, for virtualised hardware of every generation; NVMe devices are named otherwise.
_DEVICES = (*(f"sd{one}" for one in "fghijklmnop"),
            *(f"xvd{one}{two}" for one in "bc" for two in "abcdefghijklmnopqrstuvwx"))  # fmt: skip
_NOT_NOW = frozenset({"IncorrectState", "InvalidVolume.NotFound", "IncorrectInstanceState"})


@dataclass(frozen=True, slots=True)
class _Instance:
    id: str
    zone: str
    devices: tuple[str, ...]  # names that are taken: volumes, attached or on their way


class EbsProvider:
    """Makes, attaches and deletes volumes, a step with each call."""

    def __init__(
        self, settings: EbsSettings, ec2: Ec2Calls | None = None, now: Callable[[], float] = time.time
    ) -> None:
        """`ec2`: shared by several providers of one account and region. `now`: Unix time."""
        self._settings = settings
        self._ec2 = ec2 or Ec2Calls(settings)
        self._now = now

    def check(self) -> None:
        """List volumes, as every other verb does first: it needs credentials, a region and permission."""
        self._ec2.call("describe_volumes", MaxResults=_FEWEST_RESULTS)

    def quote(self, request: DiskRequest) -> Quote:
        """Whole GiB, what they cost, and every limit that can be known: size, speed, places, quota.

        A price that the settings do not have counts as 0; see EbsSettings.knows_price.
        """
        try:
            volume = self._volume_of(request)
            size_gib = self._plan(request)[1] if volume is None else int(volume["Size"])
        except ProviderRefused as error:
            return Quote(refused=str(error))
        settings = self._settings
        cost = settings.cost_per_month(size_gib, settings.iops or 0, settings.throughput or 0)
        return Quote(size_gib * GIB, cost, _LEAD_TIME_S)

    def provide(self, request: DiskRequest) -> ProvidedDisk:
        """Make the volume; when it is made, attach it. A volume that cannot be attached is stuck."""
        volume = self._volume_of(request)
        if volume is None:
            return self._make(request)
        disk = self._disk(volume)
        if volume["State"] != "available" or disk.state is not ProvidedState.MAKING:
            return disk
        instance = self._instance(request)
        made_for = _tags(volume).get(_INSTANCE, "")
        if instance.id != made_for:
            words = f"it was made for instance {made_for}, and node {request.node} is {instance.id} now"
            return replace(disk, state=ProvidedState.STUCK, detail=words)
        return self._attach(volume, instance)

    def disks(self) -> tuple[ProvidedDisk, ...]:
        """Every volume with the tags of this cluster, by id."""
        try:
            volumes = self._volumes()
        except ProviderRefused as error:  # whoever may not look does not know what is there
            raise ProviderUnreachable(str(error)) from None
        return tuple(self._disk(volume) for volume in volumes)

    def release(self, disk_id: str) -> bool:
        """Detach a volume, by force when its instance does not let go in time, and delete it."""
        volume = self._volume(disk_id)
        if volume is None:
            return True
        if not self._is_ours(volume):
            raise ProviderRefused(f"volume {disk_id} was not made for this cluster: its tags do not say so")
        if volume["State"] == "deleting":
            return False
        attachment, made_for = _attachment(volume), _tags(volume).get(_INSTANCE, "")
        if attachment is not None and attachment["InstanceId"] != made_for:
            raise ProviderRefused(
                f"somebody has attached volume {disk_id} to {attachment['InstanceId']}, and it was made for "
                f"{made_for}: it is not taken away from there"
            )
        since_s = _releasing_since(volume)
        if since_s is None:
            # First of all, so that nobody attaches it again, whatever becomes of us.
            since_s = self._now()
            tag = {"Key": _RELEASING, "Value": str(int(since_s))}
            self._ec2.call("create_tags", Resources=[disk_id], Tags=[tag])
        if attachment is not None:
            self._detach(attachment, force=self._now() - since_s > self._settings.detach_timeout_s)
            return False
        return self._delete(disk_id)

    # --- making

    def _plan(self, request: DiskRequest) -> tuple[_Instance, int]:
        """Where a new volume goes, and its size in GiB. Raises ProviderRefused for every limit known here."""
        settings = self._settings
        try:
            size_gib = settings.size_gib(request.size_bytes)
        except ValueError as error:
            raise ProviderRefused(str(error)) from None
        instance = self._instance(request)
        waiting = [
            volume
            for volume in self._volumes((f"tag:{_INSTANCE}", instance.id))
            if _attachment(volume) is None and _releasing_since(volume) is None
        ]
        places = min(settings.max_attachments, len(_DEVICES))
        if len(instance.devices) + len(waiting) >= places:
            raise ProviderRefused(
                f"instance {instance.id} of node {request.node} has {len(instance.devices)} volumes and gets "
                f"{len(waiting)} more, and {places} are possible"
            )
        if settings.quota_gib is not None:
            there = self._describe(("volume-type", settings.volume_type))
            used_gib = sum(int(volume["Size"]) for volume in there)
            if used_gib + size_gib > settings.quota_gib:
                raise ProviderRefused(
                    f"{size_gib} GiB more of type {settings.volume_type} do not fit into the quota of "
                    f"{settings.quota_gib} GiB: {used_gib} GiB are used in {settings.shown_region}"
                )
        return instance, size_gib

    def _instance(self, request: DiskRequest) -> _Instance:
        """A node's instance. Raises ProviderRefused if it is not known for certain, or does not run."""
        settings, said = self._settings, request.attributes.get(self._settings.instance_attribute, "")
        if said and _INSTANCE_ID.fullmatch(said) is None:
            raise ProviderRefused(f"node {request.node}: {said!r} is no id of an instance")
        by = ("instance-id", said) if said else ("private-ip-address", request.address)
        filters = [{"Name": by[0], "Values": [by[1]]}]
        found = [
            instance
            for reservation in self._ec2.listing("describe_instances", "Reservations", Filters=filters)
            for instance in reservation.get("Instances", ())
            if instance["State"]["Name"] not in ("terminated", "shutting-down")
        ]
        if len(found) != 1:
            count = "no instance" if not found else f"{len(found)} instances"
            hint = "" if said else f"; its attribute {settings.instance_attribute} can say which it is"
            raise ProviderRefused(
                f"node {request.node}: {count} in {settings.shown_region} with {by[0]} {by[1]}{hint}"
            )
        (instance,) = found
        if instance["State"]["Name"] not in ("running", "pending"):
            raise ProviderRefused(
                f"instance {instance['InstanceId']} of node {request.node} is {instance['State']['Name']}"
            )
        return _Instance(
            instance["InstanceId"],
            instance["Placement"]["AvailabilityZone"],
            tuple(sorted(one["DeviceName"] for one in instance.get("BlockDeviceMappings", ()))),
        )

    def _make(self, request: DiskRequest) -> ProvidedDisk:
        settings = self._settings
        instance, size_gib = self._plan(request)
        tags = {
            **settings.tags,
            _CLUSTER: settings.cluster,
            _TOKEN: request.token,
            _NODE: request.node,
            _INSTANCE: instance.id,
            _MANAGED_BY[0]: _MANAGED_BY[1],
        }
        choices = {"Iops": settings.iops, "Throughput": settings.throughput, "KmsKeyId": settings.kms_key_id}
        try:
            volume = self._ec2.call(
                "create_volume",
                AvailabilityZone=instance.zone,
                Size=size_gib,
                VolumeType=settings.volume_type,
                Encrypted=settings.encrypted,
                ClientToken=digest(f"{settings.cluster}\n{request.token}"),
                TagSpecifications=[
                    {"ResourceType": "volume", "Tags": [{"Key": k, "Value": v} for k, v in tags.items()]}
                ],
                **{name: value for name, value in choices.items() if value is not None},
            )
        except Ec2Refused as error:
            if error.code == "IdempotentParameterMismatch":
                raise ProviderUnreachable(
                    f"the volume for {request.token} was asked for with other settings, and is not seen yet"
                ) from None
            raise
        if volume.get("State") in ("deleting", "deleted"):
            raise ProviderRefused(f"the volume for {request.token} was released already")
        return self._disk(volume)

    def _attach(self, volume: Volume, instance: _Instance) -> ProvidedDisk:
        disk = self._disk(volume)
        taken = {_letters(name) for name in instance.devices}
        device = next((name for name in _DEVICES if _letters(name) not in taken), None)
        if device is None:
            words = f"instance {instance.id} has no name left for a device"
            return replace(disk, state=ProvidedState.STUCK, detail=words)
        try:
            where = {"InstanceId": instance.id, "Device": f"/dev/{device}"}
            self._ec2.call("attach_volume", VolumeId=disk.id, **where)
        except Ec2Refused as error:
            return self._not_attached(disk, error)
        words = f"to {instance.id} as /dev/{device}"
        return replace(disk, state=ProvidedState.ATTACHING, detail=words)

    def _not_attached(self, disk: ProvidedDisk, error: Ec2Refused) -> ProvidedDisk:
        if not error.for_this_thing:
            raise error
        if error.code == "VolumeInUse":  # it was attached, and the answer was lost
            volume = self._volume(disk.id)
            return disk if volume is None else self._disk(volume)
        if error.code in _NOT_NOW or "already in use" in str(error):
            return replace(disk, detail=str(error))
        return replace(disk, state=ProvidedState.STUCK, detail=str(error))

    # --- releasing

    def _detach(self, attachment: dict[str, Any], *, force: bool) -> None:
        if attachment["State"] == "detaching" and not force:
            return
        try:
            self._ec2.call(
                "detach_volume",
                VolumeId=attachment["VolumeId"],
                InstanceId=attachment["InstanceId"],
                Force=force,
            )
        except Ec2Refused as error:
            # Detached, or being detached, already: what it has come to is seen with the next call.
            if error.code not in ("IncorrectState", "InvalidAttachment.NotFound", "InvalidVolume.NotFound"):
                raise

    def _delete(self, volume_id: str) -> bool:
        try:
            self._ec2.call("delete_volume", VolumeId=volume_id)
        except Ec2Refused as error:
            if error.code == "InvalidVolume.NotFound":
                return True
            if error.code not in ("VolumeInUse", "IncorrectState"):
                raise
        return False

    # --- what is there

    def _volume_of(self, request: DiskRequest) -> Volume | None:
        """The volume of a token; of several the one that has come furthest. Raises ProviderRefused."""
        found = [
            volume
            for volume in self._volumes((f"tag:{_TOKEN}", request.token))
            if _tags(volume).get(_TOKEN) == request.token  # filters take * and ? for anything
        ]
        if not found:
            return None
        volume = min(found, key=lambda one: (one["State"] != "in-use", one["CreateTime"], one["VolumeId"]))
        node = _tags(volume).get(_NODE)
        if node != request.node:
            raise ProviderRefused(f"{request.token} is a disk of node {node}, not of {request.node}")
        return volume

    def _volume(self, volume_id: str) -> Volume | None:
        found = self._describe(("volume-id", volume_id))
        return next((volume for volume in found if volume["VolumeId"] == volume_id), None)

    def _volumes(self, *more: tuple[str, str]) -> list[Volume]:
        """The volumes of this cluster that are not gone, by id."""
        found = self._describe((f"tag:{_CLUSTER}", self._settings.cluster), *more)
        return sorted(filter(self._is_ours, found), key=lambda volume: str(volume["VolumeId"]))

    def _describe(self, *filters: tuple[str, str]) -> list[Volume]:
        wanted = [{"Name": name, "Values": [value]} for name, value in filters]
        found = self._ec2.listing("describe_volumes", "Volumes", Filters=wanted)
        return [volume for volume in found if volume["State"] != "deleted"]

    def _is_ours(self, volume: Volume) -> bool:
        tags = _tags(volume)
        return tags.get(_CLUSTER) == self._settings.cluster and tags.get(_MANAGED_BY[0]) == _MANAGED_BY[1]

    def _disk(self, volume: Volume) -> ProvidedDisk:
        state, detail = self._state(volume)
        tags, size_gib = _tags(volume), int(volume["Size"])
        cost = self._settings.cost_per_month(
            size_gib, int(volume.get("Iops") or 0), int(volume.get("Throughput") or 0)
        )
        return ProvidedDisk(
            id=volume["VolumeId"],
            token=tags.get(_TOKEN, ""),
            node=tags.get(_NODE, ""),
            size_bytes=size_gib * GIB,
            state=state,
            name=volume["VolumeId"].replace("-", ""),  # the serial number that NVMe devices show
            cost_per_month=cost,
            detail=detail,
        )

    def _state(self, volume: Volume) -> tuple[ProvidedState, str]:
        """How far it has come, and what there is to say about that."""
        attachment, since_s = _attachment(volume), _releasing_since(volume)
        if volume["State"] == "deleting":
            return ProvidedState.RELEASING, ""
        if since_s is not None:
            return self._state_of_releasing(attachment, self._now() - since_s)
        if volume["State"] == "error":
            words = "EC2 could not make it; if it has a KMS key, it may not exist, or not be used by us"
            return ProvidedState.STUCK, words
        if volume["State"] == "creating":
            return self._unless_too_long(ProvidedState.MAKING, "made", volume["CreateTime"])
        if attachment is None:
            return ProvidedState.MAKING, "made, and not attached yet"
        to = f"to {attachment['InstanceId']} as {attachment['Device']}"
        made_for = _tags(volume).get(_INSTANCE, "")
        if attachment["InstanceId"] != made_for:
            return ProvidedState.STUCK, f"it was made for instance {made_for}, and is attached {to}"
        if attachment["State"] == "attached":
            return ProvidedState.ATTACHED, to
        if attachment["State"] == "attaching":
            return self._unless_too_long(ProvidedState.ATTACHING, f"attached {to}", attachment["AttachTime"])
        return ProvidedState.STUCK, f"somebody detaches it from {attachment['InstanceId']}"

    def _state_of_releasing(
        self, attachment: dict[str, Any] | None, age_s: float
    ) -> tuple[ProvidedState, str]:
        if attachment is None or age_s <= 2 * self._settings.detach_timeout_s:
            return ProvidedState.RELEASING, ""
        return ProvidedState.STUCK, (
            f"instance {attachment['InstanceId']} has not let go of it for {format_duration(age_s)}, "
            "also not by force: stop the instance, or start it anew"
        )

    def _unless_too_long(self, state: ProvidedState, verb: str, began: Any) -> tuple[ProvidedState, str]:
        age_s = self._now() - began.timestamp()
        if age_s <= self._settings.attach_timeout_s:
            return state, ""
        return ProvidedState.STUCK, f"it has been being {verb} for {format_duration(age_s)}"


def _tags(volume: Volume) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in volume.get("Tags", ())}


def _attachment(volume: Volume) -> dict[str, Any] | None:
    """Where a volume is, or is on its way to or from."""
    there: list[dict[str, Any]] = [one for one in volume.get("Attachments", ()) if one["State"] != "detached"]
    return there[0] if there else None


def _releasing_since(volume: Volume) -> float | None:
    """Unix time; 0 if somebody has changed the tag to what is no time."""
    text = _tags(volume).get(_RELEASING)
    if text is None:
        return None
    return float(text) if text.isascii() and text.isdigit() else 0.0


def _letters(device: str) -> str:
    """What tells names of devices apart: sdf, /dev/xvdf and /dev/sdf1 are the same to an instance."""
    return re.sub(r"^(/dev/)?(sd|xvd|hd)|[0-9]+$", "", device)
