"""What the environment says; the services read their own settings from the same one."""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit

from context_common.logs import LEVELS
from context_common.protection import Protection
from context_common.settings import Env

SCHEMES = ("postgres", "postgresql")


@dataclass(frozen=True)
class Settings:
    """One container.

    Args:
        port: Where the gateway listens.
        metrics_host: Where metrics are listened for, the gateway's on the port of METRICS_LISTEN, the others' after it.
        metrics_port: That port; 0: the gateway's own route only.
        database_url: Where the owner of the tables logs in.
        login_secret: The passwords of the services' own logins are made from it.
        drain: Seconds for which the gateway goes on serving when it is to end.
    """

    port: int
    metrics_host: str
    metrics_port: int
    database_url: str = field(repr=False)
    login_secret: str = field(repr=False)
    log_level: str
    drain: str

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """The settings in `environ`.

        Raises:
            SettingsError: Names everything that is missing or wrong.
        """
        read = Env(environ)
        protection = Protection.read(read, read.text("HOST", "127.0.0.1"))
        host, _, port = read.listen("METRICS_LISTEN", "").rpartition(":")
        settings = cls(
            port=read.integer("PORT", 4000, least=1, most=65535),
            metrics_host=host,
            metrics_port=int(port) if port.isdecimal() else 0,
            database_url=read.secret("DATABASE_URL"),
            login_secret=read.secret("DATABASE_LOGIN_SECRET", "") or protection.secret_key_base,
            log_level=read.choice("LOG_LEVEL", "info", *LEVELS),
            drain=str(read.number("DRAIN", 0.0, most=300)),
        )
        if settings.database_url and not _is_address(settings.database_url):
            read.reject("DATABASE_URL must be postgresql://user:password@host/database")
        if not settings.login_secret:
            read.reject(
                "missing: DATABASE_LOGIN_SECRET or SECRET_KEY_BASE, from which the services' passwords are made"
            )
        read.complain()
        return settings

    def login(self, user: str) -> str:
        """The database as `user`, whom the migrations make with the password that stands in the address.

        The password is the same wherever the secret is, so that several containers share a database.
        """
        parts = urlsplit(self.database_url)
        password = hmac.new(self.login_secret.encode(), f"database login {user}".encode(), hashlib.sha256).hexdigest()
        return parts._replace(netloc=f"{user}:{password}@{parts.netloc.rpartition('@')[2]}").geturl()


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:  # whose words quote the password
        return False
    return parts.scheme in SCHEMES and bool(parts.netloc)
