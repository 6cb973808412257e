"""While a long item is looked through, the process goes on."""

import asyncio
import threading
from datetime import UTC, datetime
from typing import cast

from context_knowledge.apart import LONG
from context_knowledge.items import Items
from context_knowledge.model import Adr, Item, ItemType
from context_knowledge.store import Store
from context_knowledge.tags import Vocabulary


async def test_others_are_answered_while_a_long_item_is_looked_through() -> None:
    goes_on = threading.Event()

    def now() -> datetime:
        assert goes_on.wait(10), "nothing else ran meanwhile"
        return datetime.now(UTC)

    item = Item(id="", type=ItemType.ADR, title="Long", body=Adr(decision="Use Postgres. " * (LONG // 10)))
    items = Items(cast("Store", None), Vocabulary.load(), now)  # nothing is stored before its work is done
    creating = asyncio.create_task(items.create(item))
    await asyncio.sleep(0)
    goes_on.set()
    await creating
