"""What callers say of the answers they got: kept, counted for the rank of the items they name, and summed up.

A caller is known by its credential, not by the name that it gives itself, and counts once a day for an item, in each
sense: who says the same all day long moves no rank further.
"""

import uuid
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from context.v1 import knowledge_pb2 as pb
from context_common import pages
from context_common.caller import Caller
from context_common.errors import Invalid, NotFound
from context_common.pages import Page
from context_knowledge import metrics, wire
from context_knowledge.checks import NAME, Problems
from context_knowledge.model import Feedback, RatedItem, Redaction, walk
from context_knowledge.once import Request, claim
from context_knowledge.references import canonical
from context_knowledge.store import Session, Store

ITEMS = 100  # in each list
TEXT = 10_000  # characters of the question, and of what was missing
RATINGS = range(1, 6)
DAYS = 30
MOST_DAYS = 3650
MOST_RATED = MOST_MISSING = 10
LOOKED_AT = 500  # of what was missing, the newest
ALIKE = 0.5  # of the words that two texts have together, both have: they say about the same
SHOWN = 500  # characters of what was missing


@dataclass(frozen=True, slots=True)
class Stats:
    """What was said in `days` days; `rating` is the mean of those given, 0 where there are none."""

    total: int
    rating: float
    rated: Sequence[RatedItem]
    missing: Sequence[tuple[str, int]]
    days: int


class Feedbacks:
    """Feedback of the caller's namespace."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def record(
        self, who: Caller, said: Feedback, redactions: Sequence[Redaction], request: Request | None
    ) -> pb.RecordFeedbackResponse:
        """Keep what the caller says, in the place of what it said of the same query before.

        Raises:
            Invalid: It says nothing, names an item that does not exist, or has a value that it cannot have.
            Conflict: The key of `request` was another request's.
        """
        check(said)
        new = False

        async def work(session: Session) -> pb.RecordFeedbackResponse:
            nonlocal new
            new = False
            if request and (first := await claim(session, request)):
                return pb.RecordFeedbackResponse.FromString(first)
            answer = await _record(session, said, redactions)
            new = True
            if request:
                await session.once.keep(request.key, answer.SerializeToString())
            return answer

        answered = await self._store.write(who, work)
        if new:
            metrics.FEEDBACK.labels(str(said.overall_rating or "none")).inc()
        return answered

    async def get(self, who: Caller, feedback_id: str) -> Feedback:
        """What was said under that id.

        Raises:
            NotFound: Nothing.
        """
        key = wire.uuid_of(feedback_id)
        found = await self._store.read(who, lambda session: session.feedback.get(key)) if key else None
        if found is None:
            raise NotFound
        return found

    async def list(self, who: Caller, query_id: str, item_id: str, page_size: int, cursor: str) -> Page[Feedback]:
        """A page of what was said, newest first; about one query or one item where they are named.

        Raises:
            Invalid: A filter has a value that it cannot have, or the cursor belongs to another list.
        """
        size, mark = pages.size(page_size), pages.mark("feedback", who.namespace, query_id, item_id)
        query, item = wire.uuid_of(query_id), canonical(item_id)
        wrong = {"query_id": ["is no id of a query"]} if query_id and query is None else {}
        if item_id and item is None:
            wrong["item_id"] = ["is no id such as ADR-001"]
        if wrong:
            raise Invalid(wrong)
        before = _position(cursor, mark) if cursor else None
        found = await self._store.read(who, lambda session: session.feedback.page(query, item or "", before, size + 1))
        return pages.cut(found, size, mark, lambda one: (_time(one), str(one.id)))

    async def stats(self, who: Caller, days: int) -> Stats:
        """What was said in so many days, 30 where 0 is asked for.

        Raises:
            Invalid: They are not from 1 to 3650.
        """
        days = days or DAYS
        if not 1 <= days <= MOST_DAYS:
            raise Invalid({"days_back": [f"must be from 1 to {MOST_DAYS}"]})

        async def work(session: Session) -> Stats:
            total, rating = await session.feedback.totals(days)
            rated = await session.feedback.rated(days, MOST_RATED)
            missing = grouped(await session.feedback.missing(days, LOOKED_AT))
            return Stats(total, rating, rated, missing[:MOST_MISSING], days)

        return await self._store.read(who, work)


async def _record(session: Session, said: Feedback, redactions: Sequence[Redaction]) -> pb.RecordFeedbackResponse:
    await _check_items(session, said)
    earlier = await session.feedback.earlier(said.query_id) if said.query_id else None
    kept, moved = await session.feedback.keep(replace(said, id=earlier or uuid.uuid4()))
    if moved:
        session.feed.in_bulk()  # who writes an item waits until it is found; nobody waits for this
        await session.feed.mark(moved)
    await session.audit.write("feedback", detail=str(kept.id))
    return wire.write_recorded_feedback(kept, redactions, replaced=earlier is not None)


async def _check_items(session: Session, said: Feedback) -> None:
    named = {f"{name}[{place}]": item_id for name, ids in said.lists.items() for place, item_id in enumerate(ids)}
    there = await session.items.existing(sorted(set(named.values())), still=True)
    if absent := {name: [f"there is no {item_id}"] for name, item_id in named.items() if item_id not in there}:
        raise Invalid(absent)


def check(said: Feedback) -> None:
    """Raise Invalid with everything that is wrong with it, whatever items there are."""
    problems = Problems()
    if said.overall_rating and said.overall_rating not in RATINGS:
        problems.add("overall_rating", "must be from 1 to 5")
    for name, ids in said.lists.items():
        if len(ids) > ITEMS:
            problems.add(name, f"has more than {ITEMS} entries")
    for item_id in said.items_not_helpful:
        if item_id in said.items_helpful:
            problems.add("items_not_helpful", f"names {item_id}, which items_helpful names as well")
    problems.text("query_text", said.query_text, TEXT)
    problems.text("missing_context", said.missing_context, TEXT)
    problems.text("agent_id", said.agent_id, NAME)
    problems.text("session_id", said.session_id, NAME)
    for _, text in walk("metadata", said.metadata):
        if isinstance(text, str):
            problems.text("metadata", text)
    if not (said.overall_rating or any(said.lists.values()) or said.missing_context.strip()):
        problems.add("overall_rating", "is required, unless items or missing_context are given")
    problems.complain()


def grouped(missing: Iterable[tuple[str, frozenset[str]]]) -> list[tuple[str, int]]:
    """Texts that say about the same as one, the first of each, with how many they are; the most first."""
    texts, words = list[str](), list[frozenset[str]]()
    counts, having = Counter[int](), dict[str, list[int]]()
    for text, its in missing:
        shared = Counter(group for word in its for group in having.get(word, ()))
        near = (group for group, n in shared.items() if n >= ALIKE * (len(its) + len(words[group]) - n))
        group = next(near, len(texts))
        if group == len(texts):
            texts.append(text)
            words.append(its)
            for word in its:
                having.setdefault(word, []).append(group)
        counts[group] += 1
    return [(texts[group][:SHOWN], n) for group, n in sorted(counts.items(), key=lambda each: (-each[1], each[0]))]


def _time(said: Feedback) -> str:
    return said.created_at.isoformat() if said.created_at else ""


def _position(cursor: str, mark: str) -> tuple[datetime, uuid.UUID]:
    """The position in `cursor`.

    Raises:
        Invalid: It is none of this list's.
    """
    moment, feedback_id = pages.decode_moment(cursor, mark)
    key = wire.uuid_of(feedback_id)
    if key is None:
        raise pages.unknown()
    return moment, key
