"""Providers that still have disks of ours stay where they are: nobody else could give these back. Pure."""

from __future__ import annotations

from artesian.model.provider_spec import EbsSpec, ProviderKind, ProviderSpec
from artesian.model.remedy import Part, PartState
from artesian.model.spec import Spec
from artesian.model.state import FrameworkState
from artesian.remedy.words import first_names

_MOST_NAMES = 5  # in a sentence


def disks_left_behind(before: Spec, after: Spec, state: FrameworkState) -> str | None:
    """Why another spec would forget disks that a provider has made; None if it would not.

    They are listed and given back by the adapter of the provider that made them, and by no other: without it
    they stay, and cost money. One that asks elsewhere does not see them, and takes them for gone.
    """
    wanted = {one.name: one for one in after.providers}
    for provider in before.providers:
        disks = [part for part in _parts(provider, state) if _is_held(part, provider.kind)]
        now = wanted.get(provider.name)
        if not disks or (now is not None and _place(now) == _place(provider)):
            continue
        names = [part.disk_id or part.token for part in disks]
        count = "1 disk" if len(names) == 1 else f"{len(names)} disks"
        has = f"it still has {count} of this cluster ({first_names(names, _MOST_NAMES)})"
        if now is None:
            return (
                f"provider {provider.name} cannot leave the spec: {has}, and only by it they are given back; "
                "let it stay as the last one until they are gone, or `apply --force` and see to them yourself"
            )
        return (
            f"spec, line {now.line}: provider {provider.name} would be another one, of {_told(now)} instead "
            f"of {_told(provider)}: {has}, which would be forgotten; give the new one a name of its own "
            "beside the old one, or `apply --force`, if both lead to the same disks"
        )
    return None


def _parts(provider: ProviderSpec, state: FrameworkState) -> list[Part]:
    return [
        part
        for _, remedy in sorted(state.remedies.items())
        for part in remedy.parts
        if part.provider == provider.name and part.may_cost
    ]


def _is_held(part: Part, kind: ProviderKind) -> bool:
    """A disk that its node had anyway is only lent: once it is in use nothing has to be given back."""
    return kind is not ProviderKind.SPARE or part.state in (PartState.ASKED, PartState.GIVEN_UP)


def _place(provider: ProviderSpec) -> tuple[object, ...]:
    """What decides which disks an adapter sees."""
    settings = provider.settings
    if isinstance(settings, EbsSpec):
        return (provider.kind, settings.region, settings.endpoint_url, settings.profile)
    return (provider.kind,)


def _told(provider: ProviderSpec) -> str:
    settings = provider.settings
    if not isinstance(settings, EbsSpec):
        return f"kind {provider.kind}"
    parts = [f"region {settings.region}" if settings.region else "the default region"]
    parts += [f"profile {settings.profile}"] if settings.profile else []
    parts += [f"endpoint {settings.endpoint_url}"] if settings.endpoint_url else []
    return ", ".join(parts)
