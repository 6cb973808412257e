"""Who this process is to the other services, and what it takes as proof of who they are."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from context_common import tls
from context_common.caller import REQUEST, Caller
from context_common.settings import Env, is_loopback, weakness
from context_common.token import Scope, Signed, Untrusted, Verified, derive_key

AUTHORIZATION = "authorization"
SCHEME = "Bearer "


@dataclass(frozen=True)
class Trust:
    """One process's name, and the key that the services share.

    Args:
        service: Its name: knowledge, embedding, retrieval or gateway.
        key: Signs and verifies service tokens. With one only tokens count; without one, which is for one machine in
            development, everybody is who they say.
        also: Keys that hold as well, so that the secret can be changed while services run.
        certificates: Ours and whose we trust; without, connections are in the clear.
    """

    service: str
    key: bytes | None = field(default=None, repr=False)
    also: tuple[bytes, ...] = field(default=(), repr=False)
    certificates: tls.Certificates | None = None
    _signed: Signed = field(default_factory=Signed, init=False, repr=False, compare=False)
    _verified: Verified = field(default_factory=Verified, init=False, repr=False, compare=False)

    @classmethod
    def read(cls, env: Env, service: str, listen: str = "") -> Self:
        """What the environment sets up for `service`; `listen` is where its gRPC server listens, if it has one.

        A secret is needed in prod and wherever other machines could reach the server; what is wrong with it is kept for
        `env.complain`.
        """
        prod = env.choice("APP_ENV", "dev", "dev", "prod") == "prod"
        own, base = env.secret("SERVICE_SECRET", "").split(), env.secret("SECRET_KEY_BASE", "")
        name = "SERVICE_SECRET" if own else "SECRET_KEY_BASE"
        secrets = own or ([base] if base else [])
        exposed = bool(listen) and not is_loopback(listen.rpartition(":")[0])
        if prod or exposed:
            why = "APP_ENV=prod" if prod else f"LISTEN={listen}, which other machines can reach,"
            if not secrets:
                env.reject(f"{why} needs SERVICE_SECRET or SECRET_KEY_BASE")
            for weak in filter(None, map(weakness, secrets)):
                env.reject(f"{name} is too weak: {weak}")
        keys = tuple(map(derive_key, secrets))
        return cls(service, keys[0] if keys else None, keys[1:], tls.read(env))

    def metadata(self, who: Caller, audience: str, method: str) -> tuple[tuple[str, str], ...]:
        """What a call for `who` carries to `method` of the service `audience`."""
        if self.key is None:
            return who.metadata()
        token = self._signed.token(self.key, who, Scope(self.service, audience, method))
        return (AUTHORIZATION, SCHEME + token), (REQUEST, who.request_id)

    def caller(self, metadata: Mapping[str, str], method: str) -> Caller:
        """For whom a call to our `method` is made.

        Raises:
            Unauthenticated: It does not say, or does not prove it.
        """
        if self.key is None:
            return Caller.from_metadata(metadata)
        given = metadata.get(AUTHORIZATION, "")
        if not given.startswith(SCHEME):
            raise Untrusted("the call carries no service token", "missing")
        keys, token = (self.key, *self.also), given.removeprefix(SCHEME)
        who = self._verified.caller(keys, token, audience=self.service, method=method)
        # From the release before the request's id comes within the token.
        return who.on(metadata.get(REQUEST, who.request_id))
