"""What EBS volumes are to be like, and what EC2 allows of each type: pure, nothing is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from artesian.model.errors import SpecError
from artesian.model.sizes import format_size

GIB = 1 << 30
OUR_TAGS = ("artesian-cluster", "artesian-token", "artesian-node", "artesian-instance", "artesian-releasing")
_MAX_TAGS = 50
_GP3_FREE_IOPS = 3000
_GP3_FREE_MIB_S = 125
_GP3_MIB_S_PER_IOPS = 0.25


@dataclass(frozen=True, slots=True)
class VolumeType:
    """What EC2 allows of a type of volume. `max_iops` and `max_mib_s`: 0 if they cannot be chosen."""

    min_gib: int
    max_gib: int
    min_iops: int = 0
    max_iops: int = 0
    iops_per_gib: int = 0
    needs_iops: bool = False
    min_mib_s: int = 0
    max_mib_s: int = 0


VOLUME_TYPES: Mapping[str, VolumeType] = MappingProxyType(
    {
        "gp3": VolumeType(1, 65536, _GP3_FREE_IOPS, 80_000, 500, False, _GP3_FREE_MIB_S, 2000),
        "gp2": VolumeType(1, 16384),
        "io1": VolumeType(4, 16384, 100, 64_000, 50, True),
        "io2": VolumeType(4, 65536, 100, 256_000, 1000, True),
        "st1": VolumeType(125, 16384),
        "sc1": VolumeType(125, 16384),
        "standard": VolumeType(1, 1024),
    }
)


@dataclass(frozen=True, slots=True)
class EbsSettings:
    """Raises SpecError for what EC2 would refuse whatever the size. Money is in the currency of the budgets.

    Who may spend money only within a budget has to set the prices: a price of 0 is not known, and what is
    not known costs 0 in quotes; `knows_price` says so beforehand.
    """

    cluster: str  # the value of the tag by which volumes of this cluster are found again
    region: str | None = None  # None: what the profile or the environment says
    profile: str | None = None  # of the shared configuration files; None: environment, or the instance's role
    endpoint_url: str | None = None  # something else that speaks EC2
    volume_type: str = "gp3"
    iops: int | None = None
    throughput: int | None = None  # MiB/s
    encrypted: bool = True
    kms_key_id: str | None = None  # None: the account's key for EBS
    tags: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))  # on every volume, too
    price_per_gib_month: float = 0.0
    price_per_iops_month: float = 0.0  # gp3: of those beyond 3000
    price_per_mib_s_month: float = 0.0  # gp3: of those beyond 125
    max_attachments: int = 26
    """Volumes that an instance may have, its root included. Most Nitro instances have 28 places for volumes,
    network interfaces and NVMe instance store together, and two are left for those; some have 32 to 128 for
    volumes alone. What EC2 refuses beyond that is shown as a disk that is stuck."""
    quota_gib: int | None = None  # of all volumes of this type in the region; None: left to EC2 to refuse
    instance_attribute: str = "ec2-instance-id"  # of a node; without it, its instance has the node's address
    attach_timeout_s: float = 120.0  # for making a volume, and for attaching it
    detach_timeout_s: float = 120.0  # after it, an instance that does not let go is forced to
    call_timeout_s: float = 5.0

    def __post_init__(self) -> None:
        problem = self._problem()
        if problem:
            raise SpecError(problem)

    def _problem(self) -> str:
        if self.volume_type not in VOLUME_TYPES:
            return f"{self.volume_type!r} is no type of EBS volumes: those are {', '.join(VOLUME_TYPES)}"
        if not 1 <= len(self.cluster) <= 256:
            return "EBS volumes are tagged with the name of their cluster, of 1 to 256 characters"
        if self.endpoint_url is not None and not self.endpoint_url.startswith(("http://", "https://")):
            return f"an endpoint is a URL, not {self.endpoint_url!r}"
        if self.kms_key_id and not self.encrypted:
            return "a KMS key makes sense only for volumes that are encrypted"
        if min(self.price_per_gib_month, self.price_per_iops_month, self.price_per_mib_s_month) < 0:
            return "prices are not negative"
        if self.max_attachments < 1 or (self.quota_gib is not None and self.quota_gib < 0):
            return "max_attachments is at least 1, and quota_gib at least 0"
        return self._problem_of_speed() or self._problem_of_tags()

    def _problem_of_speed(self) -> str:
        kind, iops, mib_s = self.volume_type, self.iops, self.throughput
        limits = VOLUME_TYPES[kind]
        if iops is None and limits.needs_iops:
            return f"EBS volumes of type {kind} need iops"
        if iops is not None and not limits.max_iops:
            return f"the iops of EBS volumes of type {kind} cannot be chosen"
        if iops is not None and not limits.min_iops <= iops <= limits.max_iops:
            return f"EBS volumes of type {kind} have {limits.min_iops} to {limits.max_iops} iops, not {iops}"
        if mib_s is not None and not limits.max_mib_s:
            return f"the throughput of EBS volumes of type {kind} cannot be chosen"
        if mib_s is not None and not limits.min_mib_s <= mib_s <= limits.max_mib_s:
            return (
                f"EBS volumes of type {kind} have a throughput of {limits.min_mib_s} to {limits.max_mib_s} "
                f"MiB/s, not {mib_s}"
            )
        if mib_s is not None and mib_s > _GP3_MIB_S_PER_IOPS * (iops or _GP3_FREE_IOPS):
            return f"a throughput of {mib_s} MiB/s needs at least {round(mib_s / _GP3_MIB_S_PER_IOPS)} iops"
        return ""

    def _problem_of_tags(self) -> str:
        for key, value in self.tags.items():
            if key in OUR_TAGS or key == "managed-by" or key.lower().startswith("aws:"):
                return f"the tag {key} is not free"
            if not 1 <= len(key) <= 128 or len(value) > 256:
                return f"the tag {key[:40]} is too long: a key has 1 to 128 characters, a value at most 256"
        most = _MAX_TAGS - len(OUR_TAGS) - 1
        return f"there are {len(self.tags)} tags, and {most} are possible" if len(self.tags) > most else ""

    @property
    def shown_region(self) -> str:
        """The region in a sentence."""
        return self.region or "the default region"

    @property
    def knows_price(self) -> bool:
        """Whether quotes say what a volume costs, so that a budget in money can be kept."""
        limits = VOLUME_TYPES[self.volume_type]
        paid_iops = self.iops is not None and (limits.needs_iops or self.iops > _GP3_FREE_IOPS)
        paid_mib_s = self.throughput is not None and self.throughput > _GP3_FREE_MIB_S
        return (
            self.price_per_gib_month > 0
            and (not paid_iops or self.price_per_iops_month > 0)
            and (not paid_mib_s or self.price_per_mib_s_month > 0)
        )

    def size_gib(self, size_bytes: int) -> int:
        """The smallest volume of at least a size. Raises ValueError, in words, if there is none."""
        limits = VOLUME_TYPES[self.volume_type]
        size = max(limits.min_gib, -(-size_bytes // GIB))
        if size > limits.max_gib:
            raise ValueError(
                f"an EBS volume of type {self.volume_type} has at most {format_size(limits.max_gib * GIB)}, "
                f"and {format_size(size_bytes)} are asked for"
            )
        allowed = max(limits.min_iops, size * limits.iops_per_gib)
        if self.iops is not None and self.iops > allowed:
            raise ValueError(
                f"{self.iops} iops need a volume of at least {-(-self.iops // limits.iops_per_gib)} GiB, and "
                f"this one has {size} GiB"
            )
        return size

    def cost_per_month(self, size_gib: int, iops: int, mib_s: int) -> float:
        """What a volume of any type and speed costs; 0 if the price is not known."""
        if not self.knows_price:
            return 0.0
        paid_iops = max(0, iops - (0 if VOLUME_TYPES[self.volume_type].needs_iops else _GP3_FREE_IOPS))
        paid_mib_s = max(0, mib_s - _GP3_FREE_MIB_S)
        return (
            size_gib * self.price_per_gib_month
            + (paid_iops * self.price_per_iops_month if self.iops is not None else 0.0)
            + (paid_mib_s * self.price_per_mib_s_month if self.throughput is not None else 0.0)
        )
