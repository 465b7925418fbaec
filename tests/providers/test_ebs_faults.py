"""EBS volumes on an EC2 that loses answers, throttles, refuses and takes for ever."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from artesian.model.provided import DiskRequest, ProvidedState
from artesian.providers.ebs import EbsProvider
from artesian.providers.port import ProviderRefused, ProviderUnreachable
from tests.providers.ebs_cases import EbsHandle
from tests.providers.ec2 import Ec2


@pytest.fixture
def handle(ec2: Ec2) -> Iterator[EbsHandle]:
    handle = EbsHandle(ec2)
    yield handle
    handle.close()


# --- answers that are lost, and servers in trouble


def test_a_lost_answer_does_not_make_a_second_volume(handle: EbsHandle, ec2: Ec2) -> None:
    ec2.lose_answers("CreateVolume", 2)
    with pytest.raises(ProviderUnreachable, match="does not answer"):
        handle.provider().provide(handle.request("one"))
    assert handle.made() == 1
    assert [disk.token for disk in handle.provider().disks()] == ["one"]
    assert handle.provide(handle.request("one")).state is ProvidedState.ATTACHED
    assert handle.made() == 1


def test_a_volume_that_is_not_listed_yet_is_not_made_again(handle: EbsHandle, ec2: Ec2) -> None:
    ec2.hide_new()
    ids = {handle.provider().provide(handle.request("one")).id for _ in range(3)}
    assert len(ids) == 1
    ec2.hide_new(False)
    assert handle.provide(handle.request("one")).id in ids
    assert handle.made() == 1


def test_a_volume_that_was_asked_for_with_other_settings_is_waited_for(handle: EbsHandle, ec2: Ec2) -> None:
    ec2.hide_new()
    handle.step(handle.request("one"))
    handle.change(throughput=250)
    with pytest.raises(ProviderUnreachable, match="other settings"):
        handle.step(handle.request("one"))
    ec2.hide_new(False)
    handle.provide(handle.request("one"))
    assert handle.made() == 1


@pytest.mark.parametrize("lost", [1, 2])
def test_an_attachment_whose_answer_is_lost_is_found(handle: EbsHandle, ec2: Ec2, lost: int) -> None:
    handle.step(handle.request("one"))
    ec2.lose_answers("AttachVolume", lost)
    if lost == 1:  # asked again at once, EC2 says that it is attached
        assert handle.step(handle.request("one")).state is ProvidedState.ATTACHED
    else:
        with pytest.raises(ProviderUnreachable):
            handle.step(handle.request("one"))
        assert handle.step(handle.request("one")).state is ProvidedState.ATTACHED


@pytest.mark.parametrize("action", ["CreateTags", "DetachVolume", "DeleteVolume", "DescribeVolumes"])
@pytest.mark.parametrize("lost", [1, 2])
def test_a_release_whose_answers_are_lost_ends_all_the_same(
    handle: EbsHandle, ec2: Ec2, action: str, lost: int
) -> None:
    disk = handle.provide(handle.request("one"))
    ec2.lose_answers(action, lost)
    for _ in range(10):
        try:
            if handle.provider().release(disk.id):
                break
        except ProviderUnreachable:
            pass
    assert handle.made() == 0
    assert handle.provider().disks() == ()


def verbs(handle: EbsHandle) -> list[Callable[[], object]]:
    """Every question that a provider can be asked."""
    provider = handle.provider()
    return [
        provider.check,
        lambda: provider.quote(handle.request("one")),
        lambda: provider.provide(handle.request("one")),
        provider.disks,
        lambda: provider.release(handle.unknown_id),
    ]


@pytest.mark.parametrize(
    ("code", "status", "words"),
    [
        ("RequestLimitExceeded", 503, "takes no more calls for now"),
        ("InternalError", 500, "is in trouble"),
        ("Unavailable", 503, "is in trouble"),
        ("", 502, "is in trouble"),
    ],
)
def test_trouble_is_no_refusal(handle: EbsHandle, ec2: Ec2, code: str, status: int, words: str) -> None:
    ec2.fail("*", code, status=status)
    with pytest.raises(ProviderUnreachable, match=words):
        handle.provider().provide(handle.request("one"))
    assert len(ec2.calls) <= 2


@pytest.mark.parametrize("garbage", [b"<html>Welcome</html>", b"{}", b"", b"<DescribeVolumesResponse><vol"])
def test_what_is_not_understood_is_neither_nothing_nor_a_refusal(
    handle: EbsHandle, ec2: Ec2, garbage: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ec2, "answer", lambda *_: garbage)
    for ask in verbs(handle):
        with pytest.raises(ProviderUnreachable, match=r"does not (answer|speak its language)"):
            ask()


def test_in_trouble_nothing_is_known(handle: EbsHandle, ec2: Ec2) -> None:
    ec2.fail("*", "InternalError", status=500)
    for ask in verbs(handle):
        with pytest.raises(ProviderUnreachable):
            ask()
    assert handle.made() == 0


def test_a_single_hiccup_is_not_noticed(handle: EbsHandle, ec2: Ec2) -> None:
    for code, status in (("RequestLimitExceeded", 503), ("InternalError", 500)):
        ec2.fail("CreateVolume", code, status=status, times=1)
        ec2.fail("AttachVolume", code, status=status, times=1)
        handle.provide(handle.request(code))


def test_nobody_waits_long_for_an_answer_that_does_not_come(ec2: Ec2, handle: EbsHandle) -> None:
    handle.change(call_timeout_s=0.3)
    ec2.hang("DescribeVolumes")
    with pytest.raises(ProviderUnreachable, match="does not answer"):
        EbsProvider(handle.settings).disks()
    handle.change(endpoint_url="http://127.0.0.1:9")
    with pytest.raises(ProviderUnreachable, match="does not answer"):
        EbsProvider(handle.settings).disks()


# --- what EC2 refuses


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("VolumeLimitExceeded", "quota for volumes of this type in eu-central-1 is used up"),
        ("MaxIOPSLimitExceeded", "quota for iops in eu-central-1 is used up"),
        ("InsufficientVolumeCapacity", "no room for such a volume in this zone"),
        ("UnauthorizedOperation", "does not permit ec2:CreateVolume"),
        ("InvalidParameterValue", "EC2 refuses CreateVolume: as it said"),
    ],
)
def test_what_ec2_refuses_to_make_is_refused(handle: EbsHandle, ec2: Ec2, code: str, words: str) -> None:
    ec2.fail("CreateVolume", code, "as it said Encoded authorization failure message: AbCdEf", status=400)
    with pytest.raises(ProviderRefused, match=words) as refused:
        handle.provider().provide(handle.request("one"))
    assert code in str(refused.value)
    assert "AbCdEf" not in str(refused.value)
    assert handle.made() == 0


def test_a_zone_that_ec2_does_not_have_is_refused(handle: EbsHandle, monkeypatch: pytest.MonkeyPatch) -> None:
    provider = handle.provider()
    plan = provider._plan

    def elsewhere(request: DiskRequest) -> object:
        instance, size_gib = plan(request)
        return replace(instance, zone="us-east-1a"), size_gib

    monkeypatch.setattr(provider, "_plan", elsewhere)
    with pytest.raises(ProviderRefused, match="The zone 'us-east-1a' does not exist"):
        provider.provide(handle.request("one"))


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("AttachmentLimitExceeded", "as many volumes as it can"),
        ("InvalidVolume.ZoneMismatch", "in different zones"),
        ("UnsupportedOperation", "as it said"),
    ],
)
def test_a_volume_that_cannot_be_attached_is_stuck_and_can_be_released(
    handle: EbsHandle, ec2: Ec2, code: str, words: str
) -> None:
    handle.step(handle.request("one"))
    ec2.fail("AttachVolume", code, "as it said")
    disk = handle.step(handle.request("one"))
    assert disk.state is ProvidedState.STUCK
    assert words in disk.detail
    handle.release(disk)
    assert handle.made() == 0


def test_a_volume_in_another_zone_cannot_be_attached(handle: EbsHandle, ec2: Ec2) -> None:
    disk = handle.step(handle.request("one"))
    ec2.client.create_tags(
        Resources=[disk.id], Tags=[{"Key": "artesian-instance", "Value": handle.instances["beta"]}]
    )
    handle.instances["alpha"] = handle.instances["beta"]
    disk = handle.step(handle.request("one"))
    assert disk.state is ProvidedState.STUCK
    assert "in different zones" in disk.detail


def test_somebody_who_may_not_attach_is_told_so(handle: EbsHandle, ec2: Ec2) -> None:
    disk = handle.step(handle.request("one"))
    ec2.fail("AttachVolume", "UnauthorizedOperation", status=403)
    with pytest.raises(ProviderRefused, match="does not permit ec2:AttachVolume"):
        handle.step(handle.request("one"))
    assert [one.id for one in handle.provider().disks()] == [disk.id]


# --- volumes that take for ever


def test_a_volume_that_is_attaching_for_too_long_is_stuck(handle: EbsHandle, ec2: Ec2) -> None:
    ec2.keep_attaching()
    disk = handle.step(handle.request("one"), 3)
    assert disk.state is ProvidedState.ATTACHING
    handle.later_s = 130
    disk = handle.step(handle.request("one"))
    assert disk.state is ProvidedState.STUCK
    assert disk.detail.startswith(
        f"it has been being attached to {handle.instances['alpha']} as /dev/sdf for 2 min"
    )
    assert handle.provider().disks() == (disk,)
    handle.release(disk)


def test_a_volume_that_is_attached_late_is_attached(handle: EbsHandle, ec2: Ec2) -> None:
    ec2.keep_attaching()
    assert handle.step(handle.request("one"), 3).state is ProvidedState.ATTACHING
    handle.later_s = 130
    ec2.keep_attaching(False)
    assert handle.step(handle.request("one")).state is ProvidedState.ATTACHED


def test_a_volume_that_is_in_the_making_for_too_long_is_stuck(handle: EbsHandle, ec2: Ec2) -> None:
    ec2.keep_creating()
    assert handle.step(handle.request("one"), 3).state is ProvidedState.MAKING
    assert not handle.calls("AttachVolume")
    handle.later_s = 130
    disk = handle.step(handle.request("one"))
    assert disk.state is ProvidedState.STUCK
    assert "it has been being made for 2 min" in disk.detail


def test_an_instance_that_does_not_let_go_is_forced_to(handle: EbsHandle, ec2: Ec2) -> None:
    disk = handle.provide(handle.request("one"))
    ec2.keep_detaching()
    for _ in range(3):
        assert not handle.provider().release(disk.id)
    assert [one.get("Force") for one in handle.calls("DetachVolume")] == ["false"]
    assert [one.state for one in handle.provider().disks()] == [ProvidedState.RELEASING]
    handle.later_s = 130
    handle.release(disk)
    assert [one.get("Force") for one in handle.calls("DetachVolume")] == ["false", "true"]


def test_an_instance_that_does_not_let_go_even_by_force_is_named(handle: EbsHandle, ec2: Ec2) -> None:
    disk = handle.provide(handle.request("one"))
    ec2.keep_detaching(also_by_force=True)
    handle.provider().release(disk.id)
    handle.later_s = 250
    assert not handle.provider().release(disk.id)
    (stuck,) = handle.provider().disks()
    assert stuck.state is ProvidedState.STUCK
    assert stuck.detail.startswith(f"instance {handle.instances['alpha']} has not let go of it for 4 min")
    assert "stop the instance" in stuck.detail
    assert handle.made() == 1


# --- credentials


CREDENTIAL_CODES = (
    "AuthFailure", "ExpiredToken", "RequestExpired", "InvalidClientTokenId", "SignatureDoesNotMatch"
)  # fmt: skip
SAID = "The Canonical String was AKIAIOSFODNN7EXAMPLE token-of-the-session"


@pytest.mark.parametrize("code", CREDENTIAL_CODES)
def test_credentials_that_are_not_accepted_are_named_with_what_to_do(
    handle: EbsHandle, ec2: Ec2, code: str
) -> None:
    ec2.fail("*", code, SAID, status=401 if code == "AuthFailure" else 400)
    said = [handle.provider().quote(handle.request("one")).refused]
    with pytest.raises(ProviderRefused) as refused:
        handle.provider().provide(handle.request("one"))
    said.append(str(refused.value))
    with pytest.raises(ProviderRefused) as refused:
        handle.provider().release("vol-0123456789abcdef0")
    said.append(str(refused.value))
    with pytest.raises(ProviderUnreachable) as unreachable:
        handle.provider().disks()
    said.append(str(unreachable.value))
    for words in said:
        assert words.startswith(f"EC2 does not accept the credentials ({code}): renew them")
        assert "AKIA" not in words
        assert "token-of-the-session" not in words


def test_without_credentials_it_says_where_they_may_be(
    handle: EbsHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    words = EbsProvider(handle.settings).quote(handle.request("one")).refused
    assert "(NoCredentialsError): renew them in the scheduler's environment" in words
    handle.change(profile="nobody")
    words = EbsProvider(handle.settings).quote(handle.request("one")).refused
    assert "(ProfileNotFound): renew them of profile nobody" in words


def test_nothing_secret_is_logged(handle: EbsHandle, ec2: Ec2, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG"):
        provider = EbsProvider(handle.settings)
        provider.provide(handle.request("one"))
        ec2.fail("*", "AuthFailure", SAID)
        provider.quote(handle.request("two"))
    assert "secret-of-the-account" not in caplog.text
    assert "token-of-the-session" not in caplog.text
    assert "Signature" not in caplog.text
