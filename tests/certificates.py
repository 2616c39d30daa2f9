"""A certificate for this machine, made afresh."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

FAL_HOSTS = ("queue.fal.run", "fal.run", "rest.fal.ai", "v3.fal.media", "api.fal.ai")


@dataclass(frozen=True, slots=True)
class Certificate:
    """Where certificate and key lie (PEM), and the same key with a password on it."""

    cert: Path
    key: Path
    locked: bytes


def make_certificate(folder: Path) -> Certificate:
    """Make a certificate that signs itself, for loopback and the hosts of fal."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "media-mcp tests")])
    names = [x509.DNSName(host) for host in ("localhost", *FAL_HOSTS)]
    now = datetime.now(UTC)
    cert = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(
            x509.SubjectAlternativeName([*names, x509.IPAddress(ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    made = Certificate(
        folder / "cert.pem",
        folder / "key.pem",
        _dump(key, serialization.BestAvailableEncryption(b"secret")),
    )
    made.cert.write_bytes(cert.public_bytes(serialization.Encoding.PEM))
    made.key.write_bytes(_dump(key, serialization.NoEncryption()))
    return made


def _dump(
    key: ec.EllipticCurvePrivateKey, encryption: serialization.KeySerializationEncryption
) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    )
