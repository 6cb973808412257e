"""Mutual TLS between services, from files that may be replaced while a process runs."""

import ssl
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import structlog

from context_common.settings import Env

LOOK_EVERY = 1.0  # seconds between looks at the files

log = structlog.get_logger()


@dataclass(frozen=True)
class Files:
    """PEM files: our certificate with its chain, its key, and the authorities that we trust, and no others."""

    certificate: Path
    key: Path
    authorities: Path

    def fingerprint(self) -> tuple[tuple[int, int, int], ...]:
        """Changes with the files, also where they are links that come to point elsewhere."""
        stats = [path.stat() for path in (self.certificate, self.key, self.authorities)]
        return tuple((stat.st_ino, stat.st_size, stat.st_mtime_ns) for stat in stats)


@dataclass(frozen=True)
class Loaded:
    """What stands in the files."""

    certificate: bytes
    key: bytes = field(repr=False)
    authorities: bytes

    @classmethod
    def load(cls, files: Files) -> "Loaded":
        """What stands in `files`, where it fits together.

        Raises:
            OSError: A file cannot be read, is no PEM, or the key is not the certificate's; ssl.SSLError is one.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_cert_chain(files.certificate, files.key, password="")  # else it would ask a person
        context.load_verify_locations(files.authorities)
        return cls(files.certificate.read_bytes(), files.key.read_bytes(), files.authorities.read_bytes())


class Certificates:
    """The files, and what of them is in use.

    Raises:
        OSError: As Loaded.load.
    """

    def __init__(self, files: Files) -> None:
        self.files = files
        self._fingerprint = files.fingerprint()
        self._loaded = Loaded.load(files)
        self._look_at = time.monotonic() + LOOK_EVERY
        self._lock = threading.Lock()  # gRPC asks from threads of its own

    def current(self) -> Loaded:
        """What is in use, a second old at most; the same object until the files have changed to something usable."""
        return self.latest() if time.monotonic() >= self._look_at else self._loaded

    def latest(self) -> Loaded:
        """What is to be used for a new connection; looks at the files each time."""
        with self._lock:
            self._look_at = time.monotonic() + LOOK_EVERY
            self._look()
            return self._loaded

    def _look(self) -> None:
        """Take over what has changed; while it is being written it does not fit together, and the old stays."""
        try:
            fingerprint = self.files.fingerprint()
            if fingerprint == self._fingerprint:
                return
            loaded = Loaded.load(self.files)
            if self.files.fingerprint() != fingerprint:
                return
        except OSError as error:
            log.warning("certificates_unusable", reason=str(error))
            return
        self._loaded, self._fingerprint = loaded, fingerprint
        log.info("certificates_loaded")

    def for_server(self) -> grpc.ServerCredentials:
        """Credentials that ask every client for a certificate and follow the files."""
        used = self.latest()

        def changed() -> Any:  # None, where nothing has; types-grpcio does not know of it
            nonlocal used
            if (latest := self.latest()) is used:
                return None
            used = latest
            return _configuration(used)

        return grpc.dynamic_ssl_server_credentials(_configuration(used), changed, require_client_authentication=True)


def for_channel(loaded: Loaded) -> grpc.ChannelCredentials:
    """Credentials of a channel; it keeps them, so whoever wants others opens another."""
    return grpc.ssl_channel_credentials(loaded.authorities, loaded.key, loaded.certificate)


def _configuration(loaded: Loaded) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(loaded.key, loaded.certificate)], loaded.authorities)


def read(env: Env) -> Certificates | None:
    """The certificates that the environment names, if it names any. What is wrong is kept for `env.complain`."""
    names = ("TLS_CERT_FILE", "TLS_KEY_FILE", "TLS_CA_FILE")
    paths = (env.text("TLS_CERT_FILE", ""), env.text("TLS_KEY_FILE", ""), env.text("TLS_CA_FILE", ""))
    if not any(paths):
        return None
    missing = [name for name, path in zip(names, paths, strict=True) if not path]
    if missing:
        env.reject(f"missing: {' and '.join(missing)}, for the three belong together")
        return None
    try:
        return Certificates(Files(*map(Path, paths)))
    except OSError as error:
        env.reject(f"{', '.join(names)}: {error}")
        return None
