"""Masters and agents that speak TLS, and who is believed."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import json
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from artesian.mesos import executor
from artesian.mesos.access import MesosAccess
from artesian.mesos.errors import FailedOver, MasterUnreachable
from artesian.mesos.executor import ExecutorClient
from artesian.mesos.operator import Operator
from artesian.mesos.scheduler import SchedulerClient
from tests.mesos.standin import StandIn, stream, text


def _certificate(folder: Path) -> Path:
    """A certificate for 127.0.0.1, its own authority, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mesos")])
    now = datetime.datetime.now(datetime.UTC)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    encoding = serialization.Encoding.PEM
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(certificate.public_bytes(encoding) + private)
    return path


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    return _certificate(tmp_path)


@pytest.fixture
def server(certificate: Path) -> Iterator[StandIn]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with StandIn(context) as server:
        yield server


def test_a_master_is_believed_by_its_authority_alone(
    server: StandIn, certificate: Path, tmp_path: Path
) -> None:
    server.on("/api/v1", text(200, json.dumps({"get_agents": {"agents": []}})))
    assert Operator(MesosAccess(server.address, ca_file=certificate)).agents() == []
    (tmp_path / "other").mkdir()
    for access in (
        MesosAccess(f"https://{server.address}"),
        MesosAccess(server.address, ca_file=_certificate(tmp_path / "other")),
    ):
        with pytest.raises(MasterUnreachable, match="CERTIFICATE_VERIFY_FAILED"):
            Operator(access).agents()


def test_a_subscription_over_tls(server: StandIn, certificate: Path) -> None:
    server.on("/api/v1/scheduler", stream({"type": "ERROR", "error": {"message": "Framework failed over"}}))
    client = SchedulerClient(MesosAccess(server.address, ca_file=certificate), {"id": {"value": "f"}})
    with pytest.raises(FailedOver):
        asyncio.run(client.run(lambda event: None))


@pytest.mark.parametrize(("believes", "end"), [(True, executor.STOPPED), (False, executor.AGENT_GONE)])
def test_an_executor_over_tls(
    server: StandIn, certificate: Path, tmp_path: Path, believes: bool, end: str
) -> None:
    server.on("/api/v1/executor", stream({"type": "SUBSCRIBED"}, then="hang"))
    (tmp_path / "other").mkdir()
    authority = certificate if believes else _certificate(tmp_path / "other")
    client = ExecutorClient(
        {
            "MESOS_AGENT_ENDPOINT": server.address,
            "MESOS_FRAMEWORK_ID": "f",
            "MESOS_EXECUTOR_ID": "e",
            "LIBPROCESS_SSL_ENABLED": "true",
            "LIBPROCESS_SSL_CA_FILE": str(authority),
        }
    )
    assert client.run(lambda event: client.stop(1.0)) == end
