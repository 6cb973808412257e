"""Starts embedding: `python -m context_embedding`."""

from context_common.signals import exit_on_sigterm

if __name__ == "__main__":
    exit_on_sigterm()  # before the imports, which take a while

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import structlog
import uvloop

from context.v1 import embedding_pb2 as pb
from context.v1.embedding_pb2_grpc import add_EmbeddingServiceServicer_to_server
from context_common.server import Server
from context_common.settings import SettingsError
from context_common.telemetry.start import telemetry
from context_embedding.cache import Cache
from context_embedding.files import ModelMissing
from context_embedding.model import Embedder
from context_embedding.servicer import EmbeddingServicer
from context_embedding.settings import External, Settings

log = structlog.get_logger()


async def serve(settings: Settings) -> None:
    """Serve until told to stop."""
    async with (
        telemetry(settings.process),
        open_embedder(settings) as embedder,
        contextlib.aclosing(Cache(settings.cache_size, settings.redis_url, settings.cache_seconds)) as cache,
    ):
        server = Server.of(settings.process, ready=embedder.describe)
        servicer = EmbeddingServicer(embedder, cache)
        server.add(add_EmbeddingServiceServicer_to_server, servicer, pb.DESCRIPTOR.services_by_name["EmbeddingService"])
        await server.run_until_signal()


def open_embedder(settings: Settings) -> contextlib.AbstractAsyncContextManager[Embedder]:
    """The embedder that the settings name."""
    return open_external(settings.external) if settings.external else open_local(settings)


@asynccontextmanager
async def open_local(settings: Settings) -> AsyncIterator[Embedder]:
    """The model on this machine, loaded and warm."""
    # Imported here: who asks an external service needs neither model nor runtime.
    from context_embedding.batcher import Batcher
    from context_embedding.encoder import Encoder
    from context_embedding.local import LocalEmbedder

    encoder = Encoder.load(settings.model_dir, settings.quantization)
    encoder.embed_now(["warm"])
    log.info("model_loaded", model=encoder.model_id)
    batcher = Batcher(
        encoder.run,
        workers=settings.threads or len(os.sched_getaffinity(0)),
        most_tokens=settings.batch_tokens,
        interactive_queue=settings.interactive_queue,
        bulk_queue=settings.bulk_queue,
    )
    working = asyncio.create_task(batcher.work())
    reading = ThreadPoolExecutor(1, "documents")
    try:
        yield LocalEmbedder(encoder, batcher, reading)
    finally:
        working.cancel()
        reading.shutdown(wait=False, cancel_futures=True)


@asynccontextmanager
async def open_external(settings: External) -> AsyncIterator[Embedder]:
    """A model elsewhere."""
    from context_embedding.external import ExternalEmbedder

    embedder = ExternalEmbedder(
        settings.url, settings.key, settings.model, dimension=settings.dimension, max_tokens=settings.max_tokens
    )
    log.info("model_is_external", model=settings.model)
    async with contextlib.aclosing(embedder):
        yield embedder


def main() -> None:
    """Serve by what the environment says."""
    if sys.argv[1:]:
        sys.exit("usage: python -m context_embedding")
    try:
        settings = Settings.from_env(os.environ)
        uvloop.run(serve(settings))
    except (SettingsError, ModelMissing) as error:
        sys.exit(f"embedding: {error}")


if __name__ == "__main__":
    main()
