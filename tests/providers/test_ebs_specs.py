"""A spec with EBS volumes is taken only if Amazon lets us in, or does not answer at all."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from artesian.api.application import make_application
from artesian.providers.ebs import EbsProvider
from artesian.providers.ebs_settings import EbsSettings
from artesian.providers.port import ProviderRefused
from artesian.scheduler.loop import Scheduler
from tests.patience import PATIENCE
from tests.providers.ec2 import REGION, Ec2
from tests.providers.test_ebs_faults import CREDENTIAL_CODES, SAID
from tests.scheduler.cases import FakeSubstrate, MemoryStore

SPEC = """new_disks: ask
providers:
  - name: amazon
    kind: ebs
    region: {region}
    endpoint_url: {url}
"""


class Access:
    """The API, after a first pass."""

    def __init__(self, scheduler: Scheduler, client: TestClient) -> None:
        self.scheduler = scheduler
        self._client = client

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"Authorization": f"Bearer {self.scheduler.memory.secrets.api_token}"}
        return self._client.request(method, f"/v1{path}", json=body, headers=headers)

    def give(self, text: str) -> Any:
        return self.ask("PUT", "/spec", {"text": text})

    def refused(self, method: str, path: str, text: str) -> str:
        """Why; and the spec is what it was."""
        before = self.ask("GET", "/spec").json()
        answer = self.ask(method, path, {"text": text})
        assert (answer.status_code, answer.json()["title"]) == (422, "spec"), answer.text
        assert self.ask("GET", "/spec").json() == before
        return str(answer.json()["detail"])


@pytest.fixture
def api(ec2: Ec2, tmp_path: Path) -> Iterator[Access]:
    scheduler = Scheduler(MemoryStore(), FakeSubstrate("n1", "n2"), tmp_path, "http://127.0.0.1:9")
    scheduler.verdict = scheduler.one_pass()
    with TestClient(make_application(scheduler), raise_server_exceptions=False) as client:
        yield Access(scheduler, client)


@pytest.fixture
def spec(ec2: Ec2) -> str:
    return SPEC.format(region=REGION, url=ec2.url)


def test_a_spec_with_credentials_that_work_is_taken(api: Access, ec2: Ec2, spec: str) -> None:
    answer = api.give(spec)
    assert (answer.status_code, answer.json()) == (200, {"text": spec, "warnings": []})
    assert [action for action, _ in ec2.calls] == ["DescribeVolumes"]


@pytest.mark.parametrize("code", [*CREDENTIAL_CODES, "UnauthorizedOperation"])
@pytest.mark.parametrize(("method", "path"), [("PUT", "/spec"), ("POST", "/plan")])
def test_a_spec_whose_credentials_do_not_work_is_refused(
    api: Access, ec2: Ec2, spec: str, code: str, method: str, path: str
) -> None:
    ec2.fail("DescribeVolumes", code, SAID, status=401 if code == "AuthFailure" else 403)
    said = api.refused(method, path, spec)
    assert said.startswith("spec, line 3: provider amazon would give no disk: EC2 does not ")
    assert f"({code})" in said and ("renew them" in said or "allow it in the policy" in said)
    assert said.endswith("or leave this provider out")
    assert "AKIA" not in said and "token-of-the-session" not in said


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("    profile: nobody\n", "(ProfileNotFound): renew them of profile nobody"),
        ("    endpoint_url: http://[::1\n", "EC2 cannot be reached by this endpoint"),
        ("    region: not a region\n", "'not a region' is no region"),
    ],
)
def test_so_is_one_that_cannot_even_be_asked(api: Access, spec: str, change: str, words: str) -> None:
    key = change.strip().partition(":")[0]
    kept = [line for line in spec.splitlines(keepends=True) if not line.strip().startswith(key)]
    said = api.refused("PUT", "/spec", "".join(kept) + change)
    assert said.startswith("spec, line 3: provider amazon") and words in said


def test_without_any_credentials_it_is_refused(
    api: Access, spec: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    assert "(NoCredentialsError): renew them in the scheduler's environment" in api.refused(
        "PUT", "/spec", spec
    )


@pytest.mark.parametrize("trouble", ["away", "throttled", "broken", "silent"])
def test_while_amazon_does_not_answer_the_cluster_can_be_changed(
    api: Access, ec2: Ec2, spec: str, trouble: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("artesian.scheduler.providing.CALL_TIMEOUT_S", 0.3)
    if trouble == "away":
        spec = spec.replace(ec2.url, "http://127.0.0.1:9")
    elif trouble == "silent":
        ec2.hang("DescribeVolumes")
    else:
        code, status = ("RequestLimitExceeded", 503) if trouble == "throttled" else ("InternalError", 500)
        ec2.fail("*", code, status=status)
    began_s = time.monotonic()
    answer = api.give(spec)
    assert time.monotonic() - began_s < 5.0 * PATIENCE
    assert answer.status_code == 200
    (warning,) = answer.json()["warnings"]
    assert warning.startswith("provider amazon (line 3) does not answer now")
    assert api.ask("GET", "/spec").json()["text"] == spec
    assert warning in [one["because"] for one in api.ask("GET", "/events").json()]
    assert warning in api.ask("POST", "/plan", {"text": spec}).json()["notes"]


def test_what_else_is_wrong_is_said_without_asking_anybody(api: Access, ec2: Ec2, spec: str) -> None:
    assert "pols is not known" in api.refused("PUT", "/spec", f"{spec}pols: []\n")
    assert "iops" in api.refused("PUT", "/spec", f"{spec}    iops: 1\n")
    assert ec2.calls == []


def test_a_stored_spec_is_read_without_asking_anybody(
    api: Access, ec2: Ec2, spec: str, tmp_path: Path
) -> None:
    api.give(spec)
    documents = api.scheduler.memory._store.documents  # type: ignore[attr-defined]
    ec2.calls.clear()
    ec2.fail("*", "AuthFailure", status=401)
    again = Scheduler(MemoryStore(documents), FakeSubstrate("n1", "n2"), tmp_path, "http://127.0.0.1:9")
    assert [one.name for one in again.spec.providers] == ["amazon"]
    assert ec2.calls == []


def test_renewed_credentials_are_used_without_a_restart(
    ec2: Ec2, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of a profile: the environment of a process does not change."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    file = tmp_path / "credentials"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    file.write_text("[storage]\naws_access_key_id = old\naws_secret_access_key = old\n")
    provider = EbsProvider(EbsSettings(cluster="c", region=REGION, endpoint_url=ec2.url, profile="storage"))
    ec2.fail("DescribeVolumes", "ExpiredToken", times=1)
    with pytest.raises(ProviderRefused, match="ExpiredToken"):
        provider.check()
    file.write_text("[storage]\naws_access_key_id = new\naws_secret_access_key = new\n")
    provider.check()
    assert provider._ec2._client._get_credentials().access_key == "new"
