"""Retrieval's plain data as messages."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from functools import cache

from google.protobuf.duration_pb2 import Duration

from context.v1 import retrieval_pb2 as pb
from context.v1 import types_pb2
from context_common import pages
from context_retrieval.bundle import Item
from context_retrieval.document import shown_sections
from context_retrieval.excerpt import excerpt, shorten
from context_retrieval.fence import clean
from context_retrieval.model import Glimpse, Key, Page, Place
from context_retrieval.rank import Scored
from context_retrieval.search import Found, Timings

SNIPPET = 300  # characters


def entry(item: Item, tokens: int) -> pb.BundleEntry:
    """An item of a bundle, and what it takes."""
    return pb.BundleEntry(
        id=item.scored.key.item_id,
        namespace=item.scored.key.namespace,
        version=item.page.version,
        section=pb.Section.ValueType(item.section + 1),
        score=item.scored.score,
        tokens=tokens,
        trust=_trust(item.vouched),
    )


def search_hit(hit: Scored, found: Found, *, explain: bool) -> pb.SearchHit:
    """An item that a search found."""
    page, candidate = found.pages[hit.key], hit.candidate
    text = _text(candidate.vouched)
    shown_hit = pb.SearchHit(
        id=hit.key.item_id,
        type=_type(candidate.type),
        title=text(page.title),
        snippet=text(_snippet(page, candidate.type, found.words)),
        score=hit.score,
        date=candidate.item_date.isoformat(),
        tags=map(text, page.tags),
        status=candidate.status,
        namespace=hit.key.namespace,
        provenance=_provenance(candidate.provenance),
        trust=_trust(candidate.vouched),
    )
    if explain:
        shown_hit.why.CopyFrom(
            pb.Why(
                semantic=hit.semantic,
                keyword=hit.keyword,
                recency=hit.recency,
                importance=hit.importance,
                feedback=hit.feedback,
                via=hit.via.item_id if hit.via else "",
            )
        )
    return shown_hit


def _snippet(page: Page, item_type: str, words: Sequence[str]) -> str:
    """What the passage says; where it says only who wrote the item and where it lies, what its first field does."""
    if shown := excerpt(page.passage, words, SNIPPET):
        return shown
    first = next(shown_sections(item_type, page.payload), None)
    return (excerpt(first.text, words, SNIPPET) if first else "") or page.title


def glimpse(item: Glimpse) -> pb.SearchHit:
    """An item of a list."""
    text = _text(item.vouched)
    return pb.SearchHit(
        id=item.key.item_id,
        type=_type(item.type),
        title=text(item.title),
        snippet=text(shorten(excerpt(item.passage, (), SNIPPET), SNIPPET) or item.title),
        date=item.item_date.isoformat(),
        tags=map(text, item.tags),
        status=item.status,
        namespace=item.key.namespace,
        provenance=_provenance(item.provenance),
        trust=_trust(item.vouched),
    )


def position(item: Glimpse) -> tuple[str, ...]:
    """The place of an item of a list, for a cursor."""
    return item.item_date.isoformat(), item.updated_at.isoformat(), item.key.item_id, item.key.namespace


def read_place(cursor: str, mark: str) -> Place:
    """The place that a cursor of the list `mark` stands for.

    Raises:
        Invalid: It is none of that list.
    """
    day, at, item_id, namespace = pages.decode(cursor, mark, str, str, str, str)
    try:
        return Place(date.fromisoformat(day), datetime.fromisoformat(at).astimezone(UTC), Key(namespace, item_id))
    except (ValueError, OverflowError) as error:
        raise pages.unknown() from error


@cache
def _type(name: str) -> types_pb2.ItemType.ValueType:
    return types_pb2.ItemType.Value(f"ITEM_TYPE_{name.upper()}")


@cache
def _provenance(name: str) -> types_pb2.Provenance.ValueType:
    return types_pb2.Provenance.Value(f"PROVENANCE_{name.upper()}")


def _trust(vouched: bool) -> pb.Trust.ValueType:
    return pb.TRUST_VOUCHED if vouched else pb.TRUST_UNVOUCHED


def _text(vouched: bool) -> Callable[[str], str]:
    """How a text is shown: without what is not seen, where nobody vouches for it."""
    return str if vouched else clean


def cost(timings: Timings) -> pb.Cost:
    """Where the time went."""
    return pb.Cost(**{name: _duration(seconds) for name, seconds in timings.seconds.items()})


def _duration(seconds: float) -> Duration:
    duration = Duration()
    duration.FromMicroseconds(int(seconds * 1_000_000))
    return duration
