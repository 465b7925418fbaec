"""Asking the providers of a spec whether they would let us in, before the spec is taken."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import structlog

from artesian.model.errors import SpecError
from artesian.model.provider_spec import ProviderSpec
from artesian.providers.port import DiskProvider, ProviderRefused, ProviderUnreachable

CALL_TIMEOUT_S = 3.0  # somebody waits for the answer
_AT_A_TIME = 8

log = structlog.get_logger()


def tried_out(
    providers: Sequence[ProviderSpec], adapter: Callable[[ProviderSpec], DiskProvider]
) -> tuple[str, ...]:
    """What to say of those that do not answer. Raises SpecError, naming the line, for one that refuses."""
    if not providers:
        return ()
    with ThreadPoolExecutor(_AT_A_TIME, thread_name_prefix="check") as executor:
        return tuple(filter(None, executor.map(lambda one: _warning(one, adapter), providers)))


def _warning(provider: ProviderSpec, adapter: Callable[[ProviderSpec], DiskProvider]) -> str:
    where = f"provider {provider.name} (line {provider.line})"
    try:
        adapter(provider).check()
    except ProviderRefused as error:
        raise SpecError(
            f"spec, line {provider.line}: provider {provider.name} would give no disk: {error}; "
            "or leave this provider out"
        ) from None
    except ProviderUnreachable as error:
        return f"{where} does not answer now, so that nobody knows whether it would give disks: {error}"
    except Exception as error:  # a mistake in one adapter must not keep a spec from being changed
        log.exception("a provider could not be tried out", provider=provider.name)
        return f"{where} could not be tried out: {type(error).__name__}; the scheduler's log has it"
    return ""
