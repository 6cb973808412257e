"""The gRPC skin of what only administrators and the gateway ask: messages in, messages out."""

from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from context.v1 import admin_pb2 as pb
from context.v1 import admin_pb2_grpc as rpc
from context.v1 import types_pb2 as types
from context_common import caller
from context_common.caller import Caller
from context_common.errors import Denied, Invalid
from context_knowledge import redaction, wire
from context_knowledge.audit import Audit
from context_knowledge.grants import Grants, Key
from context_knowledge.keys import Keys
from context_knowledge.model import Item, Review
from context_knowledge.once import Request
from context_knowledge.review import Reviews
from context_knowledge.setaside import SetAside
from context_knowledge.store.audit import DENIED, Denial, Entry, Wanted

VERDICTS = {types.REVIEW_APPROVED: Review.APPROVED, types.REVIEW_REJECTED: Review.REJECTED}

Context: TypeAlias = Any  # grpc's own is generic for type checkers only


class AdminServicer(rpc.AdminServiceServicer):
    """Answers for AdminService."""

    def __init__(self, keys: Keys, audit: Audit, aside: SetAside, reviews: Reviews) -> None:
        self._keys, self._audit, self._aside, self._reviews = keys, audit, aside, reviews

    async def CreateKey(self, request: pb.CreateKeyRequest, context: Context) -> pb.CreateKeyResponse:
        granted, expires_at = read_grants(request.grants), _time(request, "expires_at")
        name = redaction.clean_text(request.name)
        # Not the time: who sends the same lifetime again means another end.
        told = pb.CreateKeyRequest(name=request.name, grants=request.grants)
        asked = Request.of(request.idempotency_key, told)
        key, made = await self._keys.create(caller.current(), name, granted, expires_at, asked)
        return pb.CreateKeyResponse(key=write_key(key), secret=made.text)

    async def ListKeys(self, request: pb.ListKeysRequest, context: Context) -> pb.ListKeysResponse:
        page = await self._keys.list(
            caller.current(), request.page_size, request.page_token, ended=request.include_ended
        )
        return pb.ListKeysResponse(keys=map(write_key, page.items), next_page_token=page.cursor)

    async def RevokeKey(self, request: pb.RevokeKeyRequest, context: Context) -> pb.RevokeKeyResponse:
        return pb.RevokeKeyResponse(key=write_key(await self._keys.revoke(caller.current(), request.id)))

    async def RotateKey(self, request: pb.RotateKeyRequest, context: Context) -> pb.RotateKeyResponse:
        told = pb.RotateKeyRequest(id=request.id, overlap=request.overlap)
        asked = Request.of(request.idempotency_key, told)
        new, made, old = await self._keys.rotate(caller.current(), request.id, _overlap(request.overlap), asked)
        return pb.RotateKeyResponse(key=write_key(new), secret=made.text, replaced=write_key(old))

    async def AuthenticateKey(self, request: pb.AuthenticateKeyRequest, context: Context) -> pb.AuthenticateKeyResponse:
        key = await self._keys.authenticate(caller.current(), request.digest)
        return pb.AuthenticateKeyResponse(key=write_key(key))

    async def ListAudit(self, request: pb.ListAuditRequest, context: Context) -> pb.ListAuditResponse:
        if request.denied and request.action not in ("", DENIED):
            raise Invalid({"denied": ["goes with no other action"]})
        wanted = Wanted(
            principal=request.principal,
            action=DENIED if request.denied else request.action,
            item_id=request.item_id,
            request_id=request.request_id,
            since=_time(request, "since"),
            until=_time(request, "until"),
        )
        page = await self._audit.list(_administrator(), wanted, request.page_size, request.page_token)
        return pb.ListAuditResponse(entries=map(_entry, page.items), next_page_token=page.cursor)

    async def RecordDenials(self, request: pb.RecordDenialsRequest, context: Context) -> pb.RecordDenialsResponse:
        await self._audit.record_denials(caller.current(), [_denial(denial) for denial in request.denials])
        return pb.RecordDenialsResponse()

    async def ListReview(self, request: pb.ListReviewRequest, context: Context) -> pb.ListReviewResponse:
        page = await self._reviews.list(_administrator(), request.page_size, request.page_token)
        return pb.ListReviewResponse(items=map(_held, page.items), next_page_token=page.cursor)

    async def ReviewItem(self, request: pb.ReviewItemRequest, context: Context) -> pb.ReviewItemResponse:
        verdict = VERDICTS.get(request.verdict, Review.NONE)
        item_id = wire.item_id(request.id, "id")
        item, change_id = await self._reviews.decide(
            _administrator(), item_id, verdict, request.expected_version, request.note
        )
        return pb.ReviewItemResponse(item=wire.write_item(item), change_id=change_id)

    async def ListSetAside(self, request: pb.ListSetAsideRequest, context: Context) -> pb.ListSetAsideResponse:
        page = await self._aside.list(_administrator(), request.page_size, request.page_token)
        changes = [
            pb.SetAside(item_id=c.item_id, attempts=c.attempts, reason=c.reason, at=_stamp(c.at)) for c in page.items
        ]
        return pb.ListSetAsideResponse(changes=changes, next_page_token=page.cursor)

    async def RetrySetAside(self, request: pb.RetrySetAsideRequest, context: Context) -> pb.RetrySetAsideResponse:
        return pb.RetrySetAsideResponse(retried=await self._aside.retry(_administrator(), request.item_ids))


