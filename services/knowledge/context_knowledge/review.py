"""Verdicts on text that nobody vouched for: what waits for one, and what follows from it."""

from dataclasses import replace

from context_common import pages
from context_common.caller import Caller
from context_common.errors import Invalid, NotFound, Stale
from context_common.pages import Page
from context_knowledge import metrics, references, supersession
from context_knowledge.model import Adr, Change, Item, ItemType, Review
from context_knowledge.redaction import clean_text
from context_knowledge.store import Session, Store

NOTE = 2_000  # characters
VERDICTS = (Review.APPROVED, Review.REJECTED)


class Reviews:
    """The items of a namespace that wait, and the verdicts on them."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def list(self, who: Caller, page_size: int, cursor: str) -> Page[Item]:
        """A page of the items held, the longest unchanged first.

        Raises:
            Invalid: The cursor belongs to another list, or the size is negative.
        """
        size, mark = pages.size(page_size), pages.mark("review", who.namespace)
        after = pages.decode(cursor, mark, str, str) if cursor else ("-infinity", "")
        found = await self._store.run(who, lambda session: session.lists.held(after, size + 1))
        return pages.cut(found, size, mark, lambda item: (str(item.updated_at), item.id))

    async def decide(
        self, who: Caller, item_id: str, verdict: Review, expected_version: int, note: str
    ) -> tuple[Item, int]:
        """Approve or reject an item; answers it with its change id, 0 where the verdict stood already.

        Raises:
            NotFound: There is no such item.
            Stale: Its version is not the expected one.
            Invalid: The verdict is neither, or the note is too long.
        """
        if verdict not in VERDICTS:
            raise Invalid({"verdict": ["must be approve or reject"]})
        if len(note) > NOTE or "\0" in note:
            raise Invalid({"note": [f"is longer than {NOTE:,} characters or contains a NUL character"]})
        detail = f"{verdict}: {clean_text(note)}" if note else str(verdict)

        async def decide(session: Session) -> tuple[Item, int]:
            return await _decide(session, item_id, verdict, expected_version, detail)

        item, change_id = await self._store.write(who, decide)
        await self._store.settle()
        metrics.REVIEWS.labels(verdict).inc(change_id > 0)
        return item, change_id


async def _decide(
    session: Session, item_id: str, verdict: Review, expected_version: int, detail: str
) -> tuple[Item, int]:
    if references.type_of(item_id) is ItemType.ADR:
        await session.items.lock_supersession()
    old = (await session.items.lock([item_id])).get(item_id)
    if old is None:
        raise NotFound(f"there is no {item_id}")
    if expected_version and old.version != expected_version:
        raise Stale(f"{item_id} is at version {old.version}, not {expected_version}")
    change_id = 0
    if old.review is not verdict:
        new = replace(old, review=verdict, suspicions=() if verdict is Review.APPROVED else old.suspicions)
        await session.items.update(new, Change.REVIEWED, ["review"], detail=detail)
        targets = new.body.supersedes if isinstance(new.body, Adr) else ()
        ids = {item_id, *await supersession.settle(session, targets)}
        change_id = (await session.feed.mark(ids))[item_id]
    return await session.items.get(item_id) or old, change_id
