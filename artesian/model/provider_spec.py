"""Where new disks may come from, as the spec says it: checked, frozen, with its defaults filled in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType


class ProviderKind(StrEnum):
    """What makes disks, or has them."""

    FILE = "file"  # files on one machine that stand for disks
    SPARE = "spare"  # free disks that nodes have already, kept for the day when one is needed
    EBS = "ebs"  # Amazon's block storage, attached to the instances that the nodes are


class EbsType(StrEnum):
    """Kinds of EBS volumes."""

    GP2 = "gp2"
    GP3 = "gp3"
    IO1 = "io1"
    IO2 = "io2"
    ST1 = "st1"
    SC1 = "sc1"
    STANDARD = "standard"


@dataclass(frozen=True, slots=True)
class FileSpec:
    """Of provider `file`. `max_disks_per_node`: how many of its disks a node may have; None: any number."""

    max_disks_per_node: int | None = None
    price_per_gib_month: float = 0.0


@dataclass(frozen=True, slots=True)
class SpareSpec:
    """Of provider `spare`: there is nothing to set."""


@dataclass(frozen=True, slots=True)
class EbsSpec:
    """Of provider `ebs`; what is None is left to Amazon, or not limited.

    Credentials are the SDK's: environment, profile or the machine's own role. Prices are in the currency of
    the budget; 0: not known. `instance_attribute` is the node attribute that holds its instance id.
    """

    region: str | None = None
    endpoint_url: str | None = None
    profile: str | None = None
    volume_type: EbsType = EbsType.GP3
    iops: int | None = None
    throughput: int | None = None  # MiB a second
    encrypted: bool = True
    kms_key_id: str | None = None
    tags: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    price_per_gib_month: float = 0.0
    price_per_iops_month: float = 0.0  # of those that cost extra
    price_per_mib_s_month: float = 0.0  # likewise
    max_attachments: int = 26  # volumes of an instance, its root included
    quota_gib: int | None = None
    instance_attribute: str = "ec2-instance-id"
    attach_timeout_s: float = 120.0
    detach_timeout_s: float = 120.0


@dataclass(frozen=True, slots=True)
class ProviderSpec:
    """One provider. `name` is what rules call it; disks are asked of the first one that can give them.

    `lead_time_s`: how long a new disk takes, as far as is known. `disk_size_bytes`: how large a disk is when
    nothing else is said; None: as those that the pool has. `line`: where the spec names it, for what turns
    out only when it is asked; 0: nowhere.
    """

    name: str
    settings: FileSpec | SpareSpec | EbsSpec
    lead_time_s: float
    disk_size_bytes: int | None = None
    line: int = field(default=0, compare=False)  # one that has moved in its file is the same provider

    @property
    def kind(self) -> ProviderKind:
        """What it is."""
        match self.settings:
            case FileSpec():
                return ProviderKind.FILE
            case SpareSpec():
                return ProviderKind.SPARE
            case EbsSpec():
                return ProviderKind.EBS

    @property
    def price_per_gib_month(self) -> float | None:
        """What a GiB costs a month; None if that is not known."""
        match self.settings:
            case FileSpec(price_per_gib_month=price):
                return price
            case SpareSpec():
                return 0.0
            case EbsSpec(price_per_gib_month=price):
                return price or None
