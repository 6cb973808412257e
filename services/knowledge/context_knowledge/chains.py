"""Brings decisions up to date whose chain an erasure has cut.

Whoever erases takes an item out of the database without this service; what follows from its edges is known here alone.
"""

from collections.abc import Collection
from functools import partial

import structlog

from context_common.caller import Caller
from context_knowledge import supersession
from context_knowledge.store import Session, Store

MOST = 100  # namespaces in one turn

log = structlog.get_logger()


class Chains:
    """Mends chains in every namespace. Every replica does; who comes second finds nothing to do."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def mend(self, who: Caller) -> None:
        """Bring what is left up to date, in the name of those who erased."""
        for cut in await self._store.run(who, lambda session: session.chains.left(MOST), everywhere=True):
            erasing = Caller(cut.namespace, cut.principal, who.request_id)
            changed = await self._store.write(erasing, partial(_mend, ids=cut.ids))
            log.info("chain_mended", namespace=cut.namespace, looked_at=len(cut.ids), changed=changed)


async def _mend(session: Session, ids: Collection[str]) -> int:
    await session.items.lock_supersession()
    changed = await supersession.settle(session, ids)
    await session.chains.mended(ids)
    if changed:
        await session.feed.mark(changed)
    return len(changed)
