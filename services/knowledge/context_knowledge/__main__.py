"""Starts knowledge: `python -m context_knowledge` serves, `python -m context_knowledge migrate` migrates and exits."""

import asyncio
import contextlib
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import structlog
import uvloop

from context.v1 import knowledge_pb2 as pb
from context.v1.knowledge_pb2_grpc import add_KnowledgeServiceServicer_to_server
from context_common import logs, metrics, postgres
from context_common.caller import SERVICE, Caller, new_request_id
from context_common.errors import AppError
from context_common.server import Server
from context_common.settings import SettingsError
from context_knowledge.feed import Feed
from context_knowledge.graph import Graph
from context_knowledge.items import Items
from context_knowledge.servicer import KnowledgeServicer
from context_knowledge.settings import Settings
from context_knowledge.store import SESSION, Store
from context_knowledge.store.feed import CHANNEL
from context_knowledge.tags import Vocabulary

MIGRATIONS = Path(__file__).parent / "migrations"
MEASURE_EVERY = 10.0  # seconds between looks at how long the feed is

log = structlog.get_logger()


async def migrate(settings: Settings) -> None:
    """Bring the schema up to date, as its owner, and make the login that the service is to have."""
    owner = settings.owner_url or settings.database_url
    await postgres.migrate(owner, schema=SESSION.schema, directory=MIGRATIONS)
    await postgres.make_login(owner, settings.database_url, SESSION.role)


async def serve(settings: Settings) -> None:
    """Serve until told to stop."""
    vocabulary = Vocabulary.load(settings.tag_vocabulary)
    metrics.serve(settings.metrics_listen)
    url = settings.database_url
    await postgres.check_session(url, SESSION, strict=settings.prod)
    async with (
        postgres.open_pool(url, SESSION, name="knowledge", size=settings.pool_size) as pool,
        postgres.Notifications(url, CHANNEL) as notifications,
    ):
        store = Store(pool)
        feed = Feed(store, notifications)
        items = Items(store, vocabulary, lambda: datetime.now(UTC))
        servicer = KnowledgeServicer(store, items, Graph(store), feed)
        server = Server(settings.listen, trust=settings.trust, ready=store.ping, on_drain=feed.close)
        server.add(add_KnowledgeServiceServicer_to_server, servicer, pb.DESCRIPTOR.services_by_name["KnowledgeService"])
        measuring = asyncio.create_task(measure(feed))
        await server.run_until_signal()
        measuring.cancel()


async def measure(feed: Feed) -> None:
    """Keep the gauges of the feed current."""
    who = Caller("default", "service:knowledge", new_request_id(), scopes=frozenset({SERVICE}))
    while True:
        with contextlib.suppress(AppError):
            await feed.status(who)
        await asyncio.sleep(MEASURE_EVERY)


def main() -> None:
    """Do what the command line says."""
    arguments = sys.argv[1:]
    if arguments not in ([], ["migrate"]):
        sys.exit("usage: python -m context_knowledge [migrate]")
    try:
        settings = Settings.from_env(os.environ)
    except SettingsError as error:
        sys.exit(f"knowledge: {error}")
    logs.configure("knowledge", settings.log_level)
    try:
        uvloop.run(migrate(settings) if arguments else serve(settings))
    except SettingsError as error:
        sys.exit(f"knowledge: {error}")


if __name__ == "__main__":
    main()
