"""Keys and the audit trail: what administrators may ask, and how it is answered."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from context.v1 import admin_pb2 as pb
from context.v1 import types_pb2 as types
from context_common.caller import EVERY
from context_common.errors import Invalid
from context_gateway.schemas import shapes
from context_gateway.schemas.answers import PROVENANCES, time
from context_gateway.schemas.fields import Body, Cursor, Name, Parameters, RequiredName, Time, read_day, read_time

LONGEST_LIFE = 10 * 365 * 24 * 3600  # seconds
LONGEST_OVERLAP = 30 * 24 * 3600
OVERLAP = 3600
REACH = ("namespaces", "namespace", "read_namespaces")  # knowledge refuses a key that has none of them


def _namespace_or_every(value: str) -> str:
    """Which one it may be, knowledge says; here it must only be a text that can be one."""
    if value != EVERY and not value.isascii():
        raise PydanticCustomError("refused", "is no namespace")
    return value


def _moment(value: Any) -> datetime:
    """A time, or the beginning of a day."""
    if isinstance(value, str) and len(value) == len("2026-01-31"):
        return datetime.fromisoformat(read_day(value)).replace(tzinfo=UTC)
    return read_time(value)


def _end(value: Any) -> datetime:
    """A time, or the end of a day: days count as included."""
    moment = _moment(value)
    try:
        return moment + timedelta(days=1) if len(value) == len("2026-01-31") else moment
    except OverflowError as error:
        raise PydanticCustomError("refused", "is beyond all time") from error


WhereTo = Annotated[str, Field(max_length=64), AfterValidator(_namespace_or_every)]
Namespaces = Annotated[list[WhereTo], Field(max_length=100)]
Scope = Literal["context:read", "knowledge:write", "admin"]
WhenSchema = WithJsonSchema({"type": "string", "description": "A time, or a day."})


class KeyCreate(Body):
    """A key to make. It ends at `expires_at` or after `expires_in` seconds, or never."""

    model_config = ConfigDict(json_schema_extra={"anyOf": [{"required": [name]} for name in REACH]})

    name: RequiredName
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=3)]
    namespaces: Namespaces | None = None
    namespace: WhereTo | None = None
    read_namespaces: Namespaces | None = None
    provenance: Literal["human", "agent", "event"] | None = "human"
    expires_at: Time | None = None
    expires_in: Annotated[int, Field(ge=1, le=LONGEST_LIFE)] | None = None

    def request(self, now: datetime) -> pb.CreateKeyRequest:
        """The key on the wire.

        Raises:
            Invalid: It says one thing in two ways.
        """
        twice = [("namespace", self.namespace, self.namespaces), ("expires_in", self.expires_in, self.expires_at)]
        if wrong := {name: ["says what another field says too"] for name, one, other in twice if one and other}:
            raise Invalid(wrong)
        message = pb.CreateKeyRequest(
            name=self.name,
            grants=pb.Grants(
                scopes=self.scopes,
                namespaces=[self.namespace] if self.namespace else self.namespaces or (),
                read_namespaces=self.read_namespaces or (),
                provenance=types.Provenance.Value(f"PROVENANCE_{(self.provenance or 'human').upper()}"),
            ),
        )
        ends = now + timedelta(seconds=self.expires_in) if self.expires_in else self.expires_at
        if ends:
            message.expires_at.FromDatetime(ends)
        return message


class KeyRotation(Body):
    """How long the old key goes on beside the new one."""

    overlap_seconds: Annotated[int, Field(ge=0, le=LONGEST_OVERLAP)] | None = OVERLAP


class KeyListing(Parameters):
    """Which keys to list."""

    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: Cursor = ""
    include_ended: Annotated[bool, Field(description="Also revoked and expired ones.")] = False


class AuditListing(Parameters):
    """Which lines of the audit trail to list; `from` and `to` are times or days, both included."""

    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: Cursor = ""
    principal: Name = ""
    action: Name = ""
    item_id: Name = ""
    request_id: Name = ""
    since: Annotated[datetime | None, PlainValidator(_moment), WhenSchema, Field(alias="from")] = None
    until: Annotated[datetime | None, PlainValidator(_end), WhenSchema, Field(alias="to")] = None
    denied: Annotated[bool, Field(description="Denied calls only.")] = False

    def request(self) -> pb.ListAuditRequest:
        """The query on the wire."""
        message = pb.ListAuditRequest(
            page_size=self.limit,
            page_token=self.cursor,
            principal=self.principal,
            action=self.action,
            item_id=self.item_id,
            request_id=self.request_id,
            denied=self.denied,
        )
        if self.since:
            message.since.FromDatetime(self.since)
        if self.until:
            message.until.FromDatetime(self.until)
        return message


def key(message: pb.Key, now: datetime) -> shapes.Key:
    """A key as administrators see it; the secret is not among it, since nobody has it."""
    grants = message.grants
    return {
        "id": message.id,
        "name": message.name,
        "prefix": message.prefix,
        "status": _status(message, now),
        "scopes": list(grants.scopes),
        "namespaces": list(grants.namespaces),
        "read_namespaces": list(grants.read_namespaces),
        "provenance": PROVENANCES[grants.provenance],
        "created_at": time(message, "created_at"),
        "created_by": message.created_by or None,
        "expires_at": time(message, "expires_at"),
        "last_used_at": time(message, "last_used_at"),
        "revoked_at": time(message, "revoked_at"),
        "replaced_by": message.replaced_by or None,
    }


def entry(message: pb.AuditEntry) -> shapes.AuditEntry:
    """A line of the audit trail."""
    return {
        "entry": message.entry,
        "at": time(message, "at"),
        "principal": message.principal or None,
        "action": message.action,
        "item_id": message.item_id or None,
        "version": message.version or None,
        "detail": message.detail or None,
        "address": message.address or None,
        "request_id": message.request_id or None,
    }


def _status(message: pb.Key, now: datetime) -> str:
    if message.HasField("revoked_at"):
        return "revoked"
    ended = message.HasField("expires_at") and message.expires_at.ToDatetime(UTC) <= now
    return "expired" if ended else "active"
