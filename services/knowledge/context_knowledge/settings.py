"""What the environment says."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from context_common.postgres import ReplicaSettings, completion
from context_common.process import Process
from context_common.settings import Env


@dataclass(frozen=True)
class Settings:
    """One process's settings."""

    process: Process
    database_url: str
    pool_size: int
    tag_vocabulary: str
    replicas: ReplicaSettings = field(default_factory=ReplicaSettings)
    owner_url: str = ""  # whom migrations run as; empty: as who serves
    feed_attempts: int = 5  # of one change, after which it is set aside

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """The settings in `environ`.

        Raises:
            SettingsError: Names everything that is missing or wrong.
        """
        read = Env(environ)
        complete = completion(read)
        settings = cls(
            process=Process.read(read, "knowledge", "127.0.0.1:50051"),
            database_url=complete(read.secret("DATABASE_URL")),
            pool_size=read.integer("POOL_SIZE", 50, least=2, most=1000),
            tag_vocabulary=read.text("TAG_VOCABULARY", ""),
            owner_url=complete(read.secret("MIGRATION_DATABASE_URL", "")),
            replicas=ReplicaSettings.read(read, complete),
            feed_attempts=read.integer("FEED_ATTEMPTS", 5, least=1, most=1000),
        )
        read.complain()
        return settings
