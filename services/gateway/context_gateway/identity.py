"""The gate: who sends a request, by its credential, and whether they may, before any handler runs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import Scope

from context.v1 import types_pb2
from context_common import apikey
from context_common.caller import ADMIN, REQUEST_ID, Caller, new_request_id
from context_common.errors import Unauthenticated
from context_gateway.access import Operation, Table
from context_gateway.clients import Clients
from context_gateway.credential import DEFAULT_NAMESPACE, EVERYWHERE, NAMESPACE_HEADER, Credential
from context_gateway.denials import Denials
from context_gateway.keys import Keys
from context_gateway.problems import BadCredential
from context_gateway.settings import Settings
from context_gateway.tokens import Tokens

SCHEME = "bearer"
# Whoever is on this machine, where no credential is needed.
DEVELOPER = Credential("dev", frozenset({ADMIN}), EVERYWHERE)
ANONYMOUS = "anonymous"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks for what, and how far the text they send is to be trusted.

    `shown` is the principal of the credential that they showed, empty where none was asked for.
    """

    caller: Caller
    operation: Operation
    provenance: types_pb2.Provenance.ValueType = types_pb2.PROVENANCE_UNSPECIFIED
    shown: str = ""

    @property
    def imported(self) -> types_pb2.Provenance.ValueType:
        """The provenance of what comes in bulk: only people's imports count as such, for an import is trusted."""
        human = self.provenance == types_pb2.PROVENANCE_HUMAN
        return types_pb2.PROVENANCE_IMPORT if human else self.provenance


def request_id(headers: Headers) -> str:
    """The id that the caller gave the request, or a new one where there is none or it is malformed."""
    given = headers.get("x-request-id", "")
    return given if REQUEST_ID.fullmatch(given) else new_request_id()


class Gate:
    """Tells who sends a request, and whether they may. `suspects`: whether an address showed too many bad keys."""

    def __init__(self, settings: Settings, clients: Clients, suspects: Callable[[str], bool]) -> None:
        self.table = Table()
        self.keys = Keys(clients, suspects)
        self.denials = Denials(clients)
        self._tokens = Tokens(settings.jwt)
        self._required = settings.auth_required

    async def identify(self, scope: Scope, request: str, address: str) -> Identity:
        """Who sends the request with the id `request` from `address`, being allowed to.

        What is known by then stays in the scope's state, also where it is refused: `operation` and `principal`.

        Raises:
            Unauthenticated: 401, there is no credential, or it is not good.
            OtherNamespace: 404.
            MissingScope: 403.
            Refused: 400, 404 or 405: no such namespace can be, no such address, no such method.
            Unavailable: 503, the credential cannot be checked just now.
        """
        state: dict[str, Any] = scope["state"]
        state["operation"] = state["principal"] = ""
        headers = Headers(scope=scope)
        operation = self._operation(scope)
        if isinstance(operation, Operation):
            state["operation"] = operation.name
            if operation.open:
                return Identity(Caller(DEFAULT_NAMESPACE, ANONYMOUS, request, address), operation)
        credential = await self._credential(headers, request, address)
        state["principal"] = credential.principal
        if isinstance(operation, HTTPException):  # only who shows a credential is told what there is
            raise operation
        caller = credential.caller(headers.get(NAMESPACE_HEADER, ""), operation.scope, request, address)
        shown = "" if credential is DEVELOPER else caller.principal
        return Identity(caller, operation, credential.provenance, shown)

    def _operation(self, scope: Scope) -> Operation | HTTPException:
        try:
            return self.table.find(scope["method"], scope["path"])
        except HTTPException as error:
            return error

    async def _credential(self, headers: Headers, request: str, address: str) -> Credential:
        given = headers.getlist("authorization")
        if not given:
            if self._required:
                raise Unauthenticated("send Authorization: Bearer <API key or JWT>")
            return DEVELOPER
        scheme, _, secret = given[0].partition(" ")
        secret = secret.strip()
        if len(given) > 1 or scheme.lower() != SCHEME or not secret:
            raise BadCredential("send one Authorization: Bearer <API key or JWT>")
        if not secret.startswith(apikey.BEGIN):
            return await self._tokens.credential(secret)
        key = apikey.read(secret)
        if key is None:
            raise BadCredential("the API key is malformed")
        return await self.keys.credential(key, request, address)
