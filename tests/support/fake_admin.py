"""Knowledge's AdminService at the far end of the wire: keys by their digests, and what the gateway reports."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from context.v1 import admin_pb2, admin_pb2_grpc
from context.v1 import types_pb2 as types
from context_common import apikey, caller
from context_common.apikey import ApiKey
from context_common.errors import NotFound, Stale


@dataclass
class FakeAdmin(admin_pb2_grpc.AdminServiceServicer):
    """Answers with `error` or after `pause` seconds where a test asks for that."""

    keys: dict[bytes, admin_pb2.Key] = field(default_factory=dict)
    requests: list[Any] = field(default_factory=list)
    callers: list[caller.Caller] = field(default_factory=list)
    denials: list[admin_pb2.Denial] = field(default_factory=list)
    error: Exception | None = None
    pause: float = 0.0

    def reset(self) -> None:
        """Forget everything."""
        vars(self).update(vars(type(self)()))

    def make(self, *scopes: str, namespaces: tuple[str, ...] = ("default",), **more: Any) -> ApiKey:
        """A key that is known here; `more` are fields of its grants."""
        made = apikey.make()
        more.setdefault("provenance", types.PROVENANCE_HUMAN)
        grants = admin_pb2.Grants(scopes=scopes, namespaces=namespaces, **more)
        self.keys[made.digest] = admin_pb2.Key(id=made.id, name="test", prefix=made.prefix, grants=grants)
        return made

    def asked(self, kind: type[Any]) -> list[Any]:
        """The requests of one kind."""
        return [request for request in self.requests if isinstance(request, kind)]

    async def _take(self, request: Any) -> None:
        self.requests.append(request)
        self.callers.append(caller.current())
        await asyncio.sleep(self.pause)
        if self.error:
            raise self.error

    async def AuthenticateKey(self, request: Any, context: Any) -> Any:
        await self._take(request)
        if request.digest not in self.keys:
            raise NotFound
        return admin_pb2.AuthenticateKeyResponse(key=self.keys[request.digest])

    async def CreateKey(self, request: Any, context: Any) -> Any:
        await self._take(request)
        made = apikey.make()
        key = admin_pb2.Key(id=made.id, name=request.name, prefix=made.prefix, grants=request.grants)
        if request.HasField("expires_at"):
            key.expires_at.CopyFrom(request.expires_at)
        self.keys[made.digest] = key
        return admin_pb2.CreateKeyResponse(key=key, secret=made.text)

    async def ListKeys(self, request: Any, context: Any) -> Any:
        """One key a page."""
        await self._take(request)
        place, keys = int(request.page_token or 0), list(self.keys.values())
        more = str(place + 1) if place + 1 < len(keys) else ""
        return admin_pb2.ListKeysResponse(keys=keys[place : place + 1], next_page_token=more)

    async def RevokeKey(self, request: Any, context: Any) -> Any:
        await self._take(request)
        key = self._remove(request.id)
        key.revoked_at.GetCurrentTime()
        return admin_pb2.RevokeKeyResponse(key=key)

    async def RotateKey(self, request: Any, context: Any) -> Any:
        await self._take(request)
        old = self._remove(request.id)
        old.expires_at.FromJsonString("2026-01-31T12:00:00Z")
        made = self.make(*old.grants.scopes)
        return admin_pb2.RotateKeyResponse(key=self.keys[made.digest], secret=made.text, replaced=old)

    async def ListAudit(self, request: Any, context: Any) -> Any:
        await self._take(request)
        entry = admin_pb2.AuditEntry(entry=7, principal="user:ada", action="update", item_id="ADR-001", version=2)
        entry.at.FromJsonString("2026-01-31T12:00:00Z")
        return admin_pb2.ListAuditResponse(entries=[entry], next_page_token="next")

    async def RecordDenials(self, request: Any, context: Any) -> Any:
        await self._take(request)
        self.denials.extend(request.denials)
        return admin_pb2.RecordDenialsResponse()

    async def ListSetAside(self, request: Any, context: Any) -> Any:
        await self._take(request)
        change = admin_pb2.SetAside(item_id="ADR-001", attempts=8, reason="ValueError: bad")
        change.at.FromJsonString("2026-01-31T12:00:00Z")
        return admin_pb2.ListSetAsideResponse(changes=[change], next_page_token="next")

    async def RetrySetAside(self, request: Any, context: Any) -> Any:
        await self._take(request)
        return admin_pb2.RetrySetAsideResponse(retried=len(request.item_ids) or 7)

    async def ListReview(self, request: Any, context: Any) -> Any:
        await self._take(request)
        found = admin_pb2.Suspicion(field="decision", rule="override", excerpt="ignore all previous instructions")
        held = admin_pb2.HeldItem(item=_adr(types.REVIEW_HELD), suspicions=[found])
        return admin_pb2.ListReviewResponse(items=[held], next_page_token="next")

    async def ReviewItem(self, request: Any, context: Any) -> Any:
        await self._take(request)
        if request.expected_version not in (0, 3):
            raise Stale
        return admin_pb2.ReviewItemResponse(item=_adr(request.verdict), change_id=9)

    def _remove(self, key_id: str) -> admin_pb2.Key:
        for digest, key in self.keys.items():
            if key.id == key_id:
                return self.keys.pop(digest)
        raise NotFound


def _adr(review: types.Review.ValueType) -> types.Item:
    return types.Item(
        id="ADR-004",
        type=types.ITEM_TYPE_ADR,
        title="Held",
        status="active",
        version=3,
        provenance=types.PROVENANCE_AGENT,
        review=review,
    )


def provenance(name: str) -> types.Provenance.ValueType:
    """A provenance on the wire."""
    return types.Provenance.Value(f"PROVENANCE_{name.upper()}")
