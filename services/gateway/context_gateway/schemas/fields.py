"""The kinds of value that stand in bodies and queries. Types are strict: "5" is no number and 5 no text."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from context_common.caller import NAMESPACE

SHORT = 500  # characters of a title or a name
TAG = 100
ADDRESS = 2_000
LONG = 100_000
CURSOR = 1_000
TAGS = 50
ENTRIES = 1_000  # of a list
LARGEST_COUNT = 2**53 - 1  # what JSON readers keep exactly
ID = re.compile(r"(ADR|FAIL|MEET|SNAP)-[A-Za-z0-9][A-Za-z0-9._-]{0,60}", re.IGNORECASE)
NUMBER = re.compile(r"[0-9]{1,12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)", re.IGNORECASE)


class Body(BaseModel):
    """A JSON body: unknown fields and wrong types are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class Parameters(BaseModel):
    """A query string: values are text that is read as what it stands for; unknown names are refused."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


def one_of(*names: str) -> WithJsonSchema:
    """Says in the document which texts are taken, where something else than pydantic refuses all others."""
    return WithJsonSchema({"type": "string", "enum": list(names)})


def each_of(*names: str) -> WithJsonSchema:
    """The same of each entry of a list."""
    return WithJsonSchema({"type": "array", "items": {"type": "string", "enum": list(names)}, "maxItems": TAGS})


def _or_commas(most: int, longest: int | None = None) -> WithJsonSchema:
    """Says in the document that a list may also be one text, comma-separated."""
    entry = {"type": "string"} | ({"maxLength": longest} if longest else {})
    listed = {"type": "array", "items": entry, "maxItems": most}
    return WithJsonSchema({"anyOf": [listed, {"type": "string", "description": "Comma-separated."}]})


def _refuse(reason: str) -> PydanticCustomError:
    return PydanticCustomError("refused", "{reason}", {"reason": reason})


def storable(value: str) -> str:
    """`value`, which can be stored and sent: no NUL, no half of a surrogate pair."""
    if "\0" in value:
        raise _refuse("contains a NUL character")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise _refuse("is not valid Unicode") from error
    return value


def not_blank(value: str) -> str:
    """`value`, which says something."""
    if not value.strip():
        raise _refuse("is required")
    return value


def read_day(value: str) -> str:
    """A day as we write it."""
    try:
        if date.fromisoformat(value).isoformat() == value:
            return value
    except ValueError:
        pass
    raise _refuse("is no date of the form YYYY-MM-DD")


def read_time(value: Any) -> datetime:
    """The moment that a text names."""
    if isinstance(value, str) and TIME.fullmatch(value):
        try:
            return datetime.fromisoformat(value.upper()).astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    raise _refuse("is no time such as 2026-01-31T12:00:00Z")


def _id(prefix: str = "") -> Callable[[str], str]:
    def check(value: str) -> str:
        found = canonical_id(value.strip())
        if found is None or (prefix and not found.startswith(prefix)):
            raise _refuse(f"is no id such as {prefix or 'ADR'}-001")
        return found

    return check


def canonical_id(text: str) -> str | None:
    """`text` as the id it is (`adr-12` → `ADR-012`), as the services write it; None where it has no id's shape."""
    if ID.fullmatch(text) is None:
        return None
    prefix, _, tail = text.partition("-")
    number = NUMBER.fullmatch(tail)
    return f"{prefix.upper()}-{int(tail):03d}" if number else f"{prefix.upper()}-{tail}"


def _namespace(value: str) -> str:
    if not NAMESPACE.fullmatch(value):
        raise _refuse("is no namespace")
    return value


def _split(value: Any) -> Any:
    """A comma-separated text as the list it stands for."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _split_each(value: Any) -> Any:
    """`?tags=a,b&tags=c` as three."""
    return [part for text in value for part in _split(text)] if isinstance(value, list) else _split(value)


def _said(longest: int) -> WithJsonSchema:
    """Says in the document that a text is more than blanks."""
    return WithJsonSchema({"type": "string", "maxLength": longest, "pattern": r"\S"})


Text: TypeAlias = Annotated[str, Field(max_length=LONG), AfterValidator(storable)]
Name: TypeAlias = Annotated[str, Field(max_length=SHORT), AfterValidator(storable)]
Cursor: TypeAlias = Annotated[str, Field(max_length=CURSOR), AfterValidator(storable)]
Tag: TypeAlias = Annotated[str, Field(max_length=TAG), AfterValidator(storable), AfterValidator(not_blank), _said(TAG)]
Address: TypeAlias = Annotated[str, Field(max_length=ADDRESS), AfterValidator(storable)]
RequiredText: TypeAlias = Annotated[Text, AfterValidator(not_blank), _said(LONG)]
RequiredName: TypeAlias = Annotated[Name, AfterValidator(not_blank), _said(SHORT)]
Day: TypeAlias = Annotated[str, AfterValidator(read_day), WithJsonSchema({"type": "string", "format": "date"})]
Time: TypeAlias = Annotated[
    datetime, PlainValidator(read_time), WithJsonSchema({"type": "string", "format": "date-time"})
]
AnyId: TypeAlias = Annotated[str, AfterValidator(_id())]
AdrId: TypeAlias = Annotated[str, AfterValidator(_id("ADR"))]
FailureId: TypeAlias = Annotated[str, AfterValidator(_id("FAIL"))]
MeetingId: TypeAlias = Annotated[str, AfterValidator(_id("MEET"))]
SnapshotId: TypeAlias = Annotated[str, AfterValidator(_id("SNAP"))]
Namespace: TypeAlias = Annotated[str, AfterValidator(_namespace)]

Tags: TypeAlias = Annotated[list[Tag], Field(max_length=TAGS)]
Names: TypeAlias = Annotated[list[Text], Field(max_length=ENTRIES)]
Listed: TypeAlias = Annotated[list[Text], Field(max_length=ENTRIES), BeforeValidator(_split), _or_commas(ENTRIES, LONG)]
ListedIds: TypeAlias = Annotated[list[AnyId], Field(max_length=ENTRIES), BeforeValidator(_split), _or_commas(ENTRIES)]
ListedTags: TypeAlias = Annotated[list[Tag], Field(max_length=TAGS), BeforeValidator(_split), _or_commas(TAGS, TAG)]
QueryList: TypeAlias = Annotated[list[Tag], Field(max_length=TAGS), BeforeValidator(_split_each)]

ItemTypeName: TypeAlias = Literal["adr", "failure", "meeting", "snapshot"]
RelationshipName: TypeAlias = Literal[
    "supersedes",
    "caused_by",
    "related_to",
    "references",
    "discussed_in",
    "resolved_by",
    "implements",
    "contradicts",
]
QueryTypes: TypeAlias = Annotated[list[ItemTypeName], BeforeValidator(_split_each)]
QueryRelationships: TypeAlias = Annotated[list[RelationshipName], BeforeValidator(_split_each)]
