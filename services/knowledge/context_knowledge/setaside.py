"""Changes that read models could not take: what administrators see of them, and how they come back."""

from collections.abc import Sequence

from context_common import pages
from context_common.caller import Caller
from context_common.errors import Invalid
from context_common.pages import Page
from context_knowledge import references
from context_knowledge.store import Session, Store
from context_knowledge.store.aside import SetAside as Change

RETRIED = 500  # items named in one call
NAMED = 10  # of them in the audit trail


class SetAside:
    """The changes of a namespace that were set aside."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def list(self, who: Caller, page_size: int, cursor: str) -> Page[Change]:
        """A page of them, by item.

        Raises:
            Invalid: The cursor belongs to another list, or the size is negative.
        """
        size, mark = pages.size(page_size), pages.mark("set-aside", who.namespace)
        after = pages.decode(cursor, mark, str)[0] if cursor else ""
        found = await self._store.run(who, lambda session: session.aside.page(after, size + 1))
        return pages.cut(found, size, mark, lambda change: (change.item_id,))

    async def retry(self, who: Caller, names: Sequence[str]) -> int:
        """Put the changes of the items named, or of all, on the feed again; answers how many there were.

        Raises:
            Invalid: There are more than 500, or one is no id.
        """
        if len(names) > RETRIED:
            raise Invalid({"item_ids": [f"has more than {RETRIED} entries"]})
        ids = [references.canonical(name) for name in names]
        wrong = {f"item_ids[{n}]": ["is no id such as ADR-001"] for n, item_id in enumerate(ids) if item_id is None}
        if wrong:
            raise Invalid(wrong)
        wanted = sorted({item_id for item_id in ids if item_id})

        async def work(session: Session) -> int:
            retried = await session.aside.retry(wanted or None)
            if retried:
                said = " ".join(wanted[:NAMED]) + (" …" if len(wanted) > NAMED else "")
                await session.audit.write("retry_set_aside", detail=f"{retried} changes {said}".strip())
            return retried

        return await self._store.run(who, work)
