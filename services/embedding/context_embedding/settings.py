"""What the environment says."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from context_common.logs import LEVELS
from context_common.settings import Env
from context_embedding.files import default_directory


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
    queue: int
    cache_size: int
    redis_url: str

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """The settings in `environ`.

        Raises:
            SettingsError: Names everything that is missing or wrong.
        """
        read = Env(environ)
        settings = cls(
            listen=read.listen("LISTEN", "0.0.0.0:50052"),
            metrics_listen=read.text("METRICS_LISTEN", ""),
            log_level=read.choice("LOG_LEVEL", "info", *LEVELS),
            model_dir=Path(read.text("MODEL_DIR", str(default_directory(environ)))),
            quantization=read.choice("QUANTIZATION", "int8", "int8", "fp32"),
            threads=read.integer("EMBEDDING_THREADS", 0, most=256),
            batch_tokens=read.integer("EMBEDDING_BATCH_TOKENS", 1024, least=256, most=65536),
            queue=read.integer("EMBEDDING_QUEUE", 2048, least=64, most=1_000_000),
            cache_size=read.integer("EMBEDDING_CACHE_SIZE", 4096, most=1_000_000),
            redis_url=read.secret("REDIS_URL", ""),
        )
        read.complain()
        return settings
