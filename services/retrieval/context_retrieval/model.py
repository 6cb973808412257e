"""What the index holds and what a search finds, as plain data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID

import numpy as np
import numpy.typing as npt

Vector: TypeAlias = npt.NDArray[np.float32]
DIMENSION = 384  # of every vector that the index holds
# How much words count in the order of what is found, the rest being meaning's: so much where they say much, and half of
# that where the best of them has a BM25 of TELLING. A few common ones in few documents say little.
WORDS, TELLING = 0.55, 1.0
# The cosine of unrelated texts, and how much higher the best must be for meaning to count in full: where nothing means
# what is asked, one that means it a little more is no better for it.
UNRELATED, MEANT = 0.10, 0.2
OFTEN = 20  # times handed out in 30 days by which two thirds of what use counts are reached; the rest takes ever more
TURNED_DOWN = ("rejected", "retracted")  # what never held, or was wrong


class Key(NamedTuple):
    """An item in its namespace; keys sort in the order in which locks are taken."""

    namespace: str
    item_id: str


class Tally(NamedTuple):
    """The tokens of a part of an item in a bundle, and the checksum of the text that was counted; None: none was."""

    tokens: int | None = None
    checksum: int | None = None


NO_TALLY = Tally()


class Counts(NamedTuple):
    """What was counted of an item when it was stored: its own fields, what says which item it is, and a passage."""

    fields: Tally = NO_TALLY
    frame: Tally = NO_TALLY
    passage: Tally = NO_TALLY


NO_COUNTS = Counts()


@dataclass(frozen=True, slots=True)
class Edge:
    """An outgoing relationship."""

    to_id: str
    type: str
    strength: float


@dataclass(frozen=True, slots=True)
class Section:
    """One field of an item as text: what it is called, and what it says."""

    label: str
    text: str


@dataclass(frozen=True, slots=True)
class Document:
    """An item as it is indexed. Deleted: only the key and `change_id` count."""

    key: Key
    change_id: int
    deleted: bool = False
    version: int = 0
    type: str = ""
    title: str = ""
    tags: tuple[str, ...] = ()
    status: str = ""
    in_force: bool = False
    item_date: date = date(1970, 1, 1)
    updated_at: datetime | None = None
    pinned: bool = False
    severity: str = ""
    access_count: int = 0
    feedback: float = 0.0  # from -1, no help to those it was shown to, to 1
    provenance: str = ""
    review: str = ""  # approved, or nothing: what is held or rejected is not in the index
    author: str = ""
    source_uri: str = ""
    payload: Mapping[str, Any] = field(default_factory=dict)
    edges: tuple[Edge, ...] = ()


@dataclass(frozen=True, slots=True)
class Words:
    """What a document is found by, ready for the inverted index: each text nothing but words and blanks."""

    title: str
    tags: str
    body: str
    identifiers: str  # the text of a tsvector
    length: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """A passage. `vector` is None while it is not embedded; `digest` stands for the text that is."""

    text: str
    digest: bytes
    token_count: int = 0
    model_id: str = ""
    vector: Vector | None = None
    tally: Tally = NO_TALLY  # of its text


@dataclass(frozen=True, slots=True)
class Entry:
    """A document ready to be stored. `chunks` None: its text did not change, the stored ones stay."""

    document: Document
    words: Words
    text_digest: bytes
    chunks: tuple[Chunk, ...] | None
    model_id: str = ""  # the model of every vector; empty where one is missing
    counts: Counts = NO_COUNTS


@dataclass(frozen=True, slots=True)
class Known:
    """What the index holds of an item's text already: vectors by digest, all of one model."""

    text_digest: bytes = b""
    model_id: str = ""
    vectors: Mapping[bytes, Chunk] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Filter:
    """What an answer may come from."""

    namespaces: tuple[str, ...]
    types: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()  # any of them, in whatever case
    statuses: tuple[str, ...] = ()
    severities: tuple[str, ...] = ()
    from_date: date | None = None
    to_date: date | None = None
    history: bool = False  # also what is no longer in force

    @property
    def narrow(self) -> bool:
        """Whether it may leave only few of what is in force."""
        return bool(self.types or self.tags or self.statuses or self.severities or self.from_date or self.to_date)


