"""What the gateway reads from its environment."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from context_common.logs import LEVELS
from context_common.settings import Env, SettingsError, is_loopback
from context_common.trust import Trust


@dataclass(frozen=True)
class Settings:
    """One gateway process."""

    knowledge_addr: str
    embedding_addr: str
    retrieval_addr: str
    trust: Trust
    host: str = "127.0.0.1"
    port: int = 4000
    app_env: str = "dev"
    log_level: str = "info"
    prometheus_enabled: bool = True
    cors_origins: tuple[str, ...] = ()
    request_timeout: float = 30.0  # seconds in which a request is answered; bulk streams take as long as they take

    @property
    def exposed(self) -> bool:
        """Whether other machines may reach it."""
        return not is_loopback(self.host)

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """The settings in `environ`.

        Raises:
            SettingsError: Something is missing or malformed, or prod would serve strangers without authentication.
        """
        read = Env(environ)
        settings = cls(
            knowledge_addr=read.text("KNOWLEDGE_ADDR", "127.0.0.1:50051"),
            embedding_addr=read.text("EMBEDDING_ADDR", "127.0.0.1:50052"),
            retrieval_addr=read.text("RETRIEVAL_ADDR", "127.0.0.1:50053"),
            trust=Trust.read(read, "gateway"),
            host=read.text("HOST", "127.0.0.1"),
            port=read.integer("PORT", 4000, most=65535),
            app_env=read.choice("APP_ENV", "dev", "dev", "prod"),
            log_level=read.choice("LOG_LEVEL", "info", *LEVELS),
            prometheus_enabled=read.flag("PROMETHEUS_ENABLED", True),
            cors_origins=tuple(read.text("CORS_ORIGINS", "").replace(",", " ").split()),
            request_timeout=read.number("REQUEST_TIMEOUT", 30.0, least=0.1, most=600),
        )
        read.complain()
        if settings.app_env == "prod" and settings.exposed:
            raise SettingsError(f"HOST={settings.host} would serve other machines without authentication")
        return settings
