"""Authorities and the certificates that they issue, made for one test."""

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from context_common.tls import Certificates, Files

PEM = serialization.Encoding.PEM


@dataclass
class Authority:
    """One that signs certificates for loopback."""

    name: str

    def __post_init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        authority = x509.BasicConstraints(ca=True, path_length=None)
        self._certificate = self._build(self.name, self._key).add_extension(authority, critical=True)
        self.certificate = self._certificate.sign(self._key, hashes.SHA256())

    @property
    def pem(self) -> bytes:
        """Its own certificate."""
        return self.certificate.public_bytes(PEM)

    def issue(self, name: str, address: str = "127.0.0.1") -> tuple[bytes, bytes]:
        """A certificate for `name` on an address of loopback, and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        where = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
        certificate = self._build(name, key).add_extension(where, critical=False).sign(self._key, hashes.SHA256())
        secret = key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        return certificate.public_bytes(PEM), secret

    def _build(self, name: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.name)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
        )


@dataclass(frozen=True)
class Folder:
    """Where one process has its files."""

    path: Path

    @property
    def files(self) -> Files:
        return Files(self.path / "tls.crt", self.path / "tls.key", self.path / "ca.crt")

    def write(self, issued: tuple[bytes, bytes], *trusted: Authority) -> Certificates:
        """Put a certificate and authorities there, one file after the other; answers them as a process reads them."""
        self.path.mkdir(exist_ok=True)
        self.files.certificate.write_bytes(issued[0])
        self.files.key.write_bytes(issued[1])
        self.files.authorities.write_bytes(b"".join(authority.pem for authority in trusted))
        return Certificates(self.files)

    @property
    def environ(self) -> dict[str, str]:
        """What a process is told."""
        names = ("TLS_CERT_FILE", "TLS_KEY_FILE", "TLS_CA_FILE")
        paths = (self.files.certificate, self.files.key, self.files.authorities)
        return {name: str(path) for name, path in zip(names, paths, strict=True)}