@dataclass(frozen=True, slots=True)
class Weights:
    """What the words of a question weigh.

    Attributes:
        impacts: By the number of each word, and of each pair of words, as in a document's impacts.
        codes: The numbers of those that stand for one exact thing.
        attainable: What a document can attain that has the weightiest of them.
        lexemes: Those that some document has.
        chosen: The text of the tsquery that chooses candidates beside vectors, and alone.
    """

    impacts: Mapping[int, float] = field(default_factory=dict)
    codes: tuple[int, ...] = ()
    attainable: float = 1e-9
    lexemes: Mapping[str, tuple[int, float]] = field(default_factory=dict)  # its number and weight
    chosen: tuple[str, str] = ("", "")


@dataclass(frozen=True, slots=True)
class Question:
    """A query as the index is asked: its words and what they weigh, its vector, and the ids that it names."""

    plain: str = ""
    weights: Weights = field(default_factory=Weights)
    ids: tuple[str, ...] = ()  # lower case
    vector: Vector | None = None
    model_id: str = ""


@dataclass(frozen=True, slots=True)
class Counted:
    """What the index knows of some words: the lexemes of each, and in how many documents a lexeme stands."""

    stems: Mapping[str, tuple[str, ...]]
    documents: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A document that a search found, with its evidence.

    `cosine` is None where no vector was compared; `lexical` says how well its words answer the question's,
    0 to 1; `covered` is the share of the question, by weight, that is among its words at all. `bm25` is the sum that
    `lexical` comes from, which knows no bound.
    """

    key: Key
    type: str
    status: str
    in_force: bool
    item_date: date
    pinned: bool
    severity: str
    access_count: int
    feedback: float
    provenance: str
    vouched: bool  # a human stands for its text
    references: int  # edges that point at it
    cosine: float | None
    lexical: float
    covered: float
    named: bool  # the question has its id
    coded: bool  # it has an exact code of the question
    bm25: float = 0.0

    @property
    def turned_down(self) -> bool:
        """Whether it never held: it answers nothing, but that it was turned down is worth knowing."""
        return self.status in TURNED_DOWN


@dataclass(frozen=True, slots=True)
class Link:
    """How a document was reached: over an edge of `type` from `origin`."""

    origin: Key
    target: Key
    type: str
    strength: float


@dataclass(frozen=True, slots=True)
class Page:
    """What is shown of a document: its fields, and the passage that matched."""

    key: Key
    version: int
    title: str
    tags: tuple[str, ...]
    payload: Mapping[str, Any]
    passage: str
    updated_at: datetime
    counts: Counts = NO_COUNTS


@dataclass(frozen=True, slots=True)
class Expansion:
    """What a second look brings: pages of what was found, and documents reached over edges, with their evidence."""

    pages: Mapping[Key, Page]
    reached: Mapping[Key, Candidate]
    successors: Sequence[Link]  # origin: what was superseded; target: what holds in its place
    neighbours: Sequence[Link]
    # Of what was superseded: the id of what holds in its place, where the filter keeps that out.
    elsewhere: Mapping[Key, str] = field(default_factory=dict)

    def with_(self, other: "Expansion") -> "Expansion":
        """This one and what the other has."""
        return Expansion(
            {**self.pages, **other.pages},
            {**self.reached, **other.reached},
            [*self.successors, *other.successors],
            [*self.neighbours, *other.neighbours],
            {**self.elsewhere, **other.elsewhere},
        )


@dataclass(frozen=True, slots=True)
class Glimpse:
    """A document as a list shows it."""

    key: Key
    type: str
    title: str
    status: str
    tags: tuple[str, ...]
    item_date: date
    passage: str
    provenance: str
    vouched: bool
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a list of the newest."""

    item_date: date
    updated_at: datetime
    key: Key


@dataclass(frozen=True, slots=True)
class Receipt:
    """What is kept of a query. `body` is what was asked and answered, as it goes over the wire."""

    query_id: UUID
    namespaces: tuple[str, ...]
    asked_at: datetime
    principal: str
    request_id: str
    body: bytes
