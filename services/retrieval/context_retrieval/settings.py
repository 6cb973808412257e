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
    knowledge_addr: str
    embedding_addr: str
    indexers: int
    replicas: ReplicaSettings = field(default_factory=ReplicaSettings)
    owner_url: str = ""  # whom migrations run as; empty: as who serves
    unvouched_share: float = 0.3  # of a bundle, to what nobody vouches for while others compete
    receipt_days: int = 30
    max_queries: int = 64  # answered at once; as many again may wait for a moment

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """The settings in `environ`.

        Raises:
            SettingsError: Names everything that is missing or wrong.
        """
        read = Env(environ)
        complete = completion(read)
        settings = cls(
            process=Process.read(read, "retrieval", "127.0.0.1:50053"),
            database_url=complete(read.secret("DATABASE_URL")),
            pool_size=read.integer("POOL_SIZE", 50, least=4, most=1000),
            knowledge_addr=read.text("KNOWLEDGE_ADDR", "127.0.0.1:50051"),
            embedding_addr=read.text("EMBEDDING_ADDR", "127.0.0.1:50052"),
            indexers=read.integer("INDEXERS", 3, least=0, most=32),
            unvouched_share=read.number("UNVOUCHED_SHARE", 0.3, most=1),
            receipt_days=read.integer("RECEIPT_DAYS", 30, least=1, most=3650),
            max_queries=read.integer("MAX_QUERIES", 64, least=1, most=10_000),
            owner_url=complete(read.secret("MIGRATION_DATABASE_URL", "")),
            replicas=ReplicaSettings.read(read, complete),
        )
        read.complain()
        return settings
