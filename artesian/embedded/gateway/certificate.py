"""The gateway's certificate: self-signed, made on the first start, kept from then on."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import os
import socket
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from artesian.embedded.errors import ConfigError

_LIFE_DAYS = 3650
PRIVATE_FILE = "gateway.pem"  # key and certificate, readable by the owner only
PUBLIC_FILE = "gateway.crt"  # the certificate alone, for clients that want to verify it


def ensure_certificate(folder: Path, ip: str) -> tuple[Path, Path]:
    """The private file (key and certificate) and the public one in `folder`, made if they are missing.

    An existing private file is kept whatever it says: operators put their own there, with the key first.
    Several gateways may start on one folder at once; all end with the same certificate.
    Raises ConfigError if the folder cannot be written or the file cannot be read.
    """
    private, public = folder / PRIVATE_FILE, folder / PUBLIC_FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not private.exists():
            _write_new(private, _make(ip), 0o600)
        certificate = x509.load_pem_x509_certificate(private.read_bytes())
        text = certificate.public_bytes(serialization.Encoding.PEM)
        if not public.exists() or public.read_bytes() != text:
            _replace(public, text, 0o644)
    except OSError as error:
        raise ConfigError(f"certificate_dir {folder} cannot be used: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{private} holds no certificate in PEM form") from error
    return private, public


def _make(ip: str) -> bytes:
    """Key and certificate in PEM form, valid for this address, localhost and this machine's name."""
    key = ec.generate_private_key(ec.SECP256R1())
    host = socket.gethostname()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Artesian gateway")])
    names: list[x509.GeneralName] = [x509.DNSName("localhost")]
    if host.isascii() and host not in ("", "localhost"):
        names.append(x509.DNSName(host))
    addresses = {ip, "127.0.0.1", "::1"} - {"0.0.0.0", "::"}
    for address in sorted(addresses):
        with contextlib.suppress(ValueError):
            names.append(x509.IPAddress(ipaddress.ip_address(address)))
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))  # clients whose clocks are behind
        .not_valid_after(now + datetime.timedelta(days=_LIFE_DAYS))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private + certificate.public_bytes(serialization.Encoding.PEM)


def _key_usage() -> x509.KeyUsage:
    """For signing handshakes, and for being its own issuer: strict clients want both to be said."""
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _write_new(path: Path, content: bytes, mode: int) -> None:
    """Appears complete or not at all, and never replaces what another gateway has just made."""
    temporary = _write_temporary(path, content, mode)
    try:
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        temporary.unlink()


def _replace(path: Path, content: bytes, mode: int) -> None:
    _write_temporary(path, content, mode).replace(path)


def _write_temporary(path: Path, content: bytes, mode: int) -> Path:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return temporary
