"""Wires the embedding service: `python -m context_embedding`."""

import asyncio
import os
import sys

import uvloop

from context.v1 import embedding_pb2, embedding_pb2_grpc
from context_common import logs, metrics
from context_common.server import Server
from context_common.settings import SettingsError
from context_embedding.batcher import Batcher
from context_embedding.cache import Cache
from context_embedding.encoder import Encoder
from context_embedding.files import ModelMissing
from context_embedding.servicer import EmbeddingServicer
from context_embedding.settings import Settings


async def serve(settings: Settings, encoder: Encoder) -> None:
    """Answer until a signal."""
    batcher = Batcher(encoder.run, most_tokens=settings.batch_tokens, most_waiting=settings.queue)
    cache = Cache(encoder.manifest.model_id(settings.quantization), settings.cache_size, settings.redis_url)
    metrics.serve(settings.metrics_listen)

    async def ready() -> None:
        """The model is loaded before the server exists, and there is nothing else to wait for."""

    server = Server(settings.listen, ready=ready)
    servicer = EmbeddingServicer(encoder, settings.quantization, batcher, cache)
    service = embedding_pb2.DESCRIPTOR.services_by_name["EmbeddingService"]
    server.add(embedding_pb2_grpc.add_EmbeddingServiceServicer_to_server, servicer, service)
    working = asyncio.create_task(batcher.work())
    try:
        await server.run_until_signal()
    finally:
        working.cancel()
        await cache.close()


def main() -> int:
    """Read settings, load the model, serve; answers the exit code."""
    try:
        settings = Settings.from_env(os.environ)
        logs.configure("embedding", settings.log_level)
        encoder = Encoder.load(settings.model_dir, settings.quantization, settings.threads)
        encoder.embed_now(["warm"])
    except (SettingsError, ModelMissing) as error:
        print(f"embedding: {error}", file=sys.stderr)  # noqa: T201
        return 1
    uvloop.run(serve(settings, encoder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
