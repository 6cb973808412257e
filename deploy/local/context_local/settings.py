"""What the environment says."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from context_common.protection import Protection
from context_common.settings import Env


@dataclass(frozen=True)
class Settings:
    """Settings of the local stack; the services read their own from the same environment."""

    port: int
    data_dir: Path
    database_url: str  # empty: the embedded Postgres
    demo: bool
    protection: Protection
    jwks_url: str  # where it is set, tokens are signed elsewhere
    issuer: str
    audience: str

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """The settings in `environ`.

        Raises:
            SettingsError: Names everything that is wrong.
        """
        read = Env(environ)
        settings = cls(
            port=read.integer("PORT", 4000, least=1, most=65535),
            data_dir=Path(read.text("CONTEXT_DATA_DIR", ".data")).absolute(),
            database_url=read.secret("DATABASE_URL", ""),
            demo=read.flag("CONTEXT_DEMO", True),
            protection=Protection.read(read, read.text("HOST", "127.0.0.1")),
            jwks_url=read.text("JWT_JWKS_URL", ""),
            issuer=read.text("JWT_ISSUER", ""),
            audience=read.text("JWT_AUDIENCE", ""),
        )
        read.complain()
        return settings
