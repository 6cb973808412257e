"""Starts knowledge: `python -m context_knowledge` serves; `migrate` brings the schema up to date and exits, `first-key`
prints a key for everything where there is none, and exits.
"""

import asyncio
import contextlib
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import structlog
import uvloop

from context.v1 import admin_pb2, knowledge_pb2
from context.v1.admin_pb2_grpc import add_AdminServiceServicer_to_server
from context.v1.knowledge_pb2_grpc import add_KnowledgeServiceServicer_to_server
from context_common import logs, metrics, postgres
from context_common.caller import SERVICE, Caller, new_request_id
from context_common.errors import AppError
from context_common.server import Server
from context_common.settings import SettingsError
from context_knowledge.admin_servicer import AdminServicer
from context_knowledge.audit import Audit
from context_knowledge.feed import Feed
from context_knowledge.graph import Graph
from context_knowledge.items import Items
from context_knowledge.keys import Keys
from context_knowledge.once import Once
from context_knowledge.review import Reviews
from context_knowledge.servicer import KnowledgeServicer
from context_knowledge.setaside import SetAside
from context_knowledge.settings import Settings
from context_knowledge.store import SESSION, Store
from context_knowledge.store.feed import CHANNEL
from context_knowledge.tags import Vocabulary

MIGRATIONS = Path(__file__).parent / "migrations"
MEASURE_EVERY = 10.0  # seconds between looks at how long the feed is
PURGE_EVERY = 600.0  # seconds between looks for requests to forget
KNOWLEDGE = knowledge_pb2.DESCRIPTOR.services_by_name["KnowledgeService"]
ADMIN = admin_pb2.DESCRIPTOR.services_by_name["AdminService"]

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
        postgres.open_reads(pool, url, SESSION, channel=CHANNEL, replicas=settings.replicas) as reads,
        postgres.Notifications(url, CHANNEL) as notifications,
    ):
        store = Store(pool, reads)
        feed = Feed(store, notifications, settings.feed_attempts)
        items = Items(store, vocabulary, lambda: datetime.now(UTC))
        servicer = KnowledgeServicer(store, items, Graph(store), feed)
        server = Server(
            settings.listen, trust=settings.trust, ready=store.ping, drain=settings.drain, on_drain=feed.close
        )
        server.add(add_KnowledgeServiceServicer_to_server, servicer, KNOWLEDGE)
        keys = Keys(store)
        admin = AdminServicer(keys, Audit(store), SetAside(store), Reviews(store))
        server.add(add_AdminServiceServicer_to_server, admin, ADMIN)
        chores = [asyncio.create_task(measure(feed)), asyncio.create_task(purge(Once(store)))]
        chores.append(asyncio.create_task(postgres.watch_limits(pool)))
        await server.run_until_signal()
        for chore in chores:
            chore.cancel()
        await keys.settled()


async def first_key(settings: Settings) -> None:
    """Print a key for everything, where none stands."""
    async with postgres.open_pool(settings.database_url, SESSION, name="first-key", size=2) as pool:
        made = await Keys(Store(pool)).make_first(itself())
    if made:
        sys.stdout.write(f"admin key: {made.text}\n")


async def measure(feed: Feed) -> None:
    """Keep the gauges of the feed current."""
    while True:
        with contextlib.suppress(AppError):
            await feed.status(itself())
        await asyncio.sleep(MEASURE_EVERY)


async def purge(once: Once) -> None:
    """Forget the requests that nobody may send again any more."""
    while True:
        with contextlib.suppress(AppError):
            await once.purge(itself())
        await asyncio.sleep(PURGE_EVERY)


def itself() -> Caller:
    """This service, at work for nobody."""
    return Caller("default", "service:knowledge", new_request_id(), scopes=frozenset({SERVICE}))


COMMANDS = {"": serve, "migrate": migrate, "first-key": first_key}


def main() -> None:
    """Do what the command line says."""
    arguments = sys.argv[1:]
    command = COMMANDS.get(" ".join(arguments))
    if command is None:
        sys.exit("usage: python -m context_knowledge [migrate | first-key]")
    try:
        settings = Settings.from_env(os.environ)
    except SettingsError as error:
        sys.exit(f"knowledge: {error}")
    # What a script reads from first-key stands alone on standard output.
    with contextlib.redirect_stdout(sys.stderr) if command is first_key else contextlib.nullcontext():
        logs.configure("knowledge", settings.log_level)
    try:
        uvloop.run(command(settings))
    except (SettingsError, AppError) as error:
        sys.exit(f"knowledge: {error}")


if __name__ == "__main__":
    main()