def _held(item: Item) -> pb.HeldItem:
    found = [pb.Suspicion(field=s.field, rule=s.rule, excerpt=s.excerpt) for s in item.suspicions]
    return pb.HeldItem(item=wire.write_item(item), suspicions=found)


def read_grants(message: pb.Grants) -> Grants:
    """What a message allows; no provenance is a human's."""
    provenance = message.provenance or types.PROVENANCE_HUMAN
    known = provenance in types.Provenance.values()
    name = types.Provenance.Name(provenance).removeprefix("PROVENANCE_").lower() if known else str(provenance)
    return Grants(tuple(message.scopes), tuple(message.namespaces), tuple(message.read_namespaces), name)


def write_key(key: Key) -> pb.Key:
    """`key` as a message."""
    granted = key.grants
    return pb.Key(
        id=key.id,
        name=key.name,
        prefix=key.prefix,
        grants=pb.Grants(
            scopes=granted.scopes,
            namespaces=granted.namespaces,
            read_namespaces=granted.read_namespaces,
            provenance=types.Provenance.Value(f"PROVENANCE_{granted.provenance.upper()}"),
        ),
        created_at=_stamp(key.created_at),
        created_by=key.created_by,
        expires_at=_stamp(key.expires_at),
        last_used_at=_stamp(key.last_used_at),
        revoked_at=_stamp(key.revoked_at),
        replaced_by=key.replaced_by,
    )


def _administrator() -> Caller:
    """The caller, where the namespace it works in is not only its to read.

    Raises:
        Denied: It is.
    """
    who = caller.current()
    if not who.may_write(who.namespace):
        raise Denied(f"the namespace {who.namespace} is yours to read only")
    return who


def _entry(entry: Entry) -> pb.AuditEntry:
    return pb.AuditEntry(
        entry=entry.entry,
        at=_stamp(entry.at),
        principal=entry.principal,
        action=entry.action,
        item_id=entry.item_id,
        version=entry.version,
        detail=entry.detail,
        address=entry.address,
        request_id=entry.request_id,
    )


def _denial(message: pb.Denial) -> Denial:
    times = f" ×{message.count}" if message.count > 1 else ""
    return Denial(
        namespace=message.namespace,
        principal=message.principal,
        request_id=message.request_id,
        address=message.address,
        detail=f"{message.operation} {message.status} {message.reason}{times}",
        at=_time(message, "at"),
    )


def _overlap(duration: Duration) -> timedelta:
    try:
        return duration.ToTimedelta()
    except (ValueError, OverflowError) as error:
        raise Invalid({"overlap": ["is no duration"]}) from error


def _time(message: Any, name: str) -> datetime | None:
    """The time that a field of a message holds; None where it is unset."""
    if not message.HasField(name):
        return None
    try:
        return getattr(message, name).ToDatetime(UTC)  # type: ignore[no-any-return]
    except (ValueError, OverflowError) as error:
        raise Invalid({name: ["is no time"]}) from error


def _stamp(moment: datetime | None) -> Timestamp | None:
    if moment is None:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp
