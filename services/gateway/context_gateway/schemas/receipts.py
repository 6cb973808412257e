"""A receipt as JSON: what a query was asked, in the words of the REST interface, and what it was answered."""

from collections.abc import Mapping

from context.v1 import retrieval_pb2 as pb
from context_gateway.schemas.answers import TRUSTS, TYPES
from context_gateway.schemas.shapes import Asked, Receipt, ReceiptEntry

SECTIONS: Mapping[int, str] = {number: name.removeprefix("SECTION_").lower() for name, number in pb.Section.items()}


def receipt(message: pb.GetReceiptResponse) -> Receipt:
    """The whole receipt."""
    return {
        "query_id": message.query_id,
        "asked_at": message.asked_at.ToJsonString(),
        "principal": message.principal,
        "request_id": message.request_id,
        "asked": asked(message.asked),
        "items": [entry(item) for item in message.entries],
        "omitted": [{"id": left.id, "reason": left.reason, "tokens": left.tokens} for left in message.omitted],
        "total_items": len(message.entries),
        "tokens_used": message.tokens_used,
        "degraded": message.degraded,
    }


def asked(message: pb.QueryContextRequest) -> Asked:
    """The question, as it would be asked again."""
    scope = message.filter
    return {
        "query": message.query,
        "max_tokens": message.max_tokens or 4000,
        "namespaces": list(scope.namespaces),
        "types": [TYPES[number] for number in scope.types],
        "domains": list(scope.tags),
        "from": scope.from_date or None,
        "to": scope.to_date or None,
        "min_score": message.min_score if message.HasField("min_score") else None,
        "include_history": scope.include_history,
        "explain": message.explain,
    }


def entry(message: pb.BundleEntry) -> ReceiptEntry:
    """An item that the bundle held, as it was then."""
    return {
        "id": message.id,
        "namespace": message.namespace,
        "version": message.version,
        "section": SECTIONS[message.section],
        "score": message.score,
        "tokens": message.tokens,
        "trust": TRUSTS[message.trust],
    }
