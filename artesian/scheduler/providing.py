"""The adapters of the providers that the spec names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, replace
from typing import assert_never

from artesian.clusters.local import LocalCluster
from artesian.clusters.port import Substrate
from artesian.model.errors import NotPossible
from artesian.model.provided import DiskRequest, ProvidedDisk, Quote
from artesian.model.provider_spec import EbsSpec, FileSpec, ProviderSpec, SpareSpec
from artesian.model.remedy import PartState
from artesian.model.spec import Spec
from artesian.model.topology import Topology, VerdictKind
from artesian.providers.ebs_settings import EbsSettings
from artesian.providers.file import FileProvider
from artesian.providers.port import DiskProvider, ProviderRefused, ProviderUnreachable
from artesian.providers.spare import SpareDisk, SpareProvider
from artesian.scheduler.memory import Memory
from artesian.scheduler.node_making import check_makes_nodes
from artesian.scheduler.stalling import Stalls
from artesian.scheduler.trying_out import CALL_TIMEOUT_S, tried_out
from artesian.store.port import NotLeading, StoreUnusable


class Providers:
    """One adapter for each provider, kept as long as the spec says the same of it.

    `topology` gives the one of the last pass: it has judged what disks are free.
    """

    def __init__(self, memory: Memory, substrate: Substrate, topology: Callable[[], Topology | None]) -> None:
        self._memory = memory
        self._substrate = substrate
        self._topology = topology
        self._made: dict[str, tuple[ProviderSpec, DiskProvider]] = {}
        self.stalls = Stalls()

    def __call__(self, spec: Spec, name: str) -> DiskProvider:
        """Raises ProviderRefused for one that is not in the spec, or cannot be used here."""
        wanted = next((one for one in spec.providers if one.name == name), None)
        if wanted is None:
            raise ProviderRefused(f"the spec has no provider {name} any more")
        made = self._made.get(name)
        if made is None or made[0] != wanted:
            made = self._made[name] = (wanted, self._make(wanted))
        return _WhileLeading(self._memory, self.stalls.before(name, made[1]))

    def check(self, spec: Spec) -> None:
        """Raises NotPossible for a provider, or a remedy, that cannot be used here, SpecError for one that
        never can."""
        check_makes_nodes(spec, self._substrate)
        for one in spec.providers:
            if isinstance(one.settings, FileSpec) and not isinstance(self._substrate, LocalCluster):
                raise NotPossible(f"provider {one.name} makes files, and these nodes are no folders")
            if isinstance(one.settings, EbsSpec):
                _ebs_settings(one.settings, "check")

    def try_out(self, spec: Spec) -> tuple[str, ...]:
        """Ask every provider whether it answers and lets us in: a step of its own, before a spec is taken.

        Gives what is to be said of those that do not answer, which says nothing of the spec: a cluster can
        be changed while a cloud is down. Raises SpecError, naming the line, for one that refuses us.
        """
        return tried_out(spec.providers, self._to_try)

    def _to_try(self, wanted: ProviderSpec) -> DiskProvider:
        """An adapter that has never asked, and so knows the credentials as they are now."""
        if not isinstance(wanted.settings, EbsSpec):
            return self._make(wanted)
        from artesian.providers.ebs import EbsProvider  # Amazon's client takes long to load

        return EbsProvider(replace(_ebs_settings(wanted.settings, "check"), call_timeout_s=CALL_TIMEOUT_S))

    def _make(self, wanted: ProviderSpec) -> DiskProvider:
        settings = wanted.settings
        match settings:
            case FileSpec():
                if not isinstance(self._substrate, LocalCluster):
                    raise ProviderRefused(
                        f"provider {wanted.name} makes files, and these nodes are no folders"
                    )
                return FileProvider(
                    self._substrate,
                    max_disks_per_node=settings.max_disks_per_node,
                    price_per_gib_month=settings.price_per_gib_month,
                )
            case SpareSpec():
                return SpareProvider(lambda: self._free(), lambda: self._granted(wanted.name))
            case EbsSpec():
                from artesian.providers.ebs import EbsProvider  # Amazon's client takes long to load

                return EbsProvider(_ebs_settings(settings, self._cluster_name()))
            case _:
                assert_never(settings)

    def _cluster_name(self) -> str:
        engine = self._memory.state.engine
        if engine is None:
            raise ProviderRefused("there is no engine yet")
        return engine.system_id

    def _free(self) -> Iterator[SpareDisk]:
        topology = self._topology()
        for one in topology.verdicts if topology is not None else ():
            if one.kind is VerdictKind.FREE and one.identity is not None:
                yield SpareDisk(one.node, one.identity, one.size_bytes)

    def _granted(self, name: str) -> Mapping[str, SpareDisk]:
        return {
            part.token: SpareDisk(part.node, part.identity, part.size_bytes)
            for remedy in self._memory.state.remedies.values()
            for part in remedy.parts
            if part.provider == name and part.identity and part.state is not PartState.GIVEN_UP
        }


def _ebs_settings(spec: EbsSpec, cluster: str) -> EbsSettings:
    """Raises SpecError for what EC2 would refuse."""
    return EbsSettings(
        cluster=cluster, **{field.name: getattr(spec, field.name) for field in fields(EbsSpec)}
    )


class _WhileLeading:
    """Providers are asked beside the loop, perhaps long after it has decided that they are to be."""

    def __init__(self, memory: Memory, provider: DiskProvider) -> None:
        self._memory = memory
        self._provider = provider

    def check(self) -> None:
        self._provider.check()

    def quote(self, request: DiskRequest) -> Quote:
        return self._provider.quote(request)

    def provide(self, request: DiskRequest) -> ProvidedDisk:
        self._confirm()
        return self._provider.provide(request)

    def disks(self) -> tuple[ProvidedDisk, ...]:
        return self._provider.disks()

    def release(self, disk_id: str) -> bool:
        self._confirm()
        return self._provider.release(disk_id)

    def _confirm(self) -> None:
        try:
            self._memory.confirm()
        except (NotLeading, StoreUnusable) as error:
            raise ProviderUnreachable(f"it was not asked: {error}") from None
