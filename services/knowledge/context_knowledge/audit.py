"""The audit trail: what administrators read of it, and what the gateway adds to it of calls that it refused."""

from collections.abc import Sequence
from dataclasses import asdict, replace

from context_common import pages
from context_common.caller import EVERY, NAMESPACE, Caller
from context_common.errors import Invalid
from context_common.pages import Page
from context_knowledge.store import Store
from context_knowledge.store.audit import Denial, Entry, Wanted

DENIALS = 500  # in one report
TEXT = 500  # characters of what a denial says
NOBODY = ""  # the namespace of what concerns no one namespace


class Audit:
    """The trail of every namespace."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def list(self, who: Caller, wanted: Wanted, page_size: int, cursor: str) -> Page[Entry]:
        """A page of the lines of the caller's namespace, newest first; who may write every one also sees the rest.

        Raises:
            Invalid: The cursor belongs to another list, a filter cannot be, or the size is negative.
        """
        size = pages.size(page_size)
        _check(wanted)
        namespaces = (who.namespace, NOBODY) if who.may_write(EVERY) else (who.namespace,)
        mark = pages.mark("audit", namespaces, asdict(wanted))
        before = pages.decode(cursor, mark, int)[0] if cursor else 0
        found = await self._store.run(
            who, lambda s: s.audit.page(namespaces, wanted, before, size + 1), namespaces=namespaces
        )
        return pages.cut(found, size, mark, lambda entry: (entry.entry,))

    async def record_denials(self, who: Caller, denials: Sequence[Denial]) -> None:
        """Write down what was refused; what is too long or cannot be stored is cut to what can.

        Raises:
            Invalid: There are more than 500.
        """
        if len(denials) > DENIALS:
            raise Invalid({"denials": [f"has more than {DENIALS} entries"]})
        if not denials:
            return
        kept = [_storable(denial) for denial in denials]
        namespaces = tuple({denial.namespace for denial in kept})
        await self._store.run(who, lambda session: session.audit.write_denials(kept), namespaces=namespaces)


def _storable(denial: Denial) -> Denial:
    """A line must not be lost for what a stranger put into it."""
    return replace(
        denial,
        namespace=denial.namespace if NAMESPACE.fullmatch(denial.namespace) else NOBODY,
        principal=_text(denial.principal),
        request_id=_text(denial.request_id),
        address=_text(denial.address),
        detail=_text(denial.detail),
    )


def _text(value: str) -> str:
    """`value` without what a log or a database cannot hold."""
    return "".join(c if c.isprintable() else " " for c in value[:TEXT])


def _check(wanted: Wanted) -> None:
    wrong = {
        name: ["contains a NUL character"]
        for name in ("principal", "action", "item_id", "request_id")
        if "\0" in getattr(wanted, name)
    }
    if wanted.since and wanted.until and wanted.until <= wanted.since:
        wrong["until"] = ["must be after `from`; both may be days"]
    if wrong:
        raise Invalid(wrong)
