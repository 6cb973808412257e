"""What the environment says."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from context_common.logs import LEVELS
from context_common.settings import Env
from context_common.trust import Trust
from context_embedding import files


@dataclass(frozen=True)
class External:
    """An embedding service elsewhere that is to be asked instead of a model here."""

    url: str
    key: str
    model: str
    dimension: int
    max_tokens: int


@dataclass(frozen=True)
class Settings:
    """One process's settings."""

    listen: str
    metrics_listen: str
    log_level: str
    model_dir: Path
    quantization: str
    threads: int
    batch_tokens: int
    interactive_queue: int
    bulk_queue: int
    cache_size: int
    cache_seconds: int
    redis_url: str
    external: External | None
    trust: Trust
    drain: float = 0.0  # seconds between "not serving" and closing

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """The settings in `environ`.

        Raises:
            SettingsError: Names everything that is missing or wrong.
        """
        read = Env(environ)
        listen = read.listen("LISTEN", "127.0.0.1:50052")
        settings = cls(
            listen=listen,
            metrics_listen=read.listen("METRICS_LISTEN", ""),
            log_level=read.choice("LOG_LEVEL", "info", *LEVELS),
            model_dir=files.default_directory(environ),
            quantization=read.choice("QUANTIZATION", "int8", *files.ONNX),
            threads=read.integer("EMBEDDING_THREADS", 0, most=1024),
            batch_tokens=read.integer("EMBEDDING_BATCH_TOKENS", 512, least=1, most=65_536),
            interactive_queue=read.integer("EMBEDDING_QUEUE_TOKENS", 16_384, least=1),
            bulk_queue=read.integer("EMBEDDING_BULK_QUEUE_TOKENS", 131_072, least=1),
            cache_size=read.integer("EMBEDDING_CACHE_SIZE", 4096),
            cache_seconds=read.integer("EMBEDDING_CACHE_SECONDS", 86_400, least=1),
            redis_url=read.secret("REDIS_URL", ""),
            external=_external(read),
            trust=Trust.read(read, "embedding", listen),
            drain=read.number("DRAIN", 0.0, most=300),
        )
        read.complain()
        return settings


def _external(read: Env) -> External | None:
    url = read.text("EMBEDDING_SERVICE_URL", "")
    external = External(
        url=url,
        key=read.secret("EMBEDDING_API_KEY", ""),
        model=read.text("EMBEDDING_MODEL", "text-embedding-3-small"),
        dimension=read.integer("EMBEDDING_DIMENSION", 384),
        max_tokens=read.integer("EMBEDDING_MAX_TOKENS", 512, least=16),
    )
    return external if url else None
