"""What may be asked: bodies and queries of everything but items."""

from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import PydanticCustomError

from context.v1 import retrieval_pb2 as retrieval
from context.v1 import types_pb2 as types
from context_gateway.answers import Fields
from context_gateway.schemas.fields import (
    AnyId,
    Body,
    Cursor,
    Day,
    ItemTypeName,
    Name,
    Namespace,
    Parameters,
    QueryList,
    QueryRelationships,
    QueryTypes,
    RelationshipName,
    Tags,
    each_of,
    not_blank,
    one_of,
    storable,
)
from context_gateway.schemas.items import (
    AdrStatus,
    AnyStatus,
    FailureStatus,
    MeetingStatus,
    Severity,
    SnapshotStatus,
)

LONGEST_QUERY = 10_000  # characters
MOST_TEXTS = 1_024  # of one call for embeddings

Question = Annotated[str, Field(max_length=LONGEST_QUERY), AfterValidator(storable), AfterValidator(not_blank)]
Namespaces = Annotated[list[Namespace], Field(max_length=50)]


def _not_yet(value: Any) -> Any:
    if value is not None:
        raise PydanticCustomError("refused", "is not supported yet")
    return value


def type_number(name: str) -> types.ItemType.ValueType:
    """An item type on the wire."""
    return types.ItemType.Value(f"ITEM_TYPE_{name.upper()}")


def relationship_number(name: str) -> types.RelationshipType.ValueType:
    """A relationship type on the wire."""
    return types.RelationshipType.Value(f"RELATIONSHIP_TYPE_{name.upper()}")


class Listing(Parameters):
    """Which items of a type to list."""

    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: Cursor = ""
    fields: Fields = "full"
    status: QueryList = Field(default_factory=list)
    tags: QueryList = Field(default_factory=list)
    author: Name = ""
    from_date: Annotated[Day | None, Field(alias="from")] = None
    to_date: Annotated[Day | None, Field(alias="to")] = None
    q: Name = ""


class AdrListing(Listing):
    """Which decisions to list."""

    status: Annotated[QueryList, each_of(*get_args(AdrStatus))] = Field(default_factory=list)


class FailureListing(Listing):
    """Which failures to list."""

    status: Annotated[QueryList, each_of(*get_args(FailureStatus))] = Field(default_factory=list)
    severity: Annotated[Name, one_of(*get_args(Severity))] = Field(default_factory=str)
    pattern: Name = ""
    app_name: Name = ""


class MeetingListing(Listing):
    """Which meetings to list."""

    status: Annotated[QueryList, each_of(*get_args(MeetingStatus))] = Field(default_factory=list)


class SnapshotListing(Listing):
    """Which snapshots to list."""

    status: Annotated[QueryList, each_of(*get_args(SnapshotStatus))] = Field(default_factory=list)


class Reading(Parameters):
    """How much of an item to answer."""

    fields: Fields = "full"


class Scope(Body):
    """Where to search; all of it applies inside the search."""

    types: Annotated[list[ItemTypeName], Field(max_length=50)] | None = None
    namespaces: Namespaces | None = None
    from_date: Annotated[Day | None, Field(alias="from")] = None
    to_date: Annotated[Day | None, Field(alias="to")] = None

    def filter(self, tags: list[str] | None, **more: Any) -> retrieval.Filter:
        """The scope on the wire."""
        return retrieval.Filter(
            namespaces=self.namespaces or (),
            types=[type_number(name) for name in self.types or ()],
            tags=tags or (),
            from_date=self.from_date or "",
            to_date=self.to_date or "",
            **more,
        )


class ContextQuery(Scope):
    """A question, and how many tokens its answer may cost."""

    query: Question
    max_tokens: Annotated[int, Field(ge=200, le=32_000)] | None = 4000
    domains: Tags | None = None
    as_of: SkipJsonSchema[Annotated[Any, AfterValidator(_not_yet)]] = None
    min_score: Annotated[float, Field(ge=0, le=1)] | None = None
    include_history: bool | None = False
    explain: bool | None = False


class Search(Scope):
    """A search for items, best first."""

    query: Question
    top_k: Annotated[int, Field(ge=1, le=100)] | None = 20
    tags: Tags | None = None
    statuses: Annotated[list[AnyStatus], Field(max_length=50)] | None = None
    mode: Literal["hybrid", "semantic", "keyword"] | None = "hybrid"
    explain: bool | None = False


class Recent(Parameters):
    """How many of the newest items."""

    limit: Annotated[int, Field(ge=1, le=50)] = 10
    cursor: Cursor = ""
    types: QueryTypes = Field(default_factory=list)
    fields: Fields = "full"


class Tagged(Recent):
    """How many of the items of a domain."""

    limit: Annotated[int, Field(ge=1, le=200)] = 50


class Timeline(Tagged):
    """The items of a time, both days included."""

    from_date: Annotated[Day | None, Field(alias="from")] = None
    to_date: Annotated[Day | None, Field(alias="to")] = None


class Walk(Parameters):
    """How far to walk over the graph."""

    depth: Annotated[int, Field(ge=1, le=5)] = 2
    direction: Literal["both", "outgoing", "incoming"] = "both"
    types: QueryRelationships = Field(default_factory=list)
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    fields: Fields = "summary"
    type: Annotated[str, Field(description="Accepted and ignored.")] = ""


class Ends(Body):
    """A relationship, read from `from` to `to`."""

    from_id: Annotated[AnyId, Field(alias="from")]
    to_id: Annotated[AnyId, Field(alias="to")]
    type: RelationshipName
    strength: Annotated[float, Field(gt=0, le=1)] | None = 1.0


class Reindex(Body):
    """What to index again."""

    every_namespace: bool | None = False


Embeddable = Annotated[str, AfterValidator(storable), AfterValidator(not_blank)]
Texts = Annotated[
    list[Embeddable],
    Field(min_length=1, max_length=MOST_TEXTS),
    BeforeValidator(lambda value: [value] if isinstance(value, str) else value),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]


class Embeddings(Body):
    """Texts to embed, as OpenAI's protocol has it."""

    input: Texts
    model: Name | None = None
    encoding_format: Literal["float", "base64"] | None = "float"
    dimensions: Annotated[int, Field(ge=1, le=100_000)] | None = None
    user: Name | None = None
