"""What the environment says."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from context_common.process import Process
from context_common.settings import Env, split_url
from context_embedding import files

BATCH_TOKENS = 384  # in one run of the model, padding included: larger ones leave a core's caches, and are slower


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

    process: Process
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

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """The settings in `environ`.

        Raises:
            SettingsError: Names everything that is missing or wrong.
        """
        read = Env(environ)
        settings = cls(
            process=Process.read(read, "embedding", "127.0.0.1:50052"),
            model_dir=files.default_directory(environ),
            quantization=read.choice("QUANTIZATION", "int8", *files.ONNX),
            threads=read.integer("EMBEDDING_THREADS", 0, most=1024),
            batch_tokens=read.integer("EMBEDDING_BATCH_TOKENS", BATCH_TOKENS, least=1, most=65_536),
            interactive_queue=read.integer("EMBEDDING_QUEUE_TOKENS", 16_384, least=1),
            bulk_queue=read.integer("EMBEDDING_BULK_QUEUE_TOKENS", 131_072, least=1),
            cache_size=read.integer("EMBEDDING_CACHE_SIZE", 4096),
            cache_seconds=read.integer("EMBEDDING_CACHE_SECONDS", 86_400, least=1),
            redis_url=read.redis("REDIS_URL"),
            external=_external(read),
        )
        read.complain()
        return settings


def _external(read: Env) -> External | None:
    url = read.text("EMBEDDING_SERVICE_URL", "")
    parts = split_url(url)
    if url and not (parts and parts.scheme in ("http", "https") and parts.hostname):
        # Without its value, which may hold a password.
        read.reject("EMBEDDING_SERVICE_URL must be http://… or https://… with a host and a port that are ones")
    external = External(
        url=url,
        key=read.secret("EMBEDDING_API_KEY", ""),
        model=read.text("EMBEDDING_MODEL", "text-embedding-3-small"),
        dimension=read.integer("EMBEDDING_DIMENSION", 384),
        max_tokens=read.integer("EMBEDDING_MAX_TOKENS", 512, least=16),
    )
    return external if url else None
