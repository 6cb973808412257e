"""Where a request becomes a caller. Until there are credentials, everybody is the development principal."""

from dataclasses import dataclass

from starlette.datastructures import Headers

from context.v1 import types_pb2
from context_common.caller import ADMIN, EVERY, NAMESPACE, REQUEST_ID, Caller, new_request_id
from context_gateway.problems import Refused

DEV_PRINCIPAL = "dev"
DEFAULT_NAMESPACE = "default"
NAMESPACE_HEADER = "X-Context-Namespace"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks, and how far the text they send is to be trusted."""

    caller: Caller
    provenance: types_pb2.Provenance.ValueType


def request_id(headers: Headers) -> str:
    """The id that the caller gave the request, or a new one where there is none or it is malformed."""
    given = headers.get("x-request-id", "")
    return given if REQUEST_ID.fullmatch(given) else new_request_id()


def identify(headers: Headers, request: str) -> Identity:
    """Who sends the request with the id `request`.

    Raises:
        Refused: 400, the namespace header is malformed.
    """
    namespace = headers.get(NAMESPACE_HEADER) or DEFAULT_NAMESPACE
    if not NAMESPACE.fullmatch(namespace):
        raise Refused(400, {NAMESPACE_HEADER: ["must be 1 to 64 of a-z 0-9 . _ -, a letter or digit at both ends"]})
    everywhere = frozenset({EVERY})
    caller = Caller(namespace, DEV_PRINCIPAL, request, "", frozenset({ADMIN}), everywhere, everywhere)
    return Identity(caller, types_pb2.PROVENANCE_HUMAN)
