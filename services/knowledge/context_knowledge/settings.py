"""What the environment says."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from context_common.logs import LEVELS
from context_common.postgres import ReplicaSettings, completion
from context_common.settings import Env
from context_common.trust import Trust


@dataclass(frozen=True)
class Settings:
    """One process's settings."""

    listen: str
    metrics_listen: str
    database_url: str
    pool_size: int
    log_level: str
    tag_vocabulary: str
    trust: Trust
    replicas: ReplicaSettings = field(default_factory=ReplicaSettings)
    owner_url: str = ""  # whom migrations run as; empty: as who serves
    prod: bool = False
    drain: float = 0.0  # seconds between "not serving" and closing
    feed_attempts: int = 5  # of one change, after which it is set aside

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """The settings in `environ`.

        Raises:
            SettingsError: Names everything that is missing or wrong.
        """
        read = Env(environ)
        complete = completion(read)
        listen = read.listen("LISTEN", "127.0.0.1:50051")
        settings = cls(
            listen=listen,
            metrics_listen=read.listen("METRICS_LISTEN", ""),
            database_url=complete(read.secret("DATABASE_URL")),
            pool_size=read.integer("POOL_SIZE", 50, least=2, most=1000),
            log_level=read.choice("LOG_LEVEL", "info", *LEVELS),
            tag_vocabulary=read.text("TAG_VOCABULARY", ""),
            trust=Trust.read(read, "knowledge", listen),
            owner_url=complete(read.secret("MIGRATION_DATABASE_URL", "")),
            replicas=ReplicaSettings.read(read, complete),
            feed_attempts=read.integer("FEED_ATTEMPTS", 5, least=1, most=1000),
            prod=read.choice("APP_ENV", "dev", "dev", "prod") == "prod",
            drain=read.number("DRAIN", 0.0, most=300),
        )
        read.complain()
        return settings
