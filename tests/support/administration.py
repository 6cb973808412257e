"""A caller of knowledge's AdminService, with short words for what tests do often."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from context.v1 import admin_pb2 as pb
from context.v1 import admin_pb2_grpc as rpc
from context.v1 import types_pb2 as types
from context_common import apikey, caller
from context_common.caller import ADMIN, READ, WRITE, Caller
from context_common.client import call
from tests.support.trust import admin, service

ADDRESS = "192.0.2.7"


@dataclass(frozen=True)
class Administration:
    """The stub as one caller, who may do everything until a test says otherwise."""

    stub: "rpc.AdminServiceAsyncStub"
    who: Caller = field(default_factory=lambda: replace(admin(principal="key:root"), address=ADDRESS))

    def as_(self, who: Caller) -> "Administration":
        """The same service for another caller."""
        return Administration(self.stub, who)

    async def ask(self, method: str, request: Any) -> Any:
        caller.bind(self.who)
        return await call(getattr(self.stub, method), request, within=30)

    async def create_key(
        self,
        *,
        name: str = "ci",
        scopes: Iterable[str] = (READ,),
        namespaces: Iterable[str] = ("web",),
        reads: Iterable[str] = (),
        expires_at: datetime | None = None,
        provenance: Any = 0,
        repeat: str = "",
    ) -> pb.CreateKeyResponse:
        grants = pb.Grants(scopes=scopes, namespaces=namespaces, read_namespaces=reads, provenance=provenance)
        request = pb.CreateKeyRequest(name=name, grants=grants, expires_at=stamp(expires_at), idempotency_key=repeat)
        response: pb.CreateKeyResponse = await self.ask("CreateKey", request)
        return response

    async def keys(self, **wanted: Any) -> list[pb.Key]:
        return list((await self.ask("ListKeys", pb.ListKeysRequest(**wanted))).keys)

    async def revoke(self, key_id: str) -> pb.Key:
        response: pb.RevokeKeyResponse = await self.ask("RevokeKey", pb.RevokeKeyRequest(id=key_id))
        return response.key

    async def rotate(self, key_id: str, overlap: timedelta = timedelta(), *, repeat: str = "") -> pb.RotateKeyResponse:
        duration = Duration()
        duration.FromTimedelta(overlap)
        request = pb.RotateKeyRequest(id=key_id, overlap=duration, idempotency_key=repeat)
        response: pb.RotateKeyResponse = await self.ask("RotateKey", request)
        return response

    async def authenticate(self, secret: str) -> pb.Key:
        """What the gateway learns of a key that somebody shows."""
        request = pb.AuthenticateKeyRequest(digest=apikey.ApiKey(secret).digest)
        response: pb.AuthenticateKeyResponse = await self.as_(service("gateway")).ask("AuthenticateKey", request)
        return response.key

    async def audit(self, **wanted: Any) -> list[pb.AuditEntry]:
        return list((await self.ask("ListAudit", pb.ListAuditRequest(**wanted))).entries)

    async def deny(self, *denials: pb.Denial) -> None:
        await self.as_(service("gateway")).ask("RecordDenials", pb.RecordDenialsRequest(denials=denials))

    async def set_aside(self, **wanted: Any) -> list[pb.SetAside]:
        return list((await self.ask("ListSetAside", pb.ListSetAsideRequest(**wanted))).changes)

    async def ask_held(self, **wanted: Any) -> pb.ListReviewResponse:
        response: pb.ListReviewResponse = await self.ask("ListReview", pb.ListReviewRequest(**wanted))
        return response

    async def held(self) -> list[pb.HeldItem]:
        return list((await self.ask_held()).items)

    async def review(
        self, item_id: str, verdict: types.Review.ValueType, *, note: str = "", expected_version: int = 0
    ) -> pb.ReviewItemResponse:
        request = pb.ReviewItemRequest(id=item_id, verdict=verdict, note=note, expected_version=expected_version)
        response: pb.ReviewItemResponse = await self.ask("ReviewItem", request)
        return response

    async def retry(self, *item_ids: str) -> int:
        return int((await self.ask("RetrySetAside", pb.RetrySetAsideRequest(item_ids=item_ids))).retried)


def administrator(
    *namespaces: str, reads: Iterable[str] = (), scopes: Iterable[str] = (ADMIN, READ, WRITE), principal: str = "key:a"
) -> Caller:
    """Somebody who administers the namespaces, the first of which is the one to work in, and may read others."""
    return Caller(
        namespaces[0],
        principal,
        "request-2",
        ADDRESS,
        frozenset(scopes),
        readable=frozenset({*namespaces, *reads}),
        writable=frozenset(namespaces),
    )


def ahead(**parts: float) -> datetime:
    """A time that far from now."""
    return datetime.now(UTC) + timedelta(**parts)


def stamp(moment: datetime | None) -> Timestamp | None:
    if moment is None:
        return None
    made = Timestamp()
    made.FromDatetime(moment)
    return made
