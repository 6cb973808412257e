"""Starts knowledge: `python -m context_knowledge` serves; `migrate` brings the schema up to date and exits, `first-key`
prints a key for everything where there is none, and exits.
"""

from context_common.signals import exit_on_sigterm

if __name__ == "__main__":
    exit_on_sigterm()  # before the imports, which take a while

import os
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import structlog
import uvloop

from context.v1 import admin_pb2, knowledge_pb2
from context.v1.admin_pb2_grpc import add_AdminServiceServicer_to_server
from context.v1.knowledge_pb2_grpc import add_KnowledgeServiceServicer_to_server
from context_common import chores, postgres
from context_common.caller import SERVICE, Caller, new_request_id
from context_common.errors import AppError
from context_common.server import Server
from context_common.settings import SettingsError
from context_common.telemetry.start import telemetry
from context_knowledge.admin_servicer import AdminServicer
from context_knowledge.audit import Audit
from context_knowledge.backups import Backups
from context_knowledge.chains import Chains
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
from context_knowledge.totals import Totals

MIGRATIONS = Path(__file__).parent / "migrations"
MEASURE_EVERY = 10.0  # seconds between looks at how long the feed is, and how many items there are
MEND_EVERY = 5.0  # seconds between looks for decisions whose chain an erasure has cut
PURGE_EVERY = 600.0  # seconds between looks for requests that nobody may send again any more
KNOWLEDGE = knowledge_pb2.DESCRIPTOR.services_by_name["KnowledgeService"]
ADMIN = admin_pb2.DESCRIPTOR.services_by_name["AdminService"]

log = structlog.get_logger()


async def migrate(settings: Settings) -> None:
    """Bring the schema up to date, as its owner, and make the login that the service is to have."""
    await postgres.set_up(settings.database_url, settings.owner_url, SESSION, MIGRATIONS)


async def serve(settings: Settings) -> None:
    """Serve until told to stop."""
    vocabulary = Vocabulary.load(settings.tag_vocabulary)
    url = settings.database_url
    await postgres.check_session(url, SESSION, strict=settings.process.prod)
    async with (
        postgres.open_pool(url, SESSION, name="knowledge", size=settings.pool_size) as pool,
        postgres.open_reads(pool, url, SESSION, channel=CHANNEL, replicas=settings.replicas) as reads,
        postgres.Notifications(url, CHANNEL) as notifications,
    ):
        store = Store(pool, reads)
        feed = Feed(store, notifications, settings.feed_attempts)
        items = Items(store, vocabulary, lambda: datetime.now(UTC))
        servicer = KnowledgeServicer(store, items, Graph(store), feed)
        server = Server.of(settings.process, ready=store.ping, on_drain=feed.close)
        server.add(add_KnowledgeServiceServicer_to_server, servicer, KNOWLEDGE)
        keys = Keys(store)
        admin = AdminServicer(keys, Audit(store), SetAside(store), Reviews(store))
        server.add(add_AdminServiceServicer_to_server, admin, ADMIN)
        once, totals, backups, chains = Once(store), Totals(store), Backups(store), Chains(store)
        own = [
            chores.every(MEASURE_EVERY, "feed", lambda: feed.status(itself())),
            chores.every(MEASURE_EVERY, "totals", lambda: totals.measure(itself())),
            chores.every(MEASURE_EVERY, "backups", lambda: backups.measure(itself())),
            chores.every(MEND_EVERY, "chains", lambda: chains.mend(itself())),
            chores.every(PURGE_EVERY, "requests", lambda: once.purge(itself())),
            postgres.watch_limits(pool),
        ]
        tasks = [chores.start(work) for work in own]
        await server.run_until_signal()
        await chores.end(tasks)
        await keys.settled()


async def first_key(settings: Settings) -> None:
    """Print a key for everything, where none stands."""
    async with postgres.open_pool(settings.database_url, SESSION, name="first-key", size=2) as pool:
        made = await Keys(Store(pool)).make_first(itself())
    if made:
        sys.stdout.write(f"admin key: {made.text}\n")


def itself() -> Caller:
    """This service, at work for nobody."""
    return Caller("default", "service:knowledge", new_request_id(), scopes=frozenset({SERVICE}))


async def run(command: Callable[[Settings], Awaitable[None]], settings: Settings) -> None:
    """Do `command`."""
    # What a script reads from first-key stands alone on standard output.
    output = sys.stderr if command is first_key else sys.stdout
    async with telemetry(settings.process, serving=command is serve, output=output):
        await command(settings)


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
    try:
        uvloop.run(run(command, settings))
    except (SettingsError, AppError) as error:
        sys.exit(f"knowledge: {error}")


if __name__ == "__main__":
    main()
