"""Providers are asked whether they would let us in, and the spec is refused or taken with a warning."""

from __future__ import annotations

from typing import cast

import pytest

from artesian.model.errors import SpecError
from artesian.model.provider_spec import EbsSpec, ProviderSpec
from artesian.providers.port import DiskProvider, ProviderRefused, ProviderUnreachable
from artesian.scheduler.trying_out import tried_out
from artesian.strategy.spec_file import read_spec


class Door:
    """A provider that can be asked for nothing but whether it lets us in."""

    def __init__(self, answer: Exception | None) -> None:
        self.answer = answer

    def check(self) -> None:
        if self.answer is not None:
            raise self.answer


def tried(**answers: Exception | None) -> tuple[str, ...]:
    """What is said of providers, each on a line of its own, that answer so."""
    providers = [ProviderSpec(name, EbsSpec(), 60.0, line=at) for at, name in enumerate(answers, 3)]
    return tried_out(providers, lambda one: cast(DiskProvider, Door(answers[one.name])))


def test_without_providers_nobody_is_asked() -> None:
    assert tried() == ()


def test_nothing_is_said_of_those_that_let_us_in() -> None:
    assert tried(one=None, two=None) == ()


def test_one_that_refuses_is_named_with_its_line_and_what_to_do() -> None:
    with pytest.raises(SpecError) as refused:
        tried(one=None, two=ProviderRefused("EC2 does not accept the credentials: renew them"))
    assert str(refused.value) == (
        "spec, line 4: provider two would give no disk: EC2 does not accept the credentials: renew them; "
        "or leave this provider out"
    )


def test_one_that_does_not_answer_is_no_reason_to_refuse() -> None:
    (warning,) = tried(one=ProviderUnreachable("EC2 is in trouble (503)"), two=None)
    assert warning.startswith("provider one (line 3) does not answer now")
    assert "EC2 is in trouble (503)" in warning


def test_a_refusal_counts_whoever_else_does_not_answer() -> None:
    with pytest.raises(SpecError, match="line 4"):
        tried(one=ProviderUnreachable("away"), two=ProviderRefused("no"))


def test_a_mistake_in_an_adapter_does_not_keep_the_spec_from_being_changed() -> None:
    (warning,) = tried(one=KeyError("Volumes"))
    assert warning == ("provider one (line 3) could not be tried out: KeyError; the scheduler's log has it")


def test_a_provider_knows_its_line_and_is_the_same_wherever_it_stands() -> None:
    (here,) = read_spec("providers:\n  - {kind: ebs}\n").providers
    (there,) = read_spec("# a comment\n\nproviders:\n  - name: ebs\n    kind: ebs\n").providers
    assert (here.line, there.line) == (2, 4)
    assert here == there
