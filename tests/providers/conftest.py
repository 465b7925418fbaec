"""One EC2 for all tests, as it takes seconds to start."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.retries.standard import ExponentialBackoff

from tests.providers.ec2 import ENVIRONMENT, Ec2


@pytest.fixture(scope="session")
def running_ec2() -> Iterator[Ec2]:
    ec2 = Ec2()
    yield ec2
    ec2.stop()


@pytest.fixture
def ec2(running_ec2: Ec2, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ec2]:
    """Without faults. This process has credentials for it."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    # How long boto3 waits before it tries again, up to a second, is not what is tested.
    monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda *_: 0.0)
    running_ec2.calm()
    yield running_ec2
    running_ec2.calm()


@pytest.fixture
def folder() -> Iterator[Path]:
    """Of a local cluster that is to be made: short, as sockets are made in it."""
    made = Path(tempfile.mkdtemp(prefix="t", dir="/tmp"))
    yield made / "cluster"
    shutil.rmtree(made)
