"""The certificate is made once, kept, and good for the gateway's own address."""

import ssl
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography import x509

from artesian.embedded.errors import ConfigError
from artesian.embedded.gateway.certificate import ensure_certificate


def test_the_first_start_makes_a_key_that_only_we_can_read(tmp_path: Path) -> None:
    private, public = ensure_certificate(tmp_path / "new" / "folder", "127.0.0.1")
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert b"PRIVATE" not in public.read_bytes()
    ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(private)


def test_it_names_the_address_and_can_be_trusted_by_itself(tmp_path: Path) -> None:
    _private, public = ensure_certificate(tmp_path, "127.0.7.1")
    certificate = x509.load_pem_x509_certificate(public.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "127.0.7.1" in [str(ip) for ip in names.get_values_for_type(x509.IPAddress)]
    assert "localhost" in names.get_values_for_type(x509.DNSName)
    ssl.create_default_context(cafile=str(public))


def test_later_starts_keep_it(tmp_path: Path) -> None:
    private, public = ensure_certificate(tmp_path, "127.0.0.1")
    before = private.read_bytes(), public.read_bytes()
    public.unlink()
    ensure_certificate(tmp_path, "127.0.0.2")
    assert (private.read_bytes(), public.read_bytes()) == before


def test_gateways_that_start_at_once_agree_on_one(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: ensure_certificate(tmp_path, "127.0.0.1"), range(8)))
    private, public = results[0]
    certificate = x509.load_pem_x509_certificate(private.read_bytes())
    assert x509.load_pem_x509_certificate(public.read_bytes()) == certificate
    assert sorted(path.name for path in tmp_path.iterdir()) == ["gateway.crt", "gateway.pem"]


def test_a_folder_or_file_that_cannot_be_used_is_a_config_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="certificate_dir"):
        ensure_certificate(tmp_path / "file" / "below", "127.0.0.1")
    (tmp_path / "gateway.pem").write_text("nonsense")
    with pytest.raises(ConfigError, match="no certificate"):
        ensure_certificate(tmp_path, "127.0.0.1")
