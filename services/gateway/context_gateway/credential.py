"""What a credential allows, whatever kind it is, and how far that goes in the namespace that a request picks."""

from dataclasses import dataclass

from context.v1 import admin_pb2, types_pb2
from context_common.caller import ADMIN, EVERY, NAMESPACE, READ, SCOPES, Caller
from context_gateway.problems import MissingScope, OtherNamespace, Refused

DEFAULT_NAMESPACE = "default"
NAMESPACE_HEADER = "X-Context-Namespace"
EVERYWHERE = frozenset({EVERY})


@dataclass(frozen=True, slots=True)
class Credential:
    """Who somebody is, and what they may do where.

    Args:
        principal: `key:<id>` or `user:<subject>`.
        scopes: Among SCOPES.
        namespaces: To read and write, as far as the scopes go; EVERY stands for all.
        read_namespaces: To read as well.
        provenance: That of all that is written with it.
    """

    principal: str
    scopes: frozenset[str]
    namespaces: frozenset[str]
    read_namespaces: frozenset[str] = frozenset()
    provenance: types_pb2.Provenance.ValueType = types_pb2.PROVENANCE_HUMAN

    @classmethod
    def of_key(cls, key: admin_pb2.Key) -> "Credential":
        """What an API key allows."""
        grants = key.grants
        return cls(
            f"key:{key.id}",
            frozenset(grants.scopes) & SCOPES,
            frozenset(grants.namespaces),
            frozenset(grants.read_namespaces),
            grants.provenance or types_pb2.PROVENANCE_HUMAN,
        )

    def home(self) -> str:
        """The namespace of a request that names none: the only one there is, else `default`."""
        own = self.namespaces or self.read_namespaces
        (only,) = own if len(own) == 1 else (EVERY,)
        return DEFAULT_NAMESPACE if only == EVERY else only

    def may(self, scope: str) -> bool:
        """Whether it has `scope`; admin stands for every scope."""
        return scope in self.scopes or ADMIN in self.scopes

    def caller(self, asked: str, scope: str, request_id: str, address: str) -> Caller:
        """It at work with `scope` in the namespace `asked`, or at home where that is empty.

        Raises:
            Refused: 400, that is no namespace; 404, it has several and none was named.
            OtherNamespace: It may not even know of that one.
            MissingScope: It may not do this, here or at all.
        """
        namespace = asked or self.home()
        if not NAMESPACE.fullmatch(namespace):
            raise Refused(400, {NAMESPACE_HEADER: ["must be 1 to 64 of a-z 0-9 . _ -, a letter or digit at both ends"]})
        writable = _among(namespace, self.namespaces)
        if not writable and not _among(namespace, self.read_namespaces):
            if not asked and (self.namespaces or self.read_namespaces):
                raise Refused(404, {NAMESPACE_HEADER: ["must name one of the credential's namespaces"]})
            raise OtherNamespace
        if not self.may(scope):
            raise MissingScope(scope)
        if not writable and scope != READ:
            raise MissingScope(scope, f"the credential only reads the namespace {namespace}")
        readable = self.namespaces | self.read_namespaces if self.may(READ) else frozenset()
        scopes = self.scopes if writable else frozenset({READ})
        return Caller(namespace, self.principal, request_id, address, scopes, readable, self.namespaces)


def _among(namespace: str, granted: frozenset[str]) -> bool:
    return namespace in granted or EVERY in granted
